"""Documents and bad records: what reading a corpus yields.

Also counts bad records, and finds the text in records with named fields.
"""

import itertools
import logging
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

from selfsup.corpus.readers.bounds import memory_of
from selfsup.errors import UserError

# Longer records are bad records, so that memory is bounded.
LONGEST_RECORD_BYTES = 16 << 20
TOO_LONG = f"longer than {LONGEST_RECORD_BYTES >> 20} MiB: cut it into several documents"


@dataclass(frozen=True, slots=True)
class Document:
    """One document as its source holds it.

    Attributes:
        id: a name within the source, such as a record's id or a docstring's dotted path.
        text: one paragraph per line.
        source: the file it comes from.
        records: how many records it was read from: in plain text, its lines.
    """

    id: str
    text: str
    source: str
    records: int = 1


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record that could not be read: where it is, and why."""

    source: str
    line: int | None
    reason: str

    def __str__(self) -> str:
        where = self.source if self.line is None else f"{self.source}, line {self.line}"
        return f"{where}: {self.reason}"


Record = Document | BadRecord


DEFAULT_MAX_BAD_FRACTION = 0.01

# The fraction is first checked after this many records: a file may begin with bad ones.
_CHECKED_FROM = 1000


@dataclass
class BadRecordCounter:
    """Counts records and raises an error if too many are bad.

    The fraction is checked after each bad record, from the 1,000th record on, and at the end.

    Attributes:
        max_fraction: the fraction of the records that may be bad.
        records: how many were counted so far.
        bad: how many of those were bad.
        first_bad: the first of the bad ones, in words.
        what: what messages call the records.
    """

    max_fraction: float
    _: KW_ONLY
    records: int = 0
    bad: int = 0
    first_bad: str = ""
    what: str = "records"

    def count(self, record: Record) -> None:
        """Count one record; raises as ``check_fraction`` does."""
        if isinstance(record, Document):
            self.records += record.records
            return
        self.records += 1
        self.bad += 1
        self.first_bad = self.first_bad or str(record)
        if self.records >= _CHECKED_FROM:
            self.check_fraction()

    def check_fraction(self) -> None:
        """Raise a ``UserError`` that names the first bad record if too many were bad so far."""
        if self.bad > self.max_fraction * self.records:
            encoding = ", or say their --encoding" if "UTF-8" in self.first_bad else ""
            raise UserError(
                f"{self.first_bad} — and with it {self.bad} of {self.records} {self.what} cannot "
                f"be read: fix them or raise --max-bad-fraction ({self.max_fraction}){encoding}"
            )


DEFAULT_TEXT_FIELD = "text"

# The text field is guessed from this many good records, found among the first 1,000 records, or
# from fewer where they are this large.
_SAMPLES = 20
_SAMPLED_FROM = 1000
_SAMPLED_BYTES = 64 << 20

_log = logging.getLogger(__name__)

# A record's line (or its number, in a format without lines) and its fields.
Fields = tuple[int, dict[str, Any]]


def documents_from_fields(
    records: Iterable[Fields | BadRecord], source: str, text_field: str
) -> Iterator[Record]:
    """Turn records into documents.

    If none of the first records has the default field ``"text"``, and exactly one other field holds
    running text, that field is used, with a warning.

    Raises:
        UserError: the first records all lack the field.
    """
    records = iter(records)
    first: list[Fields | BadRecord] = []
    samples: list[dict[str, Any]] = []
    size = 0
    for record in itertools.islice(records, _SAMPLED_FROM):
        first.append(record)
        if not isinstance(record, BadRecord):
            samples.append(record[1])
            size += memory_of(record[1])
        if len(samples) == _SAMPLES or size > _SAMPLED_BYTES:
            break
    is_nested = any(isinstance(value, dict) for fields in samples for value in fields.values())
    if samples and not any(text_field in fields for fields in samples):
        if is_nested:
            samples = list(map(with_paths, samples))
        names = {composed(name): name for fields in samples for name in fields}
        text_field = names.get(composed(text_field)) or _guess(samples, source, text_field)
    del samples
    for record in itertools.chain(_taken_from(first), records):
        if isinstance(record, BadRecord):
            yield record
            continue
        line, fields = record
        if is_nested and text_field not in fields:
            fields = with_paths(fields)
        yield _document((line, fields), source, text_field)


def _taken_from(records: list[Fields | BadRecord]) -> Iterator[Fields | BadRecord]:
    """The records in order; the list does not keep those that were yielded."""
    records.reverse()
    while records:
        yield records.pop()


_DEEPEST = 8  # objects within each other that have paths


def with_paths(fields: dict[str, Any], depth: int = 1) -> dict[str, Any]:
    """The fields, and those of nested objects under their paths, such as ``review.text``."""
    found: dict[str, Any] = {}
    for name, value in fields.items():
        found[name] = value
        if isinstance(value, dict) and depth < _DEEPEST:
            inner = with_paths(value, depth + 1)
            found |= {f"{name}.{path}": entry for path, entry in inner.items()}
    return found | fields


def composed(name: str) -> str:
    """A name in Unicode's composed form (NFC), in which names are compared."""
    return unicodedata.normalize("NFC", name)


def _document(record: Fields, source: str, text_field: str) -> Record:
    line, fields = record
    text = fields.get(text_field)
    if not isinstance(text, str):
        if text_field in fields:
            what = "empty" if text is None else f"a {type(text).__name__}, not a text"
            if isinstance(text, dict):
                what += f" (name one of {_names(f'{text_field}.{name}' for name in text)})"
            return BadRecord(source, line, f'field "{text_field}" is {what}')
        return BadRecord(source, line, f'no field "{text_field}" (it has: {_names(fields)})')
    if len(text) > LONGEST_RECORD_BYTES:
        return BadRecord(source, line, TOO_LONG)
    if not is_encodable(text):
        return BadRecord(source, line, "text holds half a character (a lone surrogate)")
    identifier = fields.get("id")
    return Document(str(line if identifier is None else identifier), text, source)


def is_encodable(text: str) -> bool:
    """Whether a text can be written as UTF-8, as it holds no lone surrogates."""
    try:
        return text.isascii() or text.encode() is not None
    except UnicodeEncodeError:
        return False


def refuse_repeated_names(names: Sequence[str], where: str) -> None:
    """Raise a ``UserError`` if two columns have the same name: a row would lose one of them."""
    counts = Counter(names)
    twice = next((name for name in names if name and counts[name] > 1), None)
    if twice is not None:
        raise UserError(f'{where}: two columns are called "{twice}": rename one')


def _guess(samples: list[dict[str, Any]], source: str, text_field: str) -> str:
    names = field_names(samples)
    candidates = [name for name in names if _is_running_text(name, samples)]
    if text_field == DEFAULT_TEXT_FIELD and len(candidates) == 1:
        _log.warning('%s: no field "text", taking "%s"', source, candidates[0])
        return candidates[0]
    raise UserError(
        f'{source}: no field "{text_field}" (it has: {_names(names)}): '
        "name the one that holds the text with --text-field"
    )


def field_names(records: Iterable[dict[str, Any]]) -> list[str]:
    """All names, in the order of their first appearance, but for those of nested objects."""
    return list(
        dict.fromkeys(
            name
            for fields in records
            for name, value in fields.items()
            if not isinstance(value, dict)
        )
    )


def _is_running_text(name: str, samples: list[dict[str, Any]]) -> bool:
    """Whether a field holds strings of several words, in most records."""
    values = [fields[name] for fields in samples if fields.get(name) is not None]
    if not values or not all(isinstance(value, str) for value in values):
        return False
    return sum(len(value.split()) > 1 for value in values) * 2 > len(values)


def _names(fields: Iterable[str]) -> str:
    return ", ".join(map(str, fields)) or "none"
