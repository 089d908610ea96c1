"""Labels as a file writes them, read as what the training file's labels are.

``label_decision`` decides what these are. Every file is then read in that way.

Shapes: N examples, C labels.
"""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from selfsup.errors import UserError
from selfsup.tasks.classification.data import LabelledTexts
from selfsup.tasks.classification.label_fields import RawLabel, missing_labels
from selfsup.tasks.classification.label_names import are_default_names, label_key, label_number
from selfsup.tasks.classification.label_numbers import read_numbers
from selfsup.tasks.labels import Labels, unknown_label
from selfsup.tasks.notes import look

# The label in SNLI and similar data for examples on which the annotators did not agree.
NO_AGREEMENT = "-"
MISSING_FIX = (
    "write a label, leave such rows out with --missing-labels drop, or train with "
    "--missing-labels keep, which makes it a class"
)
_ZERO_OR_ONE = {"0": False, "false": False, "1": True, "true": True}

T = TypeVar("T")


def settled_labels(examples: LabelledTexts, labels: Labels) -> LabelledTexts:
    """The examples with labels under the names of ``labels``, or with numbers.

    Raises:
        UserError: a label is not one of the names, or not a number.
    """
    if examples.labels is None:
        return examples
    examples = agreed_upon(examples, labels.names)
    if labels.kind == "number":
        numbers, notation = numbers_of(examples)
        note = f"{examples.source}: the labels are numbers{notation}"
        if "comma" in notation:
            note += "; --label-separator , makes them several labels"
        notes = (*examples.notes, note) if notation else examples.notes
        return replace(examples, labels=numbers.tolist(), notes=notes)
    if labels.kind == "class":
        of_each = [
            _named(label, labels, examples, row) for row, label in enumerate(one_label_of(examples))
        ]
        return replace(examples, labels=of_each)
    several = several_of(examples)
    by_position = labels.positions or are_default_names(labels.names)
    if vectors := vectors_of(several, len(labels) if by_position else None):
        if not by_position:
            raise UserError(
                f"{examples.where(0)}: label {_quoted(several[0])} does not say which of the "
                f"labels it means ({', '.join(labels.names[:10])}): write their names"
            )
        check_lengths(examples, vectors, len(labels))
        several = [
            tuple(name for name, one in zip(labels.names, vector, strict=True) if one)
            for vector in vectors
        ]
    named = [
        tuple(dict.fromkeys(_named(label, labels, examples, row) for label in given))
        for row, given in enumerate(several)
    ]
    return replace(examples, labels=named)


def encode_labels(examples: LabelledTexts, labels: Labels) -> np.ndarray | None:
    """The settled labels as a model takes them; None where they are unknown.

    Returns:
        "class": the index of the label's name, int64 [N]. "multi": 1 where an example has a label
        and 0 elsewhere, float32 [N, C]. "number": float32 [N].
    """
    if examples.labels is None:
        return None
    if labels.kind == "number":
        return np.asarray(examples.labels, np.float64).astype(np.float32)
    numbers = {name: number for number, name in enumerate(labels.names)}
    if labels.kind == "class":
        return np.asarray([numbers[str(label)] for label in examples.labels], np.int64)
    encoded = np.zeros((len(examples), len(labels)), np.float32)
    for row, several in enumerate(examples.labels):
        assert isinstance(several, tuple)
        encoded[row, [numbers[label] for label in several]] = 1
    return encoded


def agreed_upon(examples: LabelledTexts, names: Collection[str]) -> LabelledTexts:
    """The examples without those whose label "-" means that they have none.

    It is a label where it is one of the names, or where another is "+".
    """
    labels = set(examples.labels or [])
    is_label = NO_AGREEMENT in names or "+" in labels or examples.keeps_missing
    if NO_AGREEMENT not in labels or is_label or len(labels) == 1:
        return examples
    out = [row for row, label in enumerate(examples.labels or []) if label == NO_AGREEMENT]
    note = f'{examples.source}: {len(out):,} examples with the label "-" (not agreed upon) left out'
    return examples.without(out, note)


def numbers_of(examples: LabelledTexts) -> tuple[np.ndarray, str]:
    """Labels that are numbers, float64 [N], and their notation."""
    numbers = read_numbers({str(label) for label in examples.labels or []})
    reason = "is no number, or may be several: numbers are written like 1234.5"
    values = _each(examples, lambda label: numbers.values.get(str(label)), reason)
    return np.asarray(values, np.float64), numbers.notation


def several_of(examples: LabelledTexts) -> list[tuple[str, ...]]:
    """The labels of each example: any number of them."""
    return _each(
        examples,
        lambda label: label if isinstance(label, tuple) else None,
        'is no list of labels: write ["{label}"], or say with --label-separator what stands '
        "between several",
    )


def vectors_of(several: Sequence[tuple[str, ...]], length: int | None) -> list[list[bool]]:
    """The lists as vectors of zeros and ones; nothing if they are lists of the labels 0 and 1.

    They are vectors if one names a label twice, as all of three or more do, or if all have this
    length.
    """
    keys = [[label_key(label) for label in labels] for labels in several]
    if not {key for labels in keys for key in labels} <= _ZERO_OR_ONE.keys():
        return []
    repeats = any(len(set(labels)) < len(labels) for labels in keys)
    if not repeats and set(map(len, keys)) != {length}:
        return []
    return [[_ZERO_OR_ONE[key] for key in labels] for labels in keys]


def check_lengths(examples: LabelledTexts, vectors: list[list[bool]], length: int) -> None:
    """Refuse vectors of another length, by their line."""
    for row, vector in enumerate(vectors):
        if len(vector) != length:
            raise UserError(
                f"{examples.where(row)}: label {_quoted((examples.labels or [])[row])} has "
                f"{len(vector)} zeros and ones, where {length} are expected: give one for each "
                "label"
            )


def one_label_of(examples: LabelledTexts) -> list[str]:
    """The only label of each example, which may stand in a list."""

    def one(label: RawLabel) -> str | None:
        if isinstance(label, tuple):
            return label[0] if len(label) == 1 else None
        return str(label)

    reason = "is a list where one label is expected: train with --label-type multi"
    return _each(examples, one, reason)


def _each(examples: LabelledTexts, read: Callable[[RawLabel], T | None], reason: str) -> list[T]:
    """What ``read`` makes of each label; where that is None, an error that gives the reason."""
    values = []
    for row, label in enumerate(examples.labels or []):
        value = read(label)
        if value is None:
            what = f"{examples.where(row)}: label {_quoted(label)}"
            raise UserError(f"{what} {reason.format(label=label)}")
        values.append(value)
    return values


def _named(label: str, labels: Labels, examples: LabelledTexts, row: int) -> str:
    """The model's name for a label of the file."""
    number = label_number(label, labels.names)
    if number is not None:
        return labels.names[number]
    fix = "fix it, or train with examples of it"
    if missing_labels([label]):
        fix = MISSING_FIX
    elif alike := next((name for name in labels.names if look(name) == look(label)), None):
        fix = f"it looks like {alike!r}: write them alike"
    raise unknown_label(f"{examples.where(row)}: label {label!r}", labels.names, fix)


def _quoted(label: RawLabel) -> str:
    return repr(label) if isinstance(label, str) else json.dumps(label, ensure_ascii=False)
