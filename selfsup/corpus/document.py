"""What flows out of a corpus: documents, and the records that could not be read."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Document:
    """One document as its source holds it.

    Attributes:
        id: a name within the source, such as a record's id or a docstring's dotted path.
        text: paragraphs, one a line.
        source: the file it came from.
        line: the line its record begins at, from 1; None where the format has no lines.
    """

    id: str
    text: str
    source: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record that could not be read: where it stands and why."""

    source: str
    line: int | None
    reason: str
