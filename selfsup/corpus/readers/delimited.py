"""Read rows with named fields from CSV, TSV and Excel sheets, whose first row names the columns."""

import csv
import io
import itertools
import logging
from collections.abc import Callable, Collection, Iterator
from datetime import datetime, time
from functools import partial
from typing import IO, Any, BinaryIO, TextIO, cast

from selfsup.corpus.readers.bounds import memory_bound
from selfsup.corpus.readers.documents import (
    LONGEST_RECORD_BYTES,
    TOO_LONG,
    BadRecord,
    Fields,
    composed,
    refuse_repeated_names,
)
from selfsup.corpus.readers.table_format import SAMPLED_ROWS, find_format, find_names
from selfsup.errors import UserError
from selfsup.settings.reading import FileFormat

_SAMPLE_BYTES = 1 << 16
# A row may have several fields of LONGEST_RECORD_BYTES.
_LONGEST_ROW = 4 * LONGEST_RECORD_BYTES
# Sheets are read so many rows at a time. Excel's have at most this many rows.
_SHEET_ROWS_AT_ONCE, _MOST_SHEET_ROWS = 64, 1 << 20

_log = logging.getLogger(__name__)


class _LeftOut:
    """Counts the rows that are left out."""

    def __init__(self, header: list[str]) -> None:
        self._header = header
        self._found: dict[str, list[int]] = {}  # how many, and the first line

    def leaves_out(self, line: int, row: list[str]) -> bool:
        """Whether nothing stands in a row, or it is the header again, as where files are joined."""
        is_empty = not any(map(str.strip, row))
        if row and (is_empty or row == self._header):
            what = "in which nothing stands" if is_empty else "that repeat the column names"
            self._found.setdefault(what, [0, line])[0] += 1
        return is_empty or row == self._header

    def notes(self, source: str) -> Iterator[str]:
        """How many rows were left out."""
        for what, (count, line) in self._found.items():
            yield f"{source}: rows {what} left out: {count:,} (the first is line {line})"


def delimited_rows(
    file: BinaryIO,
    source: str,
    asked: FileFormat = FileFormat(),  # noqa: B008 - frozen
    known: Collection[str] = (),
    tell: Callable[[str], None] = _log.warning,
) -> Iterator[Fields | BadRecord]:
    """Yield each row's line and its fields, named by the header.

    In CSV, fields in double quotes may hold commas and line breaks. In TSV quotes are ordinary
    characters, as in GLUE's files. Otherwise a text that begins with a lone quotation mark would
    silently swallow the rows after it.

    Args:
        file: a buffered reader of UTF-8.
        source: the file's name.
        asked: what the user says of its format; the rest is found from its first rows.
        known: names that the user gives for columns.
        tell: takes a sentence for the user on how the file is read.

    Raises:
        UserError: the format cannot be told, there is no header, or a quotation mark is never
            closed.
    """
    format_ = find_format(_sample(file), source, asked, known, tell)
    # Bytes that are not UTF-8 become surrogates, so that only their row is lost.
    text = io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")
    csv.field_size_limit(LONGEST_RECORD_BYTES)
    lines = _BoundedLines(text)
    # Strict, so that a quote that is never closed is an error and not a long field.
    reader = csv.reader(
        lines, delimiter=format_.delimiter, quoting=format_.quoting, strict=True  # type: ignore[arg-type]
    )  # fmt: skip
    header = format_.names
    try:
        for _ in range(format_.skipped):
            next(reader)
        if header is None:
            header = next((row for row in reader if any(map(str.strip, row))), [])
        if lines.one_was_too_long:
            raise csv.Error(TOO_LONG)
    except csv.Error as error:
        raise UserError(f"{source}, line 1: no header that names the columns ({error})") from None
    header = [composed(name) for name in header]
    refuse_repeated_names(header, f"{source}, line 1")
    if any(map(_has_escaped_bytes, header)):
        yield BadRecord(source, 1, "not UTF-8")
    left_out = _LeftOut(header)
    while True:
        line = reader.line_num + 1
        lines.begin_row()
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
            break
        if lines.one_was_too_long:
            yield from _bad_lines(source, line, reader.line_num, TOO_LONG)
        elif left_out.leaves_out(line, row):
            pass
        elif len(row) != len(header):
            reason = f"{len(row)} columns where the header has {len(header)}"
            yield from _bad_lines(source, line, reader.line_num, reason)
        elif any(map(_has_escaped_bytes, row)):
            yield BadRecord(source, line, "not UTF-8")
        else:
            yield line, dict(zip(header, row, strict=True))
    for note in left_out.notes(source):
        tell(note)


def _sample(file: BinaryIO) -> str:
    """The first rows of a file, which is not read on."""
    data = cast(io.BufferedReader, file).peek(_SAMPLE_BYTES)
    if len(data) > _SAMPLE_BYTES:  # the last line may be cut
        data = data[:_SAMPLE_BYTES]
        data = data[: max(data.rfind(b"\n"), data.rfind(b"\r")) + 1]
    return data.decode("utf-8-sig", "replace")


class _BoundedLines:
    """Lines for ``csv.reader``; sets a flag for a line too long for memory and replaces it.

    The replacement opens or closes a field of several lines if the original does.
    """

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self.begin_row()

    def begin_row(self) -> None:
        """Forget the lines of the row before."""
        self.one_was_too_long, self._characters = False, 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        """The next line; raises ``csv.Error`` where a row of many lines becomes too long."""
        line = self._text.readline(LONGEST_RECORD_BYTES)
        if not line:
            raise StopIteration
        self._characters += len(line)
        if self._characters > _LONGEST_ROW:  # of several long fields, each over several lines
            self.one_was_too_long = True
            raise csv.Error(TOO_LONG)
        if len(line) < LONGEST_RECORD_BYTES or line.endswith(("\n", "\r")):
            return line
        self.one_was_too_long = True
        marks = line.count('"')
        while rest := self._text.readline(LONGEST_RECORD_BYTES):
            marks += rest.count('"')
            if rest.endswith(("\n", "\r")):
                break
        return '"\n' if marks % 2 else "\n"


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


def sheet_rows(
    file: IO[bytes],
    source: str,
    asked: FileFormat = FileFormat(),  # noqa: B008 - frozen
    known: Collection[str] = (),
    tell: Callable[[str], None] = _log.warning,
) -> Iterator[Fields | BadRecord]:
    """Yield each row's number and its fields, as texts, from the first sheet of an .xlsx file.

    Arguments are those of ``delimited_rows``.

    Raises:
        UserError: ``openpyxl`` is not installed, or the file is damaged.
    """
    rows = _sheet(file, source, tell)
    first = list(itertools.islice(rows, SAMPLED_ROWS))
    filled = [row for _, row in first if any(map(str.strip, row))]
    header = find_names(filled, source, asked, known, tell)
    rows = itertools.chain(first, rows)
    if header is None:
        header = next((row for _, row in rows if any(map(str.strip, row))), [])
        while header and not header[-1].strip():
            header.pop()
    header = [composed(name) for name in header]
    refuse_repeated_names(header, f"{source}, line 1")
    left_out = _LeftOut(header)
    for number, row in rows:
        row += [""] * (len(header) - len(row))
        while len(row) > len(header) and not row[-1].strip():
            row.pop()
        if left_out.leaves_out(number, row):
            continue
        if any(cell.startswith("\0") for cell in row):
            yield BadRecord(
                source, number, "a formula without its value; open and save it in Excel"
            )
        elif len(row) > len(header):
            reason = f"{len(row)} columns where the header has {len(header)}"
            yield BadRecord(source, number, reason)
        else:
            yield number, dict(zip(header, row, strict=True))
    for note in left_out.notes(source):
        tell(note)


def _sheet(
    file: IO[bytes], source: str, tell: Callable[[str], None]
) -> Iterator[tuple[int, list[str]]]:
    """The rows of the first sheet; a formula without a value begins with a zero character."""
    try:
        import openpyxl
    except ImportError:
        raise UserError(
            f"{source}: reading it needs the library openpyxl: pip install 'selfsup[excel]', or "
            "save it as CSV UTF-8"
        ) from None
    bounded = partial(memory_bound, source, "save it as CSV UTF-8, or in several files")
    try:
        with bounded():
            values = openpyxl.load_workbook(file, read_only=True, data_only=True)
            formulas = openpyxl.load_workbook(file, read_only=True)
        if len(values.sheetnames) > 1:
            tell(
                f'{source}: of its {len(values.sheetnames)} sheets "{values.sheetnames[0]}" is read'
            )
        sheets = (book.worksheets[0].iter_rows(values_only=True) for book in (values, formulas))
        rows = enumerate(zip(*sheets, strict=True), 1)
        while True:
            with bounded():
                some = [
                    (number, list(map(_cell, *cells)))
                    for number, cells in itertools.islice(rows, _SHEET_ROWS_AT_ONCE)
                ]
            yield from some
            if not some:
                return
            if some[-1][0] > _MOST_SHEET_ROWS:
                raise UserError(
                    f"{source}: more than {_MOST_SHEET_ROWS:,} rows, which no sheet of Excel has: "
                    "save it as CSV UTF-8"
                )
    except UserError:
        raise
    except Exception as error:  # openpyxl raises a wide range of them
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{source}: cannot be read as .xlsx ({reason}): save it again") from None


def _cell(value: Any, formula: Any) -> str:
    if value is None:
        return "" if formula is None else "\0"
    if isinstance(value, datetime) and value.time() == time():
        value = value.date()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)
