"""Read a command's settings from the words of the command line, and from YAML files.

The fields of the command's settings dataclass say what it takes: the name, type and default of each
flag, and which arguments are positional. Whatever is wrong ends in a one-line UserError that names
the flag or the file and says how to fix it.
"""

import dataclasses
import sys
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from selfsup.atomic_files import refuse_address
from selfsup.cli.help_page import usage
from selfsup.errors import UserError
from selfsup.settings.fields import (
    COMMON_FLAGS,
    LOCAL_FILE,
    closest,
    convert,
    flag_name,
    holds_many,
    is_optional,
)
from selfsup.settings.yaml_file import read_settings, values_to_yaml

Settings = TypeVar("Settings")


def parse_command(
    command: str, settings_class: type[Settings], arguments: Sequence[str]
) -> tuple[Settings, bool]:
    """The settings in the arguments after `selfsup COMMAND`, and whether --json is among them.

    Flags win over the files of --config, and a later file or flag over an earlier one.

    Raises:
        UserError: something is wrong with them.
        SystemExit: with status 0, after --print-config.
    """
    fields = dataclasses.fields(settings_class)  # pyright: ignore[reportArgumentType]
    given, config_files = _read_words(command, settings_class, arguments)
    values: dict[str, Any] = {}
    for file in config_files:
        refuse_address(file, LOCAL_FILE, "--config")
        values |= read_settings(settings_class, Path(file), command)
    values |= given
    as_json = values.pop("json", False)
    if values.pop("print_config", False):
        defaults = {f.name: f.default for f in fields if f.default is not dataclasses.MISSING}
        known = defaults | values
        in_order = {field.name: known[field.name] for field in fields if field.name in known}
        if reconfigure := getattr(sys.stdout, "reconfigure", None):
            reconfigure(encoding="utf-8")  # as --config reads it
        print(values_to_yaml(in_order), end="", flush=True)
        raise SystemExit(0)
    required = [field for field in fields if field.default is dataclasses.MISSING]
    for field in sorted(required, key=lambda field: not field.metadata.get("positional")):
        if field.name not in values:
            raise UserError(_explain_missing(command, settings_class, field))
    return settings_class(**values), as_json


def _read_words(
    command: str, settings_class: type, arguments: Sequence[str]
) -> tuple[dict[str, Any], list[str]]:
    """The values by their fields' names, also `json` and `print_config`; the files of --config."""
    hints = typing.get_type_hints(settings_class)
    fields = dataclasses.fields(settings_class)
    flags = {flag_name(field): field for field in fields if not field.metadata.get("positional")}
    # Flags without a value: the name and the value of what they set.
    switches = {"--json": ("json", True), "--print-config": ("print_config", True)}
    switches["--print_config"] = switches["--print-config"]  # its older name
    for flag, field in flags.items():
        if hints[field.name] is bool:
            switches[flag] = (field.name, True)
            switches[flag.replace("--", "--no-", 1)] = (field.name, False)

    values: dict[str, Any] = {}
    config_files: list[str] = []
    positionals: list[str] = []
    words = list(reversed(arguments))  # the next one is the last
    while words:
        word = words.pop()
        if word == "--":  # all words after it are positional
            positionals += reversed(words)
            break
        if not _is_flag(word):
            positionals.append(word)
            continue
        flag, equals, text = word.partition("=")
        if flag in switches:
            if equals:
                raise UserError(f"{flag} takes no value: leave out ={text}")
            name, value = switches[flag]
            values[name] = value
        elif flag == "--config":
            config_files += [text] if equals else _take_values(flag, words, several=False)
        elif flag in flags:
            field = flags[flag]
            several = holds_many(hints[field.name])
            texts = [text] if equals else _take_values(flag, words, several)
            values[field.name] = _field_value(field, hints[field.name], texts)
        else:
            raise UserError(_explain_unknown(flag, command, [*flags, *COMMON_FLAGS]))

    for field in fields:
        if field.metadata.get("positional") and positionals:
            if holds_many(hints[field.name]):
                values[field.name], positionals = tuple(positionals), []
            else:
                values[field.name] = positionals.pop(0)
    if positionals:
        raise UserError(f"unexpected argument {positionals[0]!r}: {_where_to_look(command)}")
    return values, config_files


def _take_values(flag: str, words: list[str], several: bool) -> list[str]:
    """Take a flag's value, or its several values, from the end of `words`."""
    taken: list[str] = []
    while words and not _is_flag(words[-1]) and (several or not taken):
        taken.append(words.pop())
    if not taken:
        raise UserError(f"{flag} needs a value after it")
    return taken


def _field_value(field: dataclasses.Field, hint: Any, texts: list[str]) -> Any:
    if texts == ["null"] and is_optional(hint):  # takes back what --config says
        return None
    return convert(field, hint, texts if holds_many(hint) else texts[0])


def _is_flag(word: str) -> bool:
    """Whether a word is a flag: it begins with a dash, and is no number and no sentence."""
    if not word.startswith("-") or len(word) == 1 or " " in word.split("=")[0]:
        return False
    try:
        float(word)
    except ValueError:
        return True
    return False


def _explain_missing(command: str, settings_class: type, field: dataclasses.Field) -> str:
    name = flag_name(field)
    if field.metadata.get("positional"):
        return f"{name} is missing: {usage(command, settings_class)}"
    return f"{name} is missing: add {name} {field.metadata.get('metavar') or 'VALUE'}"


def _explain_unknown(flag: str, command: str, known: list[str]) -> str:
    known = [name.split()[0] for name in known if name != "--help"]
    hint = closest(flag.replace("_", "-"), known) or f": {_where_to_look(command)}"
    return f"unknown flag {flag}{hint}"


def _where_to_look(command: str) -> str:
    return f"selfsup {command} --help lists what it takes"
