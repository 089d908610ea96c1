"""Read rows with named fields: CSV, TSV, JSON lines, Parquet, data sets of the Hugging Face Hub.

The libraries for the last two are imported only where they are used: they are slow to import.
"""

import csv
import io
import itertools
import json
from collections.abc import Iterator
from typing import Any, BinaryIO, TextIO
from urllib.parse import parse_qsl

from selfsup.corpus.readers.documents import (
    LONGEST_RECORD_BYTES,
    TOO_LONG,
    BadRecord,
    Fields,
    refuse_repeated_names,
)
from selfsup.errors import UserError

_ROWS_AT_ONCE = 64


def csv_rows(file: BinaryIO, source: str) -> Iterator[Fields | BadRecord]:
    """Yield each row's line and its fields, named by the header.

    Fields in double quotes may hold commas and line breaks.
    """
    return _delimited_rows(file, source, ",", csv.QUOTE_MINIMAL)


def tsv_rows(file: BinaryIO, source: str) -> Iterator[Fields | BadRecord]:
    """Yield each row's line and its fields, named by the header.

    Quotes are ordinary characters, as in GLUE's files. Otherwise a text that begins with a lone
    quotation mark would silently swallow the rows after it.
    """
    return _delimited_rows(file, source, "\t", csv.QUOTE_NONE)


def _delimited_rows(
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


def parquet_rows(file: BinaryIO, source: str, text_field: str) -> Iterator[Fields | BadRecord]:
    """Yield each row's number, from 1, and its columns ``id`` and ``text_field``.

    Raises:
        UserError: the file is not a Parquet file, or lacks the column.
    """
    import pyarrow  # Takes a tenth of a second and 40 MB.
    import pyarrow.parquet

    try:
        # Read buffered pages, not whole row groups: these can be of any size.
        parquet = pyarrow.parquet.ParquetFile(file, buffer_size=1 << 20, pre_buffer=False)
        number = 0
        if not parquet.metadata.num_rows:  # an empty table may have columns without a type
            return
        columns = _columns(parquet.schema_arrow, text_field, source)
        for batch in parquet.iter_batches(_ROWS_AT_ONCE, columns=columns, use_threads=False):
            values = {name: _values(batch.column(name)) for name in batch.schema.names}
            for row in range(batch.num_rows):
                number += 1
                fields = {name: column[row] for name, column in values.items()}
                undecodable = next((n for n, v in fields.items() if v is _UNDECODABLE), None)
                if undecodable:
                    yield BadRecord(source, number, f'column "{undecodable}" is not UTF-8')
                else:
                    yield number, fields
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{source}: cannot be read as Parquet ({reason})") from None


def _columns(schema: Any, text_field: str, source: str) -> list[str]:
    """The columns to read: text and id, or every string column if the text field must be guessed.

    Raises:
        UserError: there are none.
    """
    import pyarrow.types as types

    refuse_repeated_names(schema.names, source)
    if text_field in schema.names:
        return [name for name in ("id", text_field) if name in schema.names]
    strings = [field.name for field in schema if _holds_strings(field.type, types)]
    if not strings:
        raise UserError(
            f'{source}: no field "{text_field}", and none that holds strings '
            f"(it has: {', '.join(schema.names)}): write the text as a column of strings"
        )
    return [name for name in schema.names if name == "id" or name in strings]


def _holds_strings(column_type: Any, types: Any) -> bool:
    if types.is_dictionary(column_type):
        column_type = column_type.value_type
    kinds = types.is_string, types.is_large_string, types.is_string_view
    return any(is_kind(column_type) for is_kind in kinds)


_UNDECODABLE = object()


def _values(column: Any) -> list[Any]:
    try:
        return column.to_pylist()
    except UnicodeDecodeError:
        return [_value(scalar) for scalar in column]


def _value(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        return _UNDECODABLE


def hub_rows(url: str) -> Iterator[Fields]:
    """Stream one split of a data set: each row's number, from 1, and its fields.

    Classes become their names, "-" if unknown.

    Args:
        url: ``hf://NAME``, also ``hf://NAME?name=CONFIGURATION&split=SPLIT&revision=COMMIT``; the
            split is ``train`` unless named.

    Raises:
        UserError: ``datasets`` is not installed, or the data set cannot be loaded.
    """
    try:
        import datasets
    except ImportError:
        raise UserError(
            f"{url}: reading it needs the library datasets: pip install 'selfsup[hub]'"
        ) from None
    name, _, query = url.removeprefix("hf://").partition("?")
    options: dict[str, Any] = {"split": "train", **dict(parse_qsl(query))}
    try:
        dataset: Any = datasets.load_dataset(name, streaming=True, **options)
    except Exception as error:  # datasets raises a wide range of them
        raise _not_loaded(url, error) from None
    names: dict[str, list[str]] = {}
    for column, feature in (dataset.features or {}).items():
        # A list of classes, such as the tags of words, has them in its ``feature``.
        of_one = getattr(feature, "feature", feature)
        if isinstance(of_one, datasets.ClassLabel):
            names[column] = of_one.names
    rows = iter(dataset)
    for number in itertools.count(1):
        try:  # rows are downloaded while they are read
            row = next(rows, None)
        except Exception as error:
            raise _not_loaded(url, error) from None
        if row is None:
            return
        yield number, row | {column: _class_names(row[column], names[column]) for column in names}


def _not_loaded(url: str, error: Exception) -> UserError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return UserError(f"{url}: cannot be loaded ({reason})")


def _class_names(value: int | list[int] | None, names: list[str]) -> Any:
    if isinstance(value, list):
        return [_class_names(number, names) for number in value]
    return names[value] if value is not None and value >= 0 else "-"
