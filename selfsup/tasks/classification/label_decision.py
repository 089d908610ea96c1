"""Decide what the labels of a training file are: names of classes, several a text, or numbers."""

from collections import Counter
from collections.abc import Mapping

import numpy as np

from selfsup.errors import UserError
from selfsup.tasks.classification.data import LabelledTexts
from selfsup.tasks.classification.label_fields import missing_labels, names_in, without_label
from selfsup.tasks.classification.label_names import in_order, one_spelling
from selfsup.tasks.classification.label_numbers import read_numbers
from selfsup.tasks.classification.raw_labels import (
    MISSING_FIX,
    agreed_upon,
    check_lengths,
    numbers_of,
    one_label_of,
    several_of,
    vectors_of,
)
from selfsup.tasks.labels import LabelKind, Labels

# A column with more different values than this, most of them unique, does not hold labels.
MANY_LABELS = 50
# Whole numbers with more different values than this may be quantities as well as classes.
MANY_NUMBERS = 20
# Most that rounding to float32 may change a number, in standard deviations.
_MAX_ROUNDING = 1e-3
# The name of the only score of a regression.
NUMBER = "value"


def learn_labels(examples: LabelledTexts, label_type: LabelKind | None) -> Labels:
    """Decide what the labels are. Names are in numerical or alphabetical order.

    Args:
        examples: with labels.
        label_type: "class", "multi" or "number"; if None, "multi" where the file holds lists,
            "number" where all labels are numbers and some have decimals, otherwise "class".

    Raises:
        UserError: there is only one, or too many for a column of labels, or they are not of that
            type, or what they are is ambiguous.
    """
    examples = agreed_upon(examples, ())
    _refuse_missing(examples)
    kind = label_type or _guess_kind(examples)
    if kind == "number":
        return _scale_of_numbers(examples)
    if kind == "multi":
        several = several_of(examples)
        vectors = vectors_of(several, 2)
        if any(map(any, vectors)):
            length = max(map(len, vectors))
            check_lengths(examples, vectors, length)
            return Labels("multi", tuple(map(str, range(length))), positions=True)
        counts = one_spelling(Counter(label for labels in several for label in set(labels)))
        if vectors or not counts:
            raise UserError(f"{examples.source}: no example has a label: check --label-column")
        numbers = read_numbers(counts).values
        if len(numbers) == len(counts) and not _are_whole(numbers):
            raise UserError(
                f"{examples.source}: the lists hold numbers with decimals, which cannot be learned "
                "together: give lists of labels, or one number in --label-column"
            )
    else:
        counts = one_spelling(Counter(one_label_of(examples)))
        if len(counts) == 1:
            raise UserError(
                f"{examples.source}: all {len(examples)} examples are labelled "
                f"{next(iter(counts))!r}: there is nothing to tell apart; check --label-column"
            )
    if len(counts) > max(MANY_LABELS, len(examples) / 2):
        are_numbers = len(read_numbers(counts).values) == len(counts)
        hint = "; if they are numbers, add --label-type number" if are_numbers else ""
        raise UserError(
            f"{examples.source}: {len(counts)} different labels in {len(examples)} examples: "
            f"this column holds no classes: choose another with --label-column{hint}"
        )
    return Labels(kind, in_order(counts))


def _scale_of_numbers(examples: LabelledTexts) -> Labels:
    numbers, _ = numbers_of(examples)
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


def _refuse_missing(examples: LabelledTexts) -> None:
    """Refuse labels such as NaN, unless they are the names of classes."""
    given = examples.labels or []
    missing = missing_labels(given)
    rows = without_label(given, missing)
    if rows and not examples.keeps_missing:
        label = next(label for label in names_in(given[rows[0]]) if label in missing)
        raise UserError(
            f"{examples.where(rows[0])}: label {label!r} says that there is none ({len(rows):,} "
            f"such rows): {MISSING_FIX}"
        )


def _guess_kind(examples: LabelledTexts) -> LabelKind:
    counts = Counter(examples.labels)
    if any(isinstance(label, tuple) for label in counts):
        return "multi"
    names = Counter({str(label): count for label, count in counts.items()})
    numbers = read_numbers(names)
    are_mostly_numbers = (
        2 * sum(names[name] for name in (*numbers.values, *numbers.doubtful)) > names.total()
    )
    if numbers.doubtful and are_mostly_numbers:
        raise _not_certain(
            examples,
            numbers.doubtful[0],
            "may be several numbers: write all with a decimal point and without separators of "
            "thousands, or add --label-type class, or --label-separator if it means several labels",
        )
    if unlike := next((name for name in names if _is_list_like(name)), None):
        raise _not_certain(
            examples,
            unlike,
            'looks like several labels: write them as in JSON, ["a", "b"], or add '
            "--label-separator , (--label-type class if it is one name)",
        )
    if "percent" not in numbers.notation and _are_whole(numbers.values):
        if len(numbers.values) < len(names) or len(names) <= MANY_NUMBERS:
            return "class"
        raise UserError(
            f"{examples.source}: the labels are {len(names)} different whole numbers: add "
            "--label-type number if they are quantities, --label-type class if they are classes, "
            "or choose another --label-column"
        )
    if len(numbers.values) == len(names):
        return "number"
    if are_mostly_numbers:
        other = next(name for name in names if name not in numbers.values)
        why = "is no number, where most are: fix it, or add --label-type class"
        raise _not_certain(examples, other, why)
    return "class"


def _not_certain(examples: LabelledTexts, label: str, why: str) -> UserError:
    return UserError(
        f"{examples.where((examples.labels or []).index(label))}: label {label!r} {why}"
    )


def _is_list_like(name: str) -> bool:
    return name[0] + name[-1] in ("[]", "{}") and "," in name


def _are_whole(numbers: Mapping[str, float]) -> bool:
    return all(number.is_integer() for number in numbers.values())
