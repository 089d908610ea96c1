"""Read the rows of a table: CSV, TSV, JSON lines, Parquet or ``hf://``, with line numbers."""

from collections.abc import Iterator
from itertools import islice
from typing import IO, Any, NamedTuple

from selfsup.corpus import compression
from selfsup.corpus.delimited import csv_rows, tsv_rows
from selfsup.corpus.document import BadRecord
from selfsup.corpus.hub import hub_rows
from selfsup.corpus.inputs import opening
from selfsup.corpus.json_lines import json_objects
from selfsup.corpus.sources import find_inputs
from selfsup.corpus.text_field import is_encodable, refuse_repeated_names
from selfsup.errors import UserError

ENDINGS = ".csv, .tsv, .jsonl or .parquet (also with .gz, .xz, .zst, .bz2), or hf://NAME"
_LOOKED_AT = 1000  # a stray quotation mark may spoil many rows
_READERS = {".csv": csv_rows, ".tsv": tsv_rows, ".jsonl": json_objects, ".ndjson": json_objects}


class Row(NamedTuple):
    """One row.

    Attributes:
        line: where it begins in its file, from 1 (in Parquet, the row's number from 1).
        fields: from the column's name to what stands there.
    """

    line: int
    fields: dict[str, Any]


def read_rows(file: str) -> list[Row]:
    """Read a whole table. A labelled file is small, and each of its rows counts: none is skipped.

    Raises:
        UserError: the file is missing, empty, of another kind, or one of its rows is damaged (the
            message names its line).
    """
    rows = [_checked(record) for record in read_records(file)]
    if not rows:
        raise UserError(f"{file}: holds no rows: give a file with at least one example")
    return rows


def is_table(file: str) -> bool:
    """Whether this is one file of rows with named fields.

    Raises:
        UserError: there is nothing to read.
    """
    found = find_inputs([file])
    return len(found) == 1 and found[0].suffix in (*_READERS, ".parquet", "hub")


def read_records(file: str, at_most: int | None = None) -> Iterator[Row | BadRecord]:
    """Yield the rows of a table, or its first ``at_most``, also those that cannot be read.

    Raises:
        UserError: the file is missing or of another kind.
    """
    if not is_table(file):
        raise UserError(f"{file}: not a table that can be read: give one file, {ENDINGS}")
    (found,) = find_inputs([file])
    if found.suffix == "hub":
        yield from (_row(row, file) for row in islice(hub_rows(found.url), at_most))
        return
    with opening(found) as raw:
        try:
            if found.suffix == ".parquet":
                whole = compression.seekable(raw, found.name)
                yield from islice(_parquet_rows(whole, file), at_most)
                return
            records = _READERS[found.suffix](compression.decompressed(raw, found.name), file)
            for record in islice(records, at_most):
                yield record if isinstance(record, BadRecord) else _row(record, file)
        except compression.DAMAGED as error:
            raise UserError(f"{file}: damaged or cut short ({error}): copy it again") from None


def first_columns(file: str) -> list[str]:
    """The names of the fields in a table's beginning.

    Raises:
        UserError: as ``read_records``.
    """
    records = read_records(file, _LOOKED_AT)
    return column_names([record for record in records if isinstance(record, Row)])


def column_names(rows: list[Row]) -> list[str]:
    """All names of fields, in the order in which they first appear."""
    return list(dict.fromkeys(name for row in rows for name in row.fields))


def _row(record: tuple[int, dict[str, Any]], file: str) -> Row | BadRecord:
    """The row, if what stands in it can be written again: JSON can hold half of a character."""
    line, fields = record
    for name, value in fields.items():
        if not _is_whole(value):
            reason = f'"{name}" holds half a character (a lone surrogate)'
            return BadRecord(file, line, reason)
    return Row(line, fields)


def _is_whole(value: Any) -> bool:
    if isinstance(value, list | dict):
        return all(map(_is_whole, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, str) or is_encodable(value)


def _checked(record: Row | BadRecord) -> Row:
    if isinstance(record, BadRecord):
        mend = "mend the row or take it out"
        if "UTF-8" in record.reason:
            mend += ", or write the whole file as UTF-8 (iconv -f LATIN1 -t UTF-8)"
        raise UserError(f"{record}: {mend}")
    return record


def _parquet_rows(file: IO[bytes], name: str) -> list[Row]:
    import pyarrow  # Costs a tenth of a second, which other formats need not pay.
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(file)
        refuse_repeated_names(table.schema_arrow.names, name)
        fields = [fields for batch in table.iter_batches() for fields in batch.to_pylist()]
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{name}: cannot be read as Parquet: {reason}") from None
    return [Row(number, row) for number, row in enumerate(fields, 1)]
