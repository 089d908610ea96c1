"""A file of weights, one for each label: how much errors on its examples count in training."""

import csv
import io
import math
from collections.abc import Collection, Sequence
from pathlib import Path

from selfsup.errors import UserError
from selfsup.special_files import refuse_special
from selfsup.structured_files import parse_json
from selfsup.tasks.classification.label_names import label_number

_FLAG = "--class-weights"
_LARGEST_FILE = 1 << 22  # bytes
_LARGEST_WEIGHT = 1e6


def read_label_weights(
    file: str, names: Sequence[str], required: Collection[int]
) -> dict[int, float]:
    """Read the weight of each label, by the number of its name.

    Args:
        file: a JSON object, label → weight, or a table of two columns, label and weight, with tabs,
            commas or semicolons between them; a first line without a number is its heading.
        names: of all labels.
        required: the numbers of those that must have a weight.

    Raises:
        UserError: the file cannot be read, a label is unknown, missing or there twice, a weight is
            no number or out of range, or all weights are 0.
    """
    found: dict[int, float] = {}
    for label, value, where in _pairs(file):
        number = label_number(label, tuple(names))
        if number is None:
            known = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
            raise UserError(
                f"{_FLAG} {where}: {label[:60]!r} is no label of the training examples ({known}): "
                "take it out"
            )
        if number in found:
            raise UserError(f"{_FLAG} {where}: {label[:60]!r} has two weights: take one out")
        found[number] = _weight(value, f"{_FLAG} {where}: {label[:60]!r}")
    if missing := [names[number] for number in sorted(set(required) - found.keys())]:
        raise UserError(
            f"{_FLAG} {file}: no weight for {', '.join(map(repr, missing[:10]))}"
            f"{' and others' if missing[10:] else ''}: add it"
        )
    if not any(found[number] for number in required):
        raise UserError(f"{_FLAG} {file}: all weights are 0: nothing would be learned")
    return found


def _pairs(file: str) -> list[tuple[str, object, str]]:
    """Each label, its weight as it is written, and where that is."""
    text = _text(file)
    if text.lstrip().startswith("{"):
        try:
            entries = parse_json(text)
        except ValueError as error:
            raise UserError(f"{_FLAG} {file}: is no JSON ({error}): correct it") from None
        return [(label, value, file) for label, value in entries.items()]
    lines = text.splitlines()
    delimiter = next((mark for mark in "\t;," if lines and mark in lines[0]), ",")
    pairs: list[tuple[str, object, str]] = []
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise UserError(f"{_FLAG} {file}: is no table ({error}): correct it") from None
    for line, row in enumerate(rows, 1):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != 2:
            raise UserError(
                f"{_FLAG} {file}, line {line}: {len(row)} columns: give two, a label and its "
                "weight, or a JSON object"
            )
        if line == 1 and _number(row[1]) is None:
            continue
        pairs.append((row[0].strip(), row[1], f"{file}, line {line}"))
    return pairs


def _text(file: str) -> str:
    refuse_special(file)
    try:
        with Path(file).open("rb") as opened:
            data = opened.read(_LARGEST_FILE + 1)
        if len(data) > _LARGEST_FILE:
            raise UserError(f"{_FLAG} {file}: too large for a list of weights: give another file")
        return data.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UserError(
            f"{_FLAG} {file}: cannot be read ({reason}): give balanced or a file of weights"
        ) from None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _weight(value: object, where: str) -> float:
    weight = _number(value)
    if weight is None or not math.isfinite(weight) or not 0 <= weight <= _LARGEST_WEIGHT:
        raise UserError(
            f"{where} has the weight {str(value)[:60]}: give a number from 0 to "
            f"{_LARGEST_WEIGHT:,.0f}"
        )
    return weight
