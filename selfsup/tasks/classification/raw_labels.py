"""Labels as a file writes them, and the labels that a model learns from them.

Shapes: N examples, C labels.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from selfsup.errors import UserError
from selfsup.tasks.classification.data import LabelledTexts, RawLabel
from selfsup.tasks.labels import LabelKind, Labels, unknown_label

# A column with more different values than this, most of them unique, does not hold labels.
MANY_LABELS = 50
# Most that rounding to float32 may change a number, in standard deviations.
_MAX_ROUNDING = 1e-3
# The name of the only score of a regression.
NUMBER = "value"

T = TypeVar("T")


def learn_labels(examples: LabelledTexts, label_type: LabelKind | None) -> Labels:
    """The labels that occur, in numerical or alphabetical order.

    Args:
        examples: with labels.
        label_type: "class", "multi" or "number"; if None, "multi" where the file holds lists,
            "number" where all labels are numbers and some have decimals, otherwise "class".

    Raises:
        UserError: there is only one, or too many for a column of labels, or they are not of that
            type.
    """
    assert examples.labels is not None
    kind = label_type or _guess_kind(examples.labels)
    if kind == "number":
        numbers = numbers_of(examples)
        mean, std = float(numbers.mean()), float(numbers.std())
        if std and np.abs(numbers - numbers.astype(np.float32)).max() > _MAX_ROUNDING * std:
            raise UserError(
                f"{examples.source}: the labels, {numbers.min():.15g} to {numbers.max():.15g}, "
                "differ too little for their size, and float32 cannot tell them apart: subtract "
                "their mean"
            )
        if not std:
            raise UserError(
                f"{examples.source}: all {len(examples)} labels are the number {mean:g}: there is "
                "nothing to learn; check --label-column"
            )
        return Labels("number", (NUMBER,), mean, std)
    if kind == "multi":
        several = labels_of(examples)
        counts = _one_spelling(Counter(label for labels in several for label in labels))
        if not counts:
            raise UserError(f"{examples.source}: no example has a label: check --label-column")
    else:
        counts = _one_spelling(Counter(_one_label_of(examples)))
        if len(counts) == 1:
            raise UserError(
                f"{examples.source}: all {len(examples)} examples are labelled "
                f"{next(iter(counts))!r}: there is nothing to tell apart; check --label-column"
            )
    if len(counts) > max(MANY_LABELS, len(examples) / 2):
        are_numbers = all(_number(label) is not None for label in counts)
        hint = "; if they are numbers, add --label-type number" if are_numbers else ""
        raise UserError(
            f"{examples.source}: {len(counts)} different labels in {len(examples)} examples: "
            f"this column holds no classes: choose another with --label-column{hint}"
        )
    return Labels(kind, in_order(counts))


def encode_labels(examples: LabelledTexts, labels: Labels) -> np.ndarray | None:
    """The labels as numbers; None where they are unknown.

    Returns:
        "class": the index of the label's name, int64 [N]. "multi": 1 where an example has a label
        and 0 elsewhere, float32 [N, C]. "number": float32 [N].

    Raises:
        UserError: a label is not one of the names, or not a number.
    """
    if examples.labels is None:
        return None
    if labels.kind == "number":
        return numbers_of(examples).astype(np.float32)
    numbers = label_numbers(labels.names)
    if labels.kind == "class":
        one_each = enumerate(_one_label_of(examples))
        of_each = [_label_number(label, numbers, labels, examples, row) for row, label in one_each]
        return np.asarray(of_each, np.int64)
    encoded = np.zeros((len(examples), len(labels)), np.float32)
    for row, several in enumerate(labels_of(examples)):
        for label in several:
            encoded[row, _label_number(label, numbers, labels, examples, row)] = 1
    return encoded


def numbers_of(examples: LabelledTexts) -> np.ndarray:
    """Labels that are numbers, float64 [N].

    Raises:
        UserError: a label is not a number.
    """
    numbers = _each(examples, _number, "is no number, which --label-type number asks for")
    return np.asarray(numbers, np.float64)


def labels_of(examples: LabelledTexts) -> list[tuple[str, ...]]:
    """The labels of each example: any number of them.

    Raises:
        UserError: a label is not a list.
    """
    return _each(
        examples,
        lambda label: label if isinstance(label, tuple) else None,
        'is no list of labels: write ["{label}"], or say with --label-separator what stands '
        "between several",
    )


def _guess_kind(labels: Sequence[RawLabel]) -> LabelKind:
    if any(isinstance(label, tuple) for label in labels):
        return "multi"
    numbers = [_number(label) for label in set(labels)]
    if any(number is None for number in numbers):
        return "class"
    return "class" if all(float(number or 0).is_integer() for number in numbers) else "number"


def _one_label_of(examples: LabelledTexts) -> list[str]:
    return _each(
        examples,
        lambda label: label if isinstance(label, str) else None,
        "is a list where one label is expected: train with --label-type multi",
    )


def _each(examples: LabelledTexts, read: Callable[[RawLabel], T | None], reason: str) -> list[T]:
    """What ``read`` makes of each label; where that is None, an error that gives the reason."""
    values = []
    for line, label in zip(examples.lines, examples.labels or [], strict=True):
        value = read(label)
        if value is None:
            where = f"{examples.source}, line {line}: label {_quoted(label)}"
            raise UserError(f"{where} {reason.format(label=label)}")
        values.append(value)
    return values


def label_numbers(names: Sequence[str]) -> dict[str, int]:
    """The index of each label's name, under every spelling that a file may use.

    A file may write 1.0 where the name is 1, and the other way round. If the names are the default
    ones of ``transformers``, LABEL_0, LABEL_1 and so on, it may also write 0, 1 and so on.
    """
    numbers = {name: number for number, name in enumerate(names)}
    if all(name == f"LABEL_{number}" for number, name in enumerate(names)):
        numbers |= {str(number): number for number in range(len(names))}
    return {_other_spelling(name): number for name, number in numbers.items()} | numbers


def spellings(label: str) -> tuple[str, ...]:
    """The names that a model may have for a file's label; see ``label_numbers``."""
    other = _other_spelling(label)
    return label, other, f"LABEL_{label}", f"LABEL_{other}"


def _one_spelling(counts: Counter[str]) -> Counter[str]:
    """The counts without 1.0 if there is also 1."""
    twice = {name for name in counts if name.endswith(".0") and _other_spelling(name) in counts}
    return Counter({label: count for label, count in counts.items() if label not in twice})


def _other_spelling(label: str) -> str:
    """A whole number with ``.0`` added or removed; any other label unchanged."""
    if not re.fullmatch(r"-?\d+(\.0)?", label):
        return label
    return label.removesuffix(".0") if label.endswith(".0") else f"{label}.0"


def _label_number(
    label: str, numbers: dict[str, int], labels: Labels, examples: LabelledTexts, row: int
) -> int:
    if label in numbers:
        return numbers[label]
    where = f"{examples.source}, line {examples.lines[row]}"
    raise unknown_label(
        f"{where}: label {label!r}", labels.names, "fix it, or train with examples of it"
    )


def in_order(labels: Counter[str]) -> tuple[str, ...]:
    """Labels in numerical order if all are whole numbers, else in alphabetical order."""
    if all(re.fullmatch(r"-?\d{1,15}", label) for label in labels):
        return tuple(sorted(labels, key=int))
    return tuple(sorted(labels))


def _number(label: RawLabel) -> float | None:
    try:
        number = float(label) if isinstance(label, str) else math.nan
    except ValueError:
        return None
    return number if abs(number) < 1e30 else None


def _quoted(label: RawLabel) -> str:
    return repr(label) if isinstance(label, str) else json.dumps(label, ensure_ascii=False)
