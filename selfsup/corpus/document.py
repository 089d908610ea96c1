"""What flows out of a corpus: documents, and the records that could not be read."""

from dataclasses import dataclass

# Longer records are refused, so that memory is bounded whatever the corpus holds.
LONGEST_RECORD_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Document:
    """One document as its source holds it.

    Attributes:
        id: a name within the source, such as a record's id or a docstring's dotted path.
        text: paragraphs, one a line.
        source: the file it came from.
        line: the line its record begins at, from 1; None where the format has no lines.
        records: how many records it was read from: its lines, in plain text. It says what part
            of a corpus could not be read.
    """

    id: str
    text: str
    source: str
    line: int | None = None
    records: int = 1


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record that could not be read: where it stands and why."""

    source: str
    line: int | None
    reason: str

    def __str__(self) -> str:
        where = self.source if self.line is None else f"{self.source}, line {self.line}"
        return f"{where}: {self.reason}"


Record = Document | BadRecord
