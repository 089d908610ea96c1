"""Settings as YAML: how they are written, and what a file of them may hold."""

import dataclasses
import math
import typing
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import get_loader

from selfsup.errors import UserError
from selfsup.settings.fields import closest, holds_many


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


def check_yaml(file: Path, settings_class: type) -> None:
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
        hint = hints.get(name, bool)
        is_left_open = value is None and type(None) in typing.get_args(hint)
        if value is None and not is_left_open:
            raise UserError(f"{file}: {name} has no value: give it one, or take the line out")
        if hint is bool and not isinstance(value, bool):
            raise UserError(f"{file}: {name} takes true or false, not {value}")
        if holds_many(hint) and not isinstance(value, list) and not is_left_open:
            raise UserError(f"{file}: {name} takes a list: write [{value}]")
