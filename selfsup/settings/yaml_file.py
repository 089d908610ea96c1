"""Settings as YAML: write them, and read them back."""

import dataclasses
import math
import re
import typing
from pathlib import Path
from typing import Any, TypeVar

import yaml

from selfsup.errors import UserError
from selfsup.settings.fields import closest, convert, holds_many, is_optional
from selfsup.special_files import refuse_special
from selfsup.structured_files import DEEPEST, WholeNumber, check

Settings = TypeVar("Settings")

_FLOAT, _TIMESTAMP = "tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp"
# Keys that a file may have beside the settings.
_COMMAND, _JSON = "command", "json"
_LARGEST = 1 << 20  # bytes
_Value = WholeNumber | float | bool | str | None


class _Loader(yaml.SafeLoader):
    """Reads 1e-3 as a number, which YAML 1.1 reads as text, and a date as text.

    Aliases are refused: a few lines of them stand for more values than fit into memory. So are tags
    such as ``!!set``, which no file of settings needs.
    """

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        problem = ""
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            problem = "& and * are not read: write each value out, and texts in quotes"
        elif getattr(event, "tag", None) is not None:
            problem = "tags are not read: write texts that begin with ! in quotes"
        elif self._depth > DEEPEST:
            problem = "it is nested too deeply"
        if problem:
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in (_FLOAT, _TIMESTAMP)]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    _FLOAT,
    re.compile(
        r"""(?:[-+]?\d[\d_]*\.[\d_]*(?:[eE][-+]?\d+)?
              |[-+]?\d[\d_]*[eE][-+]?\d+
              |[-+]?\.\d[\d_]*(?:[eE][-+]?\d+)?
              |[-+]?\.(?:inf|Inf|INF)
              |\.(?:nan|NaN|NAN))$""",
        re.VERBOSE,
    ),
    list("-+0123456789."),
)


def to_yaml(settings: Any) -> str:
    """The settings as YAML, which `--config` and `from_yaml` read back as they were."""
    return values_to_yaml(dataclasses.asdict(settings))


def values_to_yaml(values: dict[str, Any]) -> str:
    """Values as YAML, one a line.

    Raises:
        UserError: a text has no UTF-8 form, as some names of files have none.
    """
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
    if yaml.load(line, _Loader) == {name: value}:
        return line
    # The reader takes more texts for numbers, such as 0E0, than the writer puts in quotes.
    return yaml.safe_dump({name: value}, allow_unicode=True, width=math.inf, default_style='"')


def from_yaml(settings_class: type[Settings], file: Path, command: str | None = None) -> Settings:
    """The settings in a file that `to_yaml` wrote.

    command: the command that they are for, if the file may name one: see `read_settings`.

    Raises:
        UserError: the file is missing, is no YAML, or does not hold such settings.
    """
    refuse_special(file)
    values = read_settings(settings_class, file, command)
    values.pop(_JSON, None)
    for field in dataclasses.fields(settings_class):  # pyright: ignore[reportArgumentType]
        if field.default is dataclasses.MISSING and field.name not in values:
            raise UserError(f"{file}: {field.name} is missing: add a line `{field.name}: …`")
    return settings_class(**values)


def read_settings(settings_class: type, file: Path, command: str | None) -> dict[str, Any]:
    """The values in a YAML file, each of its field's type; `json` may be among them.

    command: a file that names another command in a line `command:` is refused, as a run's
        `run.yaml` names the command that wrote it.

    Raises:
        UserError: names the file, what is wrong with it and how to fix it.
    """
    hints = typing.get_type_hints(settings_class)
    fields = {field.name: field for field in dataclasses.fields(settings_class)}
    refuse_special(file, allowed="pipe")  # as of `--config <(…)`
    values = read_yaml(file)
    written_for = values.pop(_COMMAND, command)
    if written_for != command:
        raise UserError(
            f"{file}: these are settings of `selfsup {written_for}`, not of `selfsup {command}`"
        )
    for name, value in values.items():
        if name not in hints and name != _JSON:
            raise UserError(f"{file}: unknown setting {name!r}{closest(str(name), hints)}")
        hint = hints.get(name, bool)
        is_left_open = value is None and is_optional(hint)
        if value is None and not is_left_open:
            raise UserError(f"{file}: {name} has no value: give it one, or take the line out")
        if hint is bool and not isinstance(value, bool):
            raise UserError(f"{file}: {name} takes true or false, not {value}")
        if holds_many(hint) and not isinstance(value, list) and not is_left_open:
            raise UserError(f"{file}: {name} takes a list: write [{value}]")
        if name != _JSON and not is_left_open:
            try:
                values[name] = convert(fields[name], hint, value)
            except UserError as error:
                raise UserError(f"{file}: {error}") from None
    return values


def read_yaml(file: Path) -> dict[str, Any]:
    """The names and values in a YAML file.

    Raises:
        UserError: the file is missing, or is no YAML of names and values.
    """
    try:
        with file.open("rb") as opened:
            text = opened.read(_LARGEST + 1)
        if len(text) > _LARGEST:
            raise UserError(f"{file} is too large for a file of settings: name another one")
        values = yaml.load(text.decode(), _Loader)
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is no YAML file of settings: it is not UTF-8 text") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{file}, line {mark.line + 1}" if mark is not None else str(file)
        reason = getattr(error, "problem", None) or "it cannot be parsed"
        raise UserError(f"{where}: not valid YAML: {reason}") from error
    if not isinstance(values, dict):
        raise UserError(f"{file} holds no settings: write lines such as `seed: 1`")
    return check(values, dict[str, _Value | list[_Value]], file, "write it so")
