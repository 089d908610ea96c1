"""What is said of the labels before training: what they are taken for, and what is odd."""

import re
from collections import Counter

import numpy as np

from selfsup.tasks.classification.data import LabelledTexts
from selfsup.tasks.classification.label_fields import names_in
from selfsup.tasks.labels import Labels
from selfsup.tasks.notes import absence_notes, balance_notes, counted, listed, look

_SEPARATORS = (",", ";", "|", "/", "+", "&", "\t")


def label_notes(train: LabelledTexts, validation: LabelledTexts, labels: Labels) -> list[str]:
    """Sentences on the settled labels of both files."""
    if labels.kind == "number":
        numbers = np.asarray(train.labels, np.float64)
        return [
            f"{train.source}: the labels are numbers from {numbers.min():g} to {numbers.max():g}, "
            f"on average {labels.mean:.3g} ± {labels.std:.3g}; --label-type class makes them "
            "classes"
        ]
    counts = Counter(label for given in train.labels or [] for label in names_in(given))
    names = listed(labels.names)
    if labels.kind == "multi":
        how = "vectors of 0 and 1, named by position" if labels.positions else "lists"
        without = counted(sum(not label for label in train.labels or []), "text", "texts")
        notes = [
            f"{train.source}: several labels a text, from {how}: {names}; on average "
            f"{counts.total() / len(train):.2g} a text, none for {without}"
        ]
    else:
        are_grades = len(labels) > 2 and all(re.fullmatch(r"-?\d+", name) for name in labels.names)
        hint = "; --label-type number makes them numbers" if are_grades else ""
        notes = [
            f"{train.source}: the labels are {len(labels)} classes: {names}{hint}",
            *joined_notes(train.source, labels.names),
        ]
    notes += alike_notes(train.source, counts)
    # With several labels a text, micro-averaged f1 rewards the frequent ones, too.
    fair_metric = "f1_macro" if labels.kind == "multi" else "f1"
    notes += balance_notes(train.source, counts, len(train), fair_metric)
    in_validation = {label for given in validation.labels or [] for label in names_in(given)}
    return notes + absence_notes(validation.source, labels.names, in_validation)


def alike_notes(source: str, counts: Counter[str]) -> list[str]:
    """The labels that differ only in case, spaces or width."""
    groups: dict[str, list[str]] = {}
    for label, count in sorted(counts.items()):
        groups.setdefault(look(label), []).append(f'"{label}" ({count:,})')
    alike = [" and ".join(group) for group in groups.values() if len(group) > 1]
    what = f"{source}: labels that differ only in case or spaces: {listed(alike)}"
    return [f"{what}: most likely they are one: write them alike"] if alike else []


def joined_notes(source: str, names: tuple[str, ...]) -> list[str]:
    """Whether names are other names with a separator between them."""
    for separator in _SEPARATORS:
        parts = {name: [part.strip() for part in name.split(separator)] for name in names}
        frequencies = Counter(part for of_name in parts.values() for part in set(of_name))
        joined = [
            f'"{name}"'
            for name, of_name in parts.items()
            if len(of_name) > 1 and all(part and frequencies[part] > 1 for part in of_name)
        ]
        if len(joined) > 1 or (joined and len(names) > 2):
            return [
                f"{source}: labels that look like several: {listed(joined)}: if they are, add "
                f"--label-separator {separator!r}"
            ]
    return []
