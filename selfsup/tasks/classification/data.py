"""Read texts or pairs of texts from a table, with their labels as the file writes them."""

import json
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from selfsup.errors import UserError
from selfsup.tasks.tables import Columns, Row, find_columns, read_rows

# One label, or several of them.
RawLabel = str | tuple[str, ...]

# The label in SNLI and similar data for examples on which the annotators did not agree.
NO_AGREEMENT = "-"


_MANY_FIRST_TEXTS = 20


@dataclass(frozen=True)
class LabelledTexts:
    """N texts, or pairs of texts, from a file.

    Attributes:
        source: the file.
        lines: the line of each.
        first: the texts, or the first text of each pair.
        second: the second text of each pair; None where there are no pairs.
        labels: their labels as the file writes them, or None where only texts were read.
        notes: sentences for the user on how the file was read.
    """

    source: str
    lines: list[int]
    first: list[str]
    second: list[str] | None = None
    labels: list[RawLabel] | None = None
    notes: tuple[str, ...] = ()

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

    def only(self, indices: Sequence[int], note: str) -> "LabelledTexts":
        """A subset, with a note on why the others are left out."""
        return replace(
            self,
            lines=[self.lines[index] for index in indices],
            first=[self.first[index] for index in indices],
            second=None if self.second is None else [self.second[index] for index in indices],
            labels=None if self.labels is None else [self.labels[index] for index in indices],
            notes=(*self.notes, note),
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
        kept = sorted(set(range(len(self))).difference(empty))
        first = self.lines[empty[0]]
        note = f"{self.source}: {len(empty):,} empty texts left out (the first is in line {first})"
        return self.only(kept, note)


def read_labelled_texts(
    file: str, columns: Columns, *, labelled: bool, paired: bool
) -> LabelledTexts:
    """Read texts, and labels if ``labelled``.

    Raises:
        UserError: the file or a column is missing, or a row lacks its text or its label.
    """
    rows = read_rows(file)
    found, note = find_columns(rows, file, columns, labelled=labelled, paired=paired)
    assert found.text is not None
    first = [_text(row, file, found.text, "--text-column") for row in rows]
    second = labels = None
    if found.text_pair is not None:
        second = [_text(row, file, found.text_pair, "--text-pair-column") for row in rows]
    if found.label is not None:
        labels = read_labels(rows, file, found.label, columns.label_separator)
    lines = [row.line for row in rows]
    examples = LabelledTexts(file, lines, first, second, labels, () if note is None else (note,))
    return _agreed_upon(examples)


def leaves_some_out(labels: Iterable[Hashable]) -> bool:
    """Whether ``NO_AGREEMENT`` among a file's labels means that an example has no label."""
    labels = set(labels)
    return NO_AGREEMENT in labels and "+" not in labels and len(labels) > 1


def _agreed_upon(examples: LabelledTexts) -> LabelledTexts:
    """The examples without those whose label "-" means that they have none."""
    labels = examples.labels or []
    if not leaves_some_out(labels):
        return examples
    kept = [place for place, label in enumerate(labels) if label != NO_AGREEMENT]
    count = len(examples) - len(kept)
    note = f'{examples.source}: {count:,} examples with the label "-" (not agreed upon) left out'
    return examples.only(kept, note)


def _text(row: Row, file: str, column: str, flag: str) -> str:
    value = row.fields.get(column)
    if value is None:
        return ""
    if not isinstance(value, str | int | float):
        raise UserError(f'{file}, line {row.line}: "{column}" holds no text: choose {flag}')
    return str(value)


def read_labels(
    rows: Sequence[Row], file: str, column: str, separator: str | None
) -> list[RawLabel]:
    """The labels of all rows; where labels are lists, an empty field is an empty list.

    Raises:
        UserError: a row has no label, or an unusable one; the message names its line.
    """
    several = separator is not None or hold_several(rows, column)
    return [read_label(row, file, column, separator, several=several) for row in rows]


def hold_several(rows: Sequence[Row], column: str) -> bool:
    """Whether some row has a list of labels, so that an empty field is an empty list."""
    return any(isinstance(row.fields.get(column), list) for row in rows)


def read_label(
    row: Row, file: str, column: str, separator: str | None = None, *, several: bool = False
) -> RawLabel:
    """The label or labels of one row.

    Raises:
        UserError: it has no label, or an unusable one.
    """
    value = row.fields.get(column)
    where = f'{file}, line {row.line}: "{column}"'
    if value is None and several:
        return ()
    if isinstance(value, list):
        return _several(value, where)
    if separator is not None and isinstance(value, str | int | float):
        return _several(str(value).split(separator), where)
    written = _written(value)
    if written is None and value is not None and not isinstance(value, str | float):
        raise UserError(
            f"{where} holds {type(value).__name__}, where a name or a number should stand: write "
            "it as text"
        )
    if written is None:
        raise UserError(
            f"{where} holds no label: add one (if a text may have several or none, say "
            "--label-separator)"
        )
    listed = _json_list(written) if written.startswith("[") and written.endswith("]") else None
    return written if listed is None else _several(listed, where)


def _several(values: list[Any], where: str) -> tuple[str, ...]:
    """Several labels, or none."""
    labels = [_written(value) for value in values]
    if any(
        label is None and value not in ("", None) and not str(value).isspace()
        for label, value in zip(labels, values, strict=True)
    ):
        raise UserError(f"{where} must be a list of labels, not of other things")
    return tuple(dict.fromkeys(label for label in labels if label is not None))


def _written(value: Any) -> str | None:
    """One label as text, or None if the value is not a label."""
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str | bool | int | float) and value == value and str(value).strip():
        return str(value).strip()
    return None


def _json_list(written: str) -> list[Any] | None:
    try:
        value = json.loads(written)
    except ValueError:
        return None
    return value if isinstance(value, list) else None
