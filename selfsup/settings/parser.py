"""Read a command's settings from the command line and from YAML, through jsonargparse.

Whatever is wrong with them ends in one UserError line that names the flag or file, and the mend.
"""

import argparse
import dataclasses
import math
import re
import typing
from pathlib import Path
from typing import Any, TypeVar

import yaml
from jsonargparse import ActionYesNo, ArgumentParser, Namespace, get_loader

from selfsup.errors import UserError
from selfsup.settings.flag import COMMON_FLAGS, closest, flag_name, inner_type
from selfsup.settings.help_page import usage

Settings = TypeVar("Settings")

_KINDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def parse_command(
    command: str, settings_class: type[Settings], arguments: list[str]
) -> tuple[Settings, bool]:
    """The settings in the arguments after `selfsup COMMAND`, and whether --json is among them.

    Raises UserError, one line, for whatever is wrong with them; SystemExit(0) after --print_config.
    """
    files, flags = _without_config_files(arguments)
    for file in files:
        _check_yaml(Path(file), settings_class)
    parser = command_parser(command, settings_class)
    try:
        # What comes later wins: the files come first.
        parsed = parser.parse_args([f"--config={file}" for file in files] + flags)
    except argparse.ArgumentError as error:
        raise UserError(_explain(error.message, command, settings_class)) from error
    as_json = bool(parsed.pop("json", False))
    parsed.pop("config", None)
    return _build(settings_class, parsed), as_json


def command_parser(command: str, settings_class: type) -> ArgumentParser:
    """A parser with an argument for each field of the dataclass, and the common flags."""
    # No help of its own: selfsup.settings.help_page writes one that shows groups and defaults.
    parser = ArgumentParser(
        prog=f"selfsup {command}", exit_on_error=False, allow_abbrev=False, add_help=False
    )
    hints = typing.get_type_hints(settings_class)
    for field in dataclasses.fields(settings_class):
        _add_argument(parser, field, hints[field.name])
    parser.add_argument("--config", action="config")
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS)
    return parser


def to_yaml(settings: Any) -> str:
    """The settings as YAML, as `--config` and `from_yaml` read it."""
    values = dataclasses.asdict(settings)
    return "".join(
        _yaml_line(name, list(value) if isinstance(value, tuple) else value)
        for name, value in values.items()
    )


def _yaml_line(name: str, value: Any) -> str:
    for part in value if isinstance(value, list) else [value]:
        try:
            str(part).encode()
        except UnicodeEncodeError:
            shown = str(part).encode(errors="backslashreplace").decode()
            raise UserError(f"{shown}: is not UTF-8, as {name} must be: rename it") from None
    line = yaml.safe_dump({name: value}, allow_unicode=True, width=math.inf)
    if get_loader("yaml")(line) == {name: value}:
        return line
    # The reader takes more texts for numbers, such as 0E0, than the writer thinks to quote.
    return yaml.safe_dump({name: value}, allow_unicode=True, width=math.inf, default_style='"')


def from_yaml(settings_class: type[Settings], file: Path) -> Settings:
    """The settings that `to_yaml` wrote to a file.

    Raises UserError that names the file where it is missing or holds something else.
    """
    _check_yaml(file, settings_class)
    try:
        parsed = command_parser("", settings_class).parse_path(str(file))
    except argparse.ArgumentError as error:
        raise UserError(f"{file}: {_explain(error.message, '', settings_class)}") from error
    return _build(settings_class, parsed)


def _add_argument(parser: ArgumentParser, field: dataclasses.Field, hint: Any) -> None:
    required = field.default is dataclasses.MISSING
    default: Any = None if required else field.default
    if field.metadata.get("positional"):
        nargs = "+" if _holds_many(hint) else None if required else "?"
        # Left out, it leaves alone what --config says.
        given: dict[str, Any] = {} if required else {"default": argparse.SUPPRESS}
        parser.add_argument(field.name, type=str, nargs=nargs, **given)
    elif hint is bool:
        # --lowercase and --no-lowercase
        yes_no = ActionYesNo(yes_prefix="", no_prefix="no-")
        parser.add_argument(flag_name(field), action=yes_no, default=default)
    elif _holds_many(hint):
        values = default if default is None else list(default)
        parser.add_argument(
            flag_name(field), type=str, nargs="+", required=required, default=values
        )
    else:
        parser.add_argument(flag_name(field), type=hint, required=required, default=default)


def _holds_many(hint: Any) -> bool:
    return typing.get_origin(inner_type(hint)) is tuple


def _build(settings_class: type[Settings], parsed: Namespace) -> Settings:
    values = parsed.as_dict()
    return settings_class(
        **{
            field.name: tuple(value) if isinstance(value := values[field.name], list) else value
            for field in dataclasses.fields(settings_class)  # pyright: ignore[reportArgumentType]
            if field.name in values
        }
    )


def _without_config_files(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The files that --config names, and all other arguments."""
    files, others = [], []
    words = iter(arguments)
    for word in words:
        if word == "--":
            return files, [*others, word, *words]
        if word.startswith("--config="):
            files.append(word.removeprefix("--config="))
        elif word == "--config" and (file := next(words, None)) is not None:
            files.append(file)
        else:
            others.append(word)
    return files, others


def _check_yaml(file: Path, settings_class: type) -> None:
    """Refuse a YAML file that is missing or broken, or that holds a setting there is not."""
    try:
        values = get_loader("yaml")(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is no YAML file of settings: it is not UTF-8 text") from error
    except Exception as error:  # the YAML library's own errors, which jsonargparse chooses
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        where = f"{file}, line {line + 1}" if line is not None else str(file)
        reason = getattr(error, "problem", None) or "it cannot be parsed"
        raise UserError(f"{where}: not valid YAML: {reason}") from error
    if not isinstance(values, dict):
        raise UserError(f"{file} holds no settings: write lines such as `seed: 1`")
    hints = typing.get_type_hints(settings_class)
    for name, value in values.items():
        if name not in hints and name != "json":
            raise UserError(f"{file}: unknown setting {name!r}{closest(str(name), hints)}")
        hint = hints.get(name)
        is_left_open = value is None and type(None) in typing.get_args(hint)
        if value is None and not is_left_open:
            raise UserError(f"{file}: {name} has no value: give it one, or take the line out")
        if hint is bool and not isinstance(value, bool):
            raise UserError(f"{file}: {name} takes true or false, not {value}")
        if _holds_many(hint) and not isinstance(value, list) and not is_left_open:
            raise UserError(f"{file}: {name} takes a list: write [{value}]")


def _explain(message: str, command: str, settings_class: type) -> str:
    """One line in the user's terms for a message of argparse or jsonargparse."""
    fields = {field.name: field for field in dataclasses.fields(settings_class)}
    hints = typing.get_type_hints(settings_class)
    if found := re.match(r"unrecognized arguments: (\S+)", message):
        return _explain_unknown(found[1], command, list(fields.values()))
    if found := re.match(r"the following arguments are required: (\w+)", message):
        field = fields[found[1].replace("-", "_")]
        if field.metadata.get("positional"):
            return f"{flag_name(field)} is missing: {usage(command, settings_class)}"
        metavar = field.metadata.get("metavar") or "VALUE"
        return f"{flag_name(field)} is missing: add {flag_name(field)} {metavar}"
    if found := re.match(r"argument (\S+?):? expected (at least )?one argument", message):
        return f"{found[1].rstrip(':').split('/')[0]} needs a value after it"
    if (found := re.match(r'Parser key "(\w+)"', message)) and found[1] in fields:
        field = fields[found[1]]
        kind = _KINDS.get(inner_type(hints[field.name]), "another kind of value")
        values = re.findall(r"(?:Got|Given) value: (.*)", message)
        given = f", not {values[-1]}" if values else ""
        return f"{flag_name(field)} takes {kind}{given}"
    return " ".join(message.split())


def _explain_unknown(word: str, command: str, fields: list[dataclasses.Field]) -> str:
    where = f"selfsup {command} --help lists what it takes"
    if not word.startswith("-"):
        return f"unexpected argument {word!r}: {where}"
    word = word.split("=")[0]
    known = [flag_name(field) for field in fields if not field.metadata.get("positional")]
    known += [flag.split()[0] for flag in COMMON_FLAGS if flag != "--help"]
    return f"unknown flag {word}{closest(word.replace('_', '-'), known) or f': {where}'}"
