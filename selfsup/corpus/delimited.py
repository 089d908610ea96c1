"""Read documents from CSV and TSV files with a header line."""

import csv
import io
from collections.abc import Iterator
from typing import BinaryIO

from selfsup.corpus.document import LONGEST_RECORD_BYTES, BadRecord, Record
from selfsup.corpus.text_field import Fields, documents_from_fields, refuse_repeated_names
from selfsup.errors import UserError


def read_csv(file: BinaryIO, source: str, text_field: str) -> Iterator[Record]:
    """Read comma-separated values; fields in double quotes may hold commas and line breaks."""
    return documents_from_fields(csv_rows(file, source), source, text_field)


def read_tsv(file: BinaryIO, source: str, text_field: str) -> Iterator[Record]:
    """Read tab-separated values; quotes are ordinary characters."""
    return documents_from_fields(tsv_rows(file, source), source, text_field)


def csv_rows(file: BinaryIO, source: str) -> Iterator[Fields | BadRecord]:
    """Each row's line and its fields by the header's names."""
    return _rows(file, source, ",", csv.QUOTE_MINIMAL)


def tsv_rows(file: BinaryIO, source: str) -> Iterator[Fields | BadRecord]:
    """Likewise. Quotes are ordinary characters, as in GLUE's files.

    To read them as quotes would swallow rows, silently, wherever a text begins with a lone one.
    """
    return _rows(file, source, "\t", csv.QUOTE_NONE)


def _rows(
    file: BinaryIO, source: str, delimiter: str, quoting: int
) -> Iterator[Fields | BadRecord]:
    # Bytes that are not UTF-8 become surrogates, so that only their own row is lost.
    text = io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")
    csv.field_size_limit(LONGEST_RECORD_BYTES)
    # Strict, so that a quote which is never closed is told, and does not pass for a long field.
    reader = csv.reader(text, delimiter=delimiter, quoting=quoting, strict=True)  # type: ignore[arg-type]
    try:
        header = next(reader, [])
    except csv.Error as error:
        raise UserError(f"{source}, line 1: no header that names the columns ({error})") from None
    refuse_repeated_names(header, f"{source}, line 1")
    if any(map(_has_escaped_bytes, header)):
        yield BadRecord(source, 1, "not UTF-8")
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            if "unexpected end of data" in str(error):  # no single row is lost, but all that follow
                raise UserError(
                    f"{source}, line {line}: a quotation mark is opened and never closed, so that "
                    "it swallows all that follows: close it, or write it twice"
                ) from None
            yield BadRecord(source, line, f"not a row ({error})")
            continue
        if row is None:
            return
        if not row:
            continue
        if len(row) != len(header):
            yield BadRecord(source, line, f"{len(row)} columns where the header has {len(header)}")
        elif any(map(_has_escaped_bytes, row)):
            yield BadRecord(source, line, "not UTF-8")
        else:
            yield line, dict(zip(header, row, strict=True))


def _has_escaped_bytes(text: str) -> bool:
    return not text.isascii() and any(0xDC80 <= ord(c) <= 0xDCFF for c in text)
