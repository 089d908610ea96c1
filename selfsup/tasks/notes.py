"""Problems of labelled files: errors in single records, and notes for the user before training.

Errors end the reading, or are collected by ``selfsup doctor``, which shows them all. Notes are
sentences; they compare examples by a key, their text with white space normalized.
"""

import unicodedata
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from tokenizers import Tokenizer

from selfsup.corpus.tokenizer.unknown import count_unknown
from selfsup.errors import UserError


class DataError(UserError):
    """An error in one record of a file, of a kind that may occur in many.

    Attributes:
        kind: a name for the records with this error, such as ``lines without a tag``.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@contextmanager
def collect_errors(errors: list[UserError] | None) -> Iterator[None]:
    """Append an error raised in the block to ``errors`` and continue after the block.

    If ``errors`` is None, the error is raised.
    """
    try:
        yield
    except UserError as error:
        if errors is None:
            raise
        errors.append(error)


# The share of one label from which the user is told that the labels are imbalanced.
MOST_FREQUENT = 0.8
# A label with fewer examples is hardly learned.
FEWEST_EXAMPLES = 8
_SHOWN = 5
_MOST_EXAMINED = 256  # texts, evenly spread, as counting takes as long as tokenizing
_UNKNOWN_TO_A_MODEL = "take a model for such text, or pre-train one on it with selfsup pretrain"


def counted(count: int, one: str, many: str) -> str:
    """`1 text is empty`, or `1,234 texts are empty`."""
    return f"{count:,} {one if count == 1 else many}"


def key_of(*texts: str) -> tuple[str, ...]:
    """The key by which an example is compared with others."""
    return tuple(unicodedata.normalize("NFC", " ".join(text.split())) for text in texts)


def tokenizer_notes(source: str, tokenizer: Tokenizer, texts: Sequence[str]) -> list[str]:
    """How much of the texts the tokenizer does not know, or reads as other letters, if any."""
    decomposed = [text for text in texts if not unicodedata.is_normalized("NFC", text)]
    of_file, notes = f"{source}: " if source else "", []
    if any(
        tokenizer.encode(text).ids != tokenizer.encode(unicodedata.normalize("NFC", text)).ids
        for text in decomposed[:_MOST_EXAMINED]
    ):
        notes.append(
            f"{of_file}{len(decomposed):,} of {len(texts):,} texts hold decomposed characters "
            "(NFD), which this tokenizer reads as other letters: compose them (NFC), as most text "
            "is"
        )
    step = -(-len(texts) // _MOST_EXAMINED) or 1
    if unknown := count_unknown(tokenizer, texts[::step]).note(_UNKNOWN_TO_A_MODEL):
        notes.append(of_file + unknown)
    return notes


def look(label: str) -> str:
    """A form that is equal for labels that differ only in case, spaces or width."""
    wide = unicodedata.normalize("NFKC", label).casefold()
    return " ".join("".join(c for c in wide if unicodedata.category(c) != "Cf").split())


def repetition_notes(source: str, keys: Sequence[Hashable], lines: Sequence[int]) -> list[str]:
    """How many examples repeat an earlier one of the same file, if any."""
    seen: set[Hashable] = set()
    repeated = []
    for key, line in zip(keys, lines, strict=True):
        if key in seen:
            repeated.append(line)
        seen.add(key)
    return _with_first(
        repeated,
        f"{source}: {len(repeated):,} of {len(keys):,} examples "
        f"{'repeats' if len(repeated) == 1 else 'repeat'} an earlier one",
    )


def contradiction_notes(
    source: str, keys: Sequence[Hashable], labels: Sequence[Hashable], lines: Sequence[int]
) -> list[str]:
    """How many examples repeat an earlier one of the same file with another label, if any."""
    first_label: dict[Hashable, Hashable] = {}
    contradictory = [
        line
        for key, label, line in zip(keys, labels, lines, strict=True)
        if first_label.setdefault(key, label) != label
    ]
    return _with_first(
        contradictory,
        f"{source}: {counted(len(contradictory), 'example has', 'examples have')} another label "
        "than the same text further up",
    )


def overlap_notes(
    train: str,
    train_keys: Iterable[Hashable],
    validation: str,
    validation_keys: Sequence[Hashable],
    validation_lines: Sequence[int],
) -> list[str]:
    """How many validation examples are training examples, too, if any."""
    trained = set(train_keys)
    both = [
        line for key, line in zip(validation_keys, validation_lines, strict=True) if key in trained
    ]
    return _with_first(
        both,
        f"{validation}: {len(both):,} of {len(validation_keys):,} examples "
        f"{'is' if len(both) == 1 else 'are'} also in {train}",
        ": the metrics flatter the model; take them out of one",
    )


def _with_first(lines: list[int], note: str, advice: str = "") -> list[str]:
    """The note on the examples of these lines, if there are any."""
    return [f"{note} (the first in line {lines[0]}){advice}"] if lines else []


def balance_notes(
    source: str, counts: Counter[str], total: int, fair_metric: str = "f1"
) -> list[str]:
    """Whether one label is much more frequent than all others, and which labels are rare.

    Args:
        source: the file.
        counts: examples of each label.
        total: all examples.
        fair_metric: a metric that does not reward always predicting the same label.
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
            + listed(f'"{label}" ({count})' for label, count in sorted(rare.items()))
        )
    return notes


def absence_notes(validation: str, trained: Iterable[str], occurring: Iterable[str]) -> list[str]:
    """The labels without validation examples, if any."""
    present = set(occurring)
    absent = [f'"{label}"' for label in trained if label not in present]
    return [f"{validation}: no example of the label {listed(absent)}"] if absent else []


def listed(names: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
