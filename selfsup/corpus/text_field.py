"""Pick the text out of records with named fields."""

import itertools
import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from selfsup.corpus.document import LONGEST_RECORD_BYTES, BadRecord, Document, Record
from selfsup.errors import UserError

DEFAULT_TEXT_FIELD = "text"

# How many records a field's name is guessed from, and among how many they are looked for.
_LOOKED_AT = 20
_LOOKED_THROUGH = 1000

_log = logging.getLogger(__name__)

# A record's line (or number, where the format has no lines) and its fields.
Fields = tuple[int, dict[str, Any]]


def documents_from_fields(
    records: Iterable[Fields | BadRecord], source: str, text_field: str
) -> Iterator[Record]:
    """Turn records into documents.

    Where no record among the first has the default field ``"text"`` and just one other field holds
    running text, that one is taken, with a warning that says so.

    Raises:
        UserError: the first records all lack the field.
    """
    records = iter(records)
    first: list[Fields | BadRecord] = []
    samples: list[dict[str, Any]] = []
    for record in itertools.islice(records, _LOOKED_THROUGH):
        first.append(record)
        if not isinstance(record, BadRecord):
            samples.append(record[1])
        if len(samples) == _LOOKED_AT:
            break
    if samples and not any(text_field in fields for fields in samples):
        text_field = _guess(samples, source, text_field)
    for record in itertools.chain(first, records):
        yield record if isinstance(record, BadRecord) else _document(record, source, text_field)


def _document(record: Fields, source: str, text_field: str) -> Record:
    line, fields = record
    text = fields.get(text_field)
    if not isinstance(text, str):
        if text_field in fields:
            what = "empty" if text is None else f"a {type(text).__name__}, not a text"
            return BadRecord(source, line, f'field "{text_field}" is {what}')
        return BadRecord(source, line, f'no field "{text_field}" (it has: {_names(fields)})')
    if len(text) > LONGEST_RECORD_BYTES:
        return BadRecord(source, line, too_long())
    if not is_encodable(text):
        return BadRecord(source, line, "text holds half a character (a lone surrogate)")
    identifier = fields.get("id")
    return Document(str(line if identifier is None else identifier), text, source, line)


def is_encodable(text: str) -> bool:
    """Whether a text holds whole characters only, so that it can be written as UTF-8."""
    try:
        return text.isascii() or text.encode() is not None
    except UnicodeEncodeError:
        return False


def too_long() -> str:
    """Why a record is refused that would take too much memory."""
    return f"longer than {LONGEST_RECORD_BYTES >> 20} MiB: cut it into several documents"


def refuse_repeated_names(names: Sequence[str], where: str) -> None:
    """Raise a UserError if two columns have one name, since a row would lack one of them."""
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f'{where}: two columns are called "{twice}": rename one')


def _guess(samples: list[dict[str, Any]], source: str, text_field: str) -> str:
    names = list(dict.fromkeys(name for fields in samples for name in fields))
    candidates = [name for name in names if _is_running_text(name, samples)]
    if text_field == DEFAULT_TEXT_FIELD and len(candidates) == 1:
        _log.warning('%s: no field "text", taking "%s"', source, candidates[0])
        return candidates[0]
    raise UserError(
        f'{source}: no field "{text_field}" (it has: {_names(names)}): '
        "name the one that holds the text with --text-field"
    )


def _is_running_text(name: str, samples: list[dict[str, Any]]) -> bool:
    """Whether a field holds strings of several words, in most records."""
    values = [fields[name] for fields in samples if fields.get(name) is not None]
    if not values or not all(isinstance(value, str) for value in values):
        return False
    return sum(len(value.split()) > 1 for value in values) * 2 > len(values)


def _names(fields: Iterable[str]) -> str:
    return ", ".join(map(str, fields)) or "none"
