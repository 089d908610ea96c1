"""The names of labels: which spellings mean the same one, and how names are ordered."""

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache

from selfsup.tasks.labels import composed


def label_key(label: str) -> str:
    """A form that is equal for all spellings of a label: 1 and 1.0, true and TRUE."""
    label = composed(label)
    if re.fullmatch(r"-?\d+\.0*", label):
        return label[: label.index(".")]
    lowered = label.lower()
    return lowered if lowered in ("true", "false") else label


@cache
def label_numbers(names: tuple[str, ...]) -> dict[str, int]:
    """The index of each label's name, by the name and by its ``label_key``.

    If the names are the default ones of ``transformers``, LABEL_0, LABEL_1 and so on, 0, 1 and so
    on stand for them, too.
    """
    numbers = {name: number for number, name in enumerate(names)}
    if are_default_names(names):
        numbers |= {str(number): number for number in range(len(names))}
    return {label_key(name): number for name, number in numbers.items()} | numbers


def label_number(label: str, names: tuple[str, ...]) -> int | None:
    """The index of the name that a file's label means; None if there is none."""
    numbers = label_numbers(names)
    return numbers.get(label, numbers.get(label_key(label)))


def are_default_names(names: Sequence[str]) -> bool:
    return all(name == f"LABEL_{number}" for number, name in enumerate(names))


def one_spelling(counts: Counter[str]) -> Counter[str]:
    """The counts of different labels, each under its simplest or else its usual spelling."""
    spellings: dict[str, Counter[str]] = {}
    for label, count in counts.items():
        spellings.setdefault(label_key(label), Counter())[label] += count
    return Counter(
        {
            key if key in found else found.most_common(1)[0][0]: found.total()
            for key, found in spellings.items()
        }
    )


def in_order(labels: Counter[str]) -> tuple[str, ...]:
    """Labels in numerical order if all are whole numbers, else in alphabetical order."""
    if all(re.fullmatch(r"-?\d{1,15}", label) for label in labels):
        return tuple(sorted(labels, key=int))
    return tuple(sorted(labels))
