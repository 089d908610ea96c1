"""Read rows from CSV and TSV files with a header line, and from JSON lines."""

import csv
import io
import json
from collections.abc import Iterator
from typing import BinaryIO, TextIO

from selfsup.corpus.readers.documents import (
    LONGEST_RECORD_BYTES,
    TOO_LONG,
    BadRecord,
    Fields,
    refuse_repeated_names,
)
from selfsup.errors import UserError


def csv_rows(file: BinaryIO, source: str) -> Iterator[Fields | BadRecord]:
    """Yield each row's line and its fields, named by the header.

    Fields in double quotes may hold commas and line breaks.
    """
    return _rows(file, source, ",", csv.QUOTE_MINIMAL)


def tsv_rows(file: BinaryIO, source: str) -> Iterator[Fields | BadRecord]:
    """Yield each row's line and its fields, named by the header.

    Quotes are ordinary characters, as in GLUE's files. Otherwise a text that begins with a lone
    quotation mark would silently swallow the rows after it.
    """
    return _rows(file, source, "\t", csv.QUOTE_NONE)


def _rows(
    file: BinaryIO, source: str, delimiter: str, quoting: int
) -> Iterator[Fields | BadRecord]:
    # Bytes that are not UTF-8 become surrogates, so that only their row is lost.
    text = io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")
    csv.field_size_limit(LONGEST_RECORD_BYTES)
    lines = _BoundedLines(text)
    # Strict, so that a quote that is never closed is an error and not a long field.
    reader = csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=True)  # type: ignore[arg-type]
    try:
        header = next(reader, [])
        if lines.one_was_too_long:
            raise csv.Error(TOO_LONG)
    except csv.Error as error:
        raise UserError(f"{source}, line 1: no header that names the columns ({error})") from None
    refuse_repeated_names(header, f"{source}, line 1")
    if any(map(_has_escaped_bytes, header)):
        yield BadRecord(source, 1, "not UTF-8")
    while True:
        line = reader.line_num + 1
        lines.one_was_too_long = False
        try:
            row = next(reader, None)
        except csv.Error as error:
            if _is_never_closed(error, reader.line_num > line):
                # All the rows that follow are lost.
                raise UserError(
                    f"{source}, line {line}: a quotation mark is opened and never closed, so that "
                    "it swallows all that follows: close it, or write it twice"
                ) from None
            reason = TOO_LONG if lines.one_was_too_long else f"not a row ({error})"
            yield from _bad_lines(source, line, reader.line_num, reason)
            continue
        if row is None:
            return
        if lines.one_was_too_long:
            yield from _bad_lines(source, line, reader.line_num, TOO_LONG)
        elif row and len(row) != len(header):
            reason = f"{len(row)} columns where the header has {len(header)}"
            yield from _bad_lines(source, line, reader.line_num, reason)
        elif any(map(_has_escaped_bytes, row)):
            yield BadRecord(source, line, "not UTF-8")
        elif row:
            yield line, dict(zip(header, row, strict=True))


class _BoundedLines:
    """Lines for ``csv.reader``; sets a flag for a line too long for memory and replaces it.

    The replacement opens or closes a field of several lines if the original does.
    """

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self.one_was_too_long = False

    def __iter__(self) -> Iterator[str]:
        while line := self._text.readline(LONGEST_RECORD_BYTES):
            if len(line) == LONGEST_RECORD_BYTES and not line.endswith(("\n", "\r")):
                self.one_was_too_long = True
                marks = line.count('"')
                while rest := self._text.readline(LONGEST_RECORD_BYTES):
                    marks += rest.count('"')
                    if rest.endswith(("\n", "\r")):
                        break
                line = '"\n' if marks % 2 else "\n"
            yield line


def _is_never_closed(error: csv.Error, has_several_lines: bool) -> bool:
    """Whether an unclosed quotation mark is the cause; in a long file it makes a huge field."""
    return "unexpected end of data" in str(error) or (
        has_several_lines and "field larger than field limit" in str(error)
    )


def _bad_lines(source: str, first: int, last: int, reason: str) -> Iterator[BadRecord]:
    """A bad record for each line: most often a stray quotation mark makes them one row."""
    if last > first:
        reason += f"; one row of lines {first} to {last}, perhaps by a stray quotation mark"
    return (BadRecord(source, line, reason) for line in range(first, last + 1))


def _has_escaped_bytes(text: str) -> bool:
    return not text.isascii() and any(0xDC80 <= ord(c) <= 0xDCFF for c in text)


def json_objects(file: BinaryIO, source: str) -> Iterator[Fields | BadRecord]:
    """Yield each object's line and its fields; blank lines are skipped."""
    number = 0
    while line := file.readline(LONGEST_RECORD_BYTES):
        number += 1
        if len(line) == LONGEST_RECORD_BYTES and not line.endswith(b"\n"):
            while (rest := file.readline(LONGEST_RECORD_BYTES)) and not rest.endswith(b"\n"):
                pass
            yield BadRecord(source, number, TOO_LONG)
            continue
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if line.isspace() or not line:
            continue
        try:
            value = json.loads(line.decode())
        except UnicodeDecodeError as error:
            yield BadRecord(source, number, f"byte {error.start + 1} is not UTF-8")
        except ValueError as error:
            yield BadRecord(source, number, f"not JSON ({error})")
        except RecursionError:
            yield BadRecord(source, number, "not JSON (nested too deeply)")
        else:
            is_object = isinstance(value, dict)
            yield (number, value) if is_object else BadRecord(source, number, "not a JSON object")
