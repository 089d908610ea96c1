"""Mistakes in a labelled file: raised one by one, or gathered by whoever wants to see them all."""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from selfsup.errors import UserError


class Mistake(UserError):
    """Something that is wrong with one record of a file, of a kind that may occur often.

    Attributes:
        kind: what the records are that share this mistake, such as ``lines without a tag``.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@contextmanager
def noting(mistakes: list[UserError] | None) -> Iterator[None]:
    """Add what is raised to ``mistakes``, and go on after the block; None lets it pass."""
    try:
        yield
    except UserError as error:
        if mistakes is None:
            raise
        mistakes.append(error)


# What the user should know of labelled files before a model learns from them, whatever the task.
#
# An example is compared by its key: its texts, white space aside.


# Of the examples, at the least, that have one label before that is worth a word.
MOST_FREQUENT = 0.8
# A label with fewer examples is hardly learnt.
FEWEST_EXAMPLES = 8
_SHOWN = 5


def key_of(*texts: str) -> tuple[str, ...]:
    """What tells an example from others."""
    return tuple(" ".join(text.split()) for text in texts)


def repetition_notes(source: str, keys: Sequence[Hashable], lines: Sequence[int]) -> list[str]:
    """How many examples of a file occur in it before, if any."""
    seen: set[Hashable] = set()
    repeated = []
    for key, line in zip(keys, lines, strict=True):
        if key in seen:
            repeated.append(line)
        seen.add(key)
    if not repeated:
        return []
    return [
        f"{source}: {len(repeated):,} of {len(keys):,} examples repeat an earlier one "
        f"(the first in line {repeated[0]})"
    ]


def contradiction_notes(
    source: str, keys: Sequence[Hashable], labels: Sequence[Hashable], lines: Sequence[int]
) -> list[str]:
    """How many examples of a file occur in it before with another label, if any."""
    first_label: dict[Hashable, Hashable] = {}
    torn = [
        line
        for key, label, line in zip(keys, labels, lines, strict=True)
        if first_label.setdefault(key, label) != label
    ]
    if not torn:
        return []
    return [
        f"{source}: {len(torn):,} examples have another label than the same text before them "
        f"(the first in line {torn[0]})"
    ]


def overlap_notes(
    train: str,
    train_keys: Iterable[Hashable],
    validation: str,
    validation_keys: Sequence[Hashable],
    validation_lines: Sequence[int],
) -> list[str]:
    """How many validation examples are learnt from as well, which flatters the metrics."""
    learnt = set(train_keys)
    both = [
        line for key, line in zip(validation_keys, validation_lines, strict=True) if key in learnt
    ]
    if not both:
        return []
    return [
        f"{validation}: {len(both):,} of {len(validation_keys):,} examples are also in {train} "
        f"(the first in line {both[0]}): the metrics flatter the model; take them out of one"
    ]


def balance_notes(
    source: str, counts: Counter[str], total: int, fair_metric: str = "f1"
) -> list[str]:
    """Whether one label outweighs all others, and which ones are rare.

    Args:
        source: the file.
        counts: examples of each label.
        total: all examples.
        fair_metric: which does not reward saying one label always.
    """
    notes = []
    label, most = counts.most_common(1)[0]
    if most > MOST_FREQUENT * total:
        notes.append(
            f'{source}: {most / total:.0%} of the examples have the label "{label}": judge by '
            f"{fair_metric}, which does not reward saying so always"
        )
    rare = {label: count for label, count in counts.items() if count < FEWEST_EXAMPLES}
    if rare and len(counts) > 1:
        notes.append(
            f"{source}: labels with fewer than {FEWEST_EXAMPLES} examples: "
            + shown(f'"{label}" ({count})' for label, count in sorted(rare.items()))
        )
    return notes


def absence_notes(validation: str, trained: Iterable[str], occurring: Iterable[str]) -> list[str]:
    """Labels that validation cannot measure."""
    present = set(occurring)
    absent = [f'"{label}"' for label in trained if label not in present]
    return [f"{validation}: no example of the label {shown(absent)}"] if absent else []


def shown(names: Iterable[str]) -> str:
    """The first few, and how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - _SHOWN:,} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more
