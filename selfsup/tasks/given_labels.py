"""Labels as a file writes them, and what a model learns of them.

Shapes: N examples, C labels.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from selfsup.errors import UserError
from selfsup.tasks.classification.data import GivenLabel, LabelledTexts
from selfsup.tasks.labels import Kind, Labels, unknown

# A column with more labels than this, and hardly a repetition, holds something else.
MANY_LABELS = 50
# Of the standard deviation of numbers: the most that rounding them may change.
_LOST = 1e-3
# What the one score of a number is called.
NUMBER = "value"


def learn_labels(examples: LabelledTexts, label_type: Kind | None) -> Labels:
    """The labels that occur, in the order of their numbers or of the alphabet.

    Args:
        examples: labelled.
        label_type: "class", "multi" or "number"; if None, "multi" where the file holds lists,
            "number" where all labels are numbers and some have decimals, otherwise "class".

    Raises:
        UserError: there is only one, or so many that the column can hold no labels, or they are
            not of that type.
    """
    given = examples.labels
    assert given is not None
    kind = label_type or _guessed_kind(given)
    if kind == "number":
        numbers = numbers_of(examples)
        mean, std = float(numbers.mean()), float(numbers.std())
        if std and np.abs(numbers - numbers.astype(np.float32)).max() > _LOST * std:
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
        hint = "; if they are numbers, add --label-type number" if _are_numbers(counts) else ""
        raise UserError(
            f"{examples.source}: {len(counts)} different labels in {len(examples)} examples: "
            f"this column holds no classes: choose another with --label-column{hint}"
        )
    return Labels(kind, in_order(counts))


def encode_labels(examples: LabelledTexts, labels: Labels) -> np.ndarray | None:
    """The labels as numbers; None where they are unknown.

    Returns:
        "class": the label's place among the names, int64 [N]. "multi": 1 where an example has a
        label and 0 elsewhere, float32 [N, C]. "number": float32 [N].

    Raises:
        UserError: a label is none of the names, or no number.
    """
    if examples.labels is None:
        return None
    if labels.kind == "number":
        return numbers_of(examples).astype(np.float32)
    places = places_of(labels.names)
    if labels.kind == "multi":
        encoded = np.zeros((len(examples), len(labels)), np.float32)
        for row, several in enumerate(labels_of(examples)):
            for label in several:
                encoded[row, _place(label, places, labels, examples, row)] = 1
        return encoded
    given = _one_label_of(examples)
    numbers = [_place(label, places, labels, examples, row) for row, label in enumerate(given)]
    return np.asarray(numbers, np.int64)


def numbers_of(examples: LabelledTexts) -> np.ndarray:
    """Labels that are numbers, float64 [N].

    Raises:
        UserError: one is not.
    """
    assert examples.labels is not None
    numbers = []
    for line, label in zip(examples.lines, examples.labels, strict=True):
        number = _number(label)
        if number is None:
            raise UserError(
                f"{examples.source}, line {line}: label {_shown(label)} is no number, which "
                "--label-type number asks for"
            )
        numbers.append(number)
    return np.asarray(numbers, np.float64)


def labels_of(examples: LabelledTexts) -> list[tuple[str, ...]]:
    """Several labels each, or none.

    Raises:
        UserError: a label is no list.
    """
    assert examples.labels is not None
    several = []
    for line, label in zip(examples.lines, examples.labels, strict=True):
        if isinstance(label, str):
            raise UserError(
                f"{examples.source}, line {line}: label {label!r} is no list of labels: write "
                f'["{label}"], or say with --label-separator what stands between several'
            )
        several.append(label)
    return several


def _guessed_kind(given: Sequence[GivenLabel]) -> Kind:
    if any(isinstance(label, tuple) for label in given):
        return "multi"
    numbers = [_number(label) for label in set(given)]
    if any(number is None for number in numbers):
        return "class"
    return "class" if all(float(number or 0).is_integer() for number in numbers) else "number"


def _one_label_of(examples: LabelledTexts) -> list[str]:
    assert examples.labels is not None
    one = []
    for line, label in zip(examples.lines, examples.labels, strict=True):
        if isinstance(label, tuple):
            raise UserError(
                f"{examples.source}, line {line}: label {_shown(label)} is a list where one label "
                "is expected: train with --label-type multi"
            )
        one.append(label)
    return one


def places_of(names: Sequence[str]) -> dict[str, int]:
    """The place of each label.

    A file may say 1.0 where the name is 1, and the other way about. Where the names are those
    that ``transformers`` gives by itself, LABEL_0, LABEL_1 and so on, it may also say 0, 1 and so
    on.
    """
    places = {name: number for number, name in enumerate(names)}
    if all(name == f"LABEL_{number}" for number, name in enumerate(names)):
        places |= {str(number): number for number in range(len(names))}
    return {_other_spelling(name): place for name, place in places.items()} | places


def spellings(label: str) -> tuple[str, ...]:
    """How a model may call a file's label; see ``places_of``."""
    other = _other_spelling(label)
    return label, other, f"LABEL_{label}", f"LABEL_{other}"


def _one_spelling(counts: Counter[str]) -> Counter[str]:
    """Without 1.0 where there is 1."""
    return Counter(
        {
            label: count
            for label, count in counts.items()
            if not label.endswith(".0") or _other_spelling(label) not in counts
        }
    )


def _other_spelling(label: str) -> str:
    """Of a whole number, with ``.0`` where it is without, and without where it is with."""
    if not re.fullmatch(r"-?\d+(\.0)?", label):
        return label
    return label.removesuffix(".0") if label.endswith(".0") else f"{label}.0"


def _place(
    label: str, places: dict[str, int], labels: Labels, examples: LabelledTexts, row: int
) -> int:
    if label in places:
        return places[label]
    where = f"{examples.source}, line {examples.lines[row]}"
    raise unknown(
        f"{where}: label {label!r}", labels.names, "mend it, or train with examples of it"
    )


def in_order(labels: Counter[str]) -> tuple[str, ...]:
    """Labels that are whole numbers in their order, others in the alphabet's."""
    if all(re.fullmatch(r"-?\d{1,15}", label) for label in labels):
        return tuple(sorted(labels, key=int))
    return tuple(sorted(labels))


def _are_numbers(labels: Counter[str]) -> bool:
    return all(_number(label) is not None for label in labels)


def _number(label: GivenLabel) -> float | None:
    try:
        number = float(label) if isinstance(label, str) else math.nan
    except ValueError:
        return None
    return number if abs(number) < 1e30 else None


def _shown(label: GivenLabel) -> str:
    return repr(label) if isinstance(label, str) else json.dumps(label, ensure_ascii=False)
