"""What one field of a label column holds: a label, a list of labels, or nothing."""

import ast
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any

from selfsup.errors import UserError
from selfsup.structured_files import parse_json
from selfsup.tasks.classification.label_numbers import read_numbers
from selfsup.tasks.labels import composed
from selfsup.tasks.notes import collect_errors
from selfsup.tasks.tables import Row

# One label, several of them, or a number.
RawLabel = str | tuple[str, ...] | float

# What programs write where a value is missing, in any case but for the last two.
_MISSING = {
    "nan", "-nan", "nat", "null", "n/a", "<na>", "#n/a", "#n/a n/a", "#na", "#null!", "#ref!",
    "#value!", "#div/0!", "#name?", "#num!", "1.#qnan", "1.#ind",
}  # fmt: skip
_MISSING_AS_WRITTEN = {"None", "NA"}  # "none" and "na" are also names that people give
_MISSING_AMONG_NUMBERS = {"none", "na", "?", ".", "--"}

# A list as NumPy prints it, without commas. Python would read ['a' 'b'] as one text.
_ITEM = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d*)?|True|False)"""
_NUMPY_LIST = re.compile(rf"\[\s*{_ITEM}(?:\s+{_ITEM})*\s*\]")
_LONGEST_PYTHON = 10_000  # characters
_CALL = re.compile(r"(?:array|set|frozenset)\((.*?)(?:,\s*dtype=\S+)?\)", re.DOTALL)


def missing_labels(labels: Iterable[RawLabel | None]) -> set[str]:
    """Those that are what a program writes where there is no value, such as NaN.

    Where all others are numbers, it may also be a question mark and the like.
    """
    names = {name for label in labels for name in names_in(label)}
    missing = {name for name in names if _is_missing(name)}
    unusual = {name for name in names if name.casefold() in _MISSING_AMONG_NUMBERS}
    numbers = names - missing - unusual
    if numbers and len(read_numbers(numbers).values) == len(numbers):
        return missing | unusual
    return missing


def names_in(label: RawLabel | None) -> tuple[str, ...]:
    """The names that stand in a field."""
    if label is None:
        return ()
    return label if isinstance(label, tuple) else (str(label),)


def _is_missing(name: str) -> bool:
    return name.casefold() in _MISSING or name in _MISSING_AS_WRITTEN


def without_label(labels: Sequence[RawLabel | None], missing: set[str]) -> list[int]:
    """The indices of the fields that are empty or hold one of the ``missing``."""
    lacks = (label is None or not missing.isdisjoint(names_in(label)) for label in labels)
    return [index for index, is_lacking in enumerate(lacks) if is_lacking]


def read_labels(
    rows: Sequence[Row],
    file: str,
    column: str,
    separator: str | None = None,
    errors: list[UserError] | None = None,
) -> list[RawLabel | None]:
    """The label or the labels in each row's field; None where the field is empty.

    Where fields hold several labels, an empty field holds none of them: an empty tuple.

    Raises:
        UserError: a field holds something else; the message names its line. With ``errors`` it is
            collected there, and the field counts as empty.
    """
    labels: list[RawLabel | None] = []
    for row in rows:
        label = None
        with collect_errors(errors):
            label = read_label(row, file, column, separator)
        labels.append(label)
    several = separator is not None or any(isinstance(label, tuple) for label in labels)
    return [() if label is None and several else label for label in labels]


def read_label(row: Row, file: str, column: str, separator: str | None = None) -> RawLabel | None:
    """The label or the labels in one row's field; None where it is empty.

    Lists may be written as in JSON, in Python, by NumPy or with the separator.

    Raises:
        UserError: the field holds neither names nor numbers.
    """
    value = row.fields.get(column)
    where = f'{file}, line {row.line}: "{column}"'
    listed = _list_in(value.strip()) if isinstance(value, str) else value
    if isinstance(listed, list):
        labels = [_written(item) for item in listed]
        if None in labels:
            raise UserError(f"{where} must be a list of labels, not of other things")
        return tuple(label for label in labels if label)
    label = _written(value)
    if label is None:
        raise UserError(
            f"{where} holds {type(value).__name__}, where a name or a number should stand: write "
            "it as text, or several labels as a list"
        )
    if separator is None or not label or _is_missing(label):
        return label or None
    if re.fullmatch(r"\[[^\[\]]*\]", label):
        label = label[1:-1]
    return tuple(part.strip() for part in label.split(separator) if part.strip())


def _written(value: Any) -> str | None:
    """One label as text, empty if it is missing; None if the value cannot be a label."""
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None:
        return ""
    return composed(str(value)) if isinstance(value, str | bool | int | float) else None


def _list_in(text: str) -> list[Any] | None:
    """The list that a text writes, or None if it writes none."""
    if call := _CALL.fullmatch(text):
        text = call[1] or "[]"
    if text[:1] + text[-1:] not in ("[]", "()", "{}"):
        return None
    if _NUMPY_LIST.fullmatch(text):
        text = f"[{','.join(re.findall(_ITEM, text))}]"
    # A long text of brackets or signs could end the process in literal_eval.
    readers = (parse_json, ast.literal_eval) if len(text) < _LONGEST_PYTHON else (parse_json,)
    for read in readers:
        with suppress(ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            value = read(text)
            if isinstance(value, list | tuple):
                return list(value)
            if isinstance(value, set):
                return sorted(value, key=str)
    return None
