"""Read texts or pairs of texts from a table, with their labels as the file writes them."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from selfsup.errors import UserError
from selfsup.tasks.classification.label_fields import (
    RawLabel,
    missing_labels,
    read_labels,
    without_label,
)
from selfsup.tasks.tables import Columns, Row, find_columns, read_row_blocks, read_rows

_MANY_FIRST_TEXTS = 20


@dataclass(frozen=True)
class LabelledTexts:
    """N texts, or pairs of texts, from a file.

    Attributes:
        source: the file.
        lines: the line of each.
        first: the texts, or the first text of each pair.
        second: the second text of each pair; None where there are no pairs.
        labels: their labels, or None where only texts were read. They are as the file writes them
            until ``settled_labels`` gives them the model's names.
        notes: sentences for the user on how the file was read.
        keeps_missing: whether a label such as NaN is the name of a class.
    """

    source: str
    lines: list[int]
    first: list[str]
    second: list[str] | None = None
    labels: list[RawLabel] | None = None
    notes: tuple[str, ...] = ()
    keeps_missing: bool = False

    def __len__(self) -> int:
        return len(self.first)

    def texts(self) -> list[str]:
        """All texts, the second ones after the first."""
        return self.first + (self.second or [])

    def parts(self, index: int) -> tuple[str, ...]:
        """The text at an index, or both texts of the pair."""
        if self.second is None:
            return (self.first[index],)
        return self.first[index], self.second[index]

    def keys(self) -> list[tuple[str, ...]]:
        """The text; for pairs the first text, if it is not one of a few that come again and again.

        Pairs often share one, such as the premise of several hypotheses.
        """
        alone = self.second is None or len(set(self.first)) >= _MANY_FIRST_TEXTS
        return [self.parts(index)[: 1 if alone else 2] for index in range(len(self))]

    def where(self, index: int) -> str:
        """The file and the line of the text at an index, for messages."""
        return f"{self.source}, line {self.lines[index]}"

    def without(self, indices: Collection[int], *notes: str) -> "LabelledTexts":
        """The others, with notes on why these are left out."""
        kept = sorted(set(range(len(self))).difference(indices))
        return replace(
            self,
            lines=[self.lines[index] for index in kept],
            first=[self.first[index] for index in kept],
            second=None if self.second is None else [self.second[index] for index in kept],
            labels=None if self.labels is None else [self.labels[index] for index in kept],
            notes=(*self.notes, *notes),
        )

    def drop_empty(self) -> "LabelledTexts":
        """A copy without empty texts.

        Raises:
            UserError: all texts are empty.
        """
        empty = [index for index in range(len(self)) if not "".join(self.parts(index)).strip()]
        if not empty:
            return self
        if len(empty) == len(self):
            raise UserError(f"{self.source}: all texts are empty: check --text-column")
        first = self.lines[empty[0]]
        note = f"{self.source}: {len(empty):,} empty texts left out (the first is in line {first})"
        return self.without(empty, note)


def read_labelled_texts(
    file: str, columns: Columns, *, labelled: bool, paired: bool
) -> LabelledTexts:
    """Read texts, and labels if ``labelled``.

    Raises:
        UserError: the file or a column is missing, or a row lacks its text or its label.
    """
    notes: list[str] = []
    rows = read_rows(file, columns, notes.append)
    found, note = find_columns(rows, file, columns, labelled=labelled, paired=paired)
    notes += [] if note is None else [note]
    examples = replace(_texts_of(rows, file, found), notes=tuple(notes))
    if found.label is None:
        return examples
    labels = read_labels(rows, file, found.label, columns.label_separator)
    return _with_labels(examples, labels, found.label, columns.missing_labels)


def read_text_blocks(
    file: str, columns: Columns, tell: Callable[[str], None], size: int, *, paired: bool
) -> Iterator[LabelledTexts]:
    """Read texts in blocks, whose columns are found in the first block; ``tell`` takes the notes.

    Raises:
        UserError: as ``read_labelled_texts``.
    """
    found = None
    for rows in read_row_blocks(file, columns, tell, size):
        if found is None:
            found, note = find_columns(rows, file, columns, labelled=False, paired=paired)
            if note is not None:
                tell(note)
        yield _texts_of(rows, file, found)


def _texts_of(rows: list[Row], file: str, columns: Columns) -> LabelledTexts:
    """The texts in the rows, without labels."""
    assert columns.text is not None
    lines = [row.line for row in rows]
    first = [_text(row, file, columns.text, "--text-column") for row in rows]
    second = None
    if columns.text_pair is not None:
        second = [_text(row, file, columns.text_pair, "--text-pair-column") for row in rows]
    return LabelledTexts(file, lines, first, second)


def _with_labels(
    examples: LabelledTexts,
    labels: Sequence[RawLabel | None],
    column: str,
    missing: str | None,
) -> LabelledTexts:
    """The examples with these labels; all must have one, unless ``missing`` is "drop".

    What says that there is no label, such as NaN, counts as one otherwise, since it may be the name
    of a class.
    """
    nothing = missing_labels(labels) if missing == "drop" else set()
    lacking = without_label(labels, nothing)
    known = [label or () for label in labels]
    examples = replace(examples, labels=known, keeps_missing=missing == "keep")
    if not lacking:
        return examples
    if missing != "drop":
        raise UserError(
            f'{examples.where(lacking[0])}: "{column}" holds no label: add one, or leave out such '
            f"rows ({len(lacking):,} in all) with --missing-labels drop (if a text may have "
            "several labels or none, say --label-separator)"
        )
    if len(lacking) == len(examples):
        raise UserError(
            f'{examples.source}: no row has a label in "{column}": check --label-column'
        )
    note = (
        f"{examples.source}: {len(lacking):,} of {len(examples):,} rows left out, as they have no "
        f"label (the first is in line {examples.lines[lacking[0]]})"
    )
    return examples.without(lacking, note)


def _text(row: Row, file: str, column: str, flag: str) -> str:
    value = row.fields.get(column)
    if value is None:
        return ""
    if not isinstance(value, str | int | float):
        raise UserError(f'{file}, line {row.line}: "{column}" holds no text: choose {flag}')
    return str(value)
