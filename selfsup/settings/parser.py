"""Read a command's settings from the command line and from YAML, through jsonargparse.

Whatever is wrong with them ends in one UserError line that names the flag or file, and the mend.
"""

import argparse
import dataclasses
import re
import typing
from pathlib import Path
from typing import Any, TypeVar

from jsonargparse import ActionYesNo, ArgumentParser, Namespace

from selfsup.errors import UserError
from selfsup.settings.fields import COMMON_FLAGS, closest, flag_name, holds_many, inner_type
from selfsup.settings.help_page import usage
from selfsup.settings.yaml_file import check_yaml

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
        check_yaml(Path(file), settings_class)
    parser = command_parser(command, settings_class)
    try:
        # What comes later wins: the files come first.
        flags = _flags_first(flags, settings_class)
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


def from_yaml(settings_class: type[Settings], file: Path) -> Settings:
    """The settings that `to_yaml` wrote to a file.

    Raises UserError that names the file where it is missing or holds something else.
    """
    check_yaml(file, settings_class)
    try:
        parsed = command_parser("", settings_class).parse_path(str(file))
    except argparse.ArgumentError as error:
        raise UserError(f"{file}: {_explain(error.message, '', settings_class)}") from error
    return _build(settings_class, parsed)


def _add_argument(parser: ArgumentParser, field: dataclasses.Field, hint: Any) -> None:
    required = field.default is dataclasses.MISSING
    default: Any = None if required else field.default
    if field.metadata.get("positional"):
        nargs = "+" if holds_many(hint) else None if required else "?"
        # Left out, it leaves alone what --config says.
        given: dict[str, Any] = {} if required else {"default": argparse.SUPPRESS}
        parser.add_argument(field.name, type=str, nargs=nargs, **given)
    elif hint is bool:
        # --lowercase and --no-lowercase
        yes_no = ActionYesNo(yes_prefix="", no_prefix="no-")
        parser.add_argument(flag_name(field), action=yes_no, default=default)
    elif holds_many(hint):
        values = default if default is None else list(default)
        parser.add_argument(
            flag_name(field), type=str, nargs="+", required=required, default=values
        )
    else:
        parser.add_argument(flag_name(field), type=hint, required=required, default=default)


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


def _flags_first(arguments: list[str], settings_class: type) -> list[str]:
    """The flags with their values; then ``--``, and what is given by its place.

    argparse finds an optional argument right behind the one before it alone, not after flags, and
    takes a value such as -1e-3 for a flag.
    """
    hints = typing.get_type_hints(settings_class)
    fields = dataclasses.fields(settings_class)
    types = {flag_name(field): hints[field.name] for field in fields}
    flags, placed = [], []
    words = arguments[::-1]
    while words:
        word = words.pop()
        if word == "--":
            placed += words[::-1]
            break
        if not _is_flag(word):
            placed.append(word)
            continue
        flags.append(word)
        hint = types.get(word, bool)
        if hint is bool:
            continue
        if not holds_many(hint):
            if words and not _is_flag(words[-1]):
                flags[-1] += f"={words.pop()}"
            continue
        while words and not _is_flag(words[-1]):
            flags.append(words.pop())
    return [*flags, "--", *placed] if placed else flags


def _is_flag(word: str) -> bool:
    """Whether argparse would take it for one, but for all numbers."""
    if not word.startswith("-") or len(word) == 1 or " " in word.split("=")[0]:
        return False
    try:
        float(word)
    except ValueError:
        return True
    return False


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
        mend = ": write it in quotes" if kind == _KINDS[str] else ""
        return f"{flag_name(field)} takes {kind}{given}{mend}"
    return " ".join(message.split())


def _explain_unknown(word: str, command: str, fields: list[dataclasses.Field]) -> str:
    where = f"selfsup {command} --help lists what it takes"
    if not word.startswith("-"):
        return f"unexpected argument {word!r}: {where}"
    word = word.split("=")[0]
    known = [flag_name(field) for field in fields if not field.metadata.get("positional")]
    known += [flag.split()[0] for flag in COMMON_FLAGS if flag != "--help"]
    return f"unknown flag {word}{closest(word.replace('_', '-'), known) or f': {where}'}"
