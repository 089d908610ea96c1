"""Read rows with named fields: JSON lines, Parquet, data sets of the Hugging Face Hub, tables.

The libraries for Parquet and the Hub are imported only where they are used: they are slow to
import.
"""

import itertools
import logging
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import IO, Any, BinaryIO
from urllib.parse import parse_qsl

from selfsup.corpus.readers import compression
from selfsup.corpus.readers.bounds import memory_bound
from selfsup.corpus.readers.delimited import delimited_rows, sheet_rows
from selfsup.corpus.readers.documents import (
    LONGEST_RECORD_BYTES,
    TOO_LONG,
    BadRecord,
    Fields,
    refuse_repeated_names,
)
from selfsup.corpus.readers.encodings import utf8_text
from selfsup.corpus.readers.inputs import Input
from selfsup.errors import UserError
from selfsup.settings.reading import FileFormat
from selfsup.structured_files import parse_json

WITH_HEADER, JSON_LINES = (".csv", ".tsv", ".xlsx"), (".jsonl", ".ndjson")
# As many rows of a Parquet file are read at once as make up this much, on average.
_BATCH_BYTES = 32 << 20
_MOST_ROWS_AT_ONCE = 256

_log = logging.getLogger(__name__)


def named_rows(
    raw: IO[bytes],
    found: Input,
    file_format: FileFormat,
    known: Collection[str],
    tell: Callable[[str], None] = _log.warning,
) -> Iterator[Fields | BadRecord]:
    """Yield the rows of an opened file with a header, or of JSON lines.

    The other arguments are those of ``delimited_rows``.

    Raises:
        UserError: the file as a whole cannot be read.
    """
    if found.suffix == ".xlsx":
        whole = compression.seekable(raw, found.name)
        return sheet_rows(whole, found.name, file_format, known, tell)
    text = utf8_text(raw, found.name, file_format.encoding, tell)
    if found.suffix in JSON_LINES:
        return json_objects(text, found.name)
    return delimited_rows(text, found.name, file_format, known, tell)


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
            value = parse_json(line)
        except UnicodeDecodeError as error:
            yield BadRecord(source, number, f"byte {error.start + 1} is not UTF-8")
        except ValueError as error:
            yield BadRecord(source, number, f"not JSON ({error})")
        else:
            is_object = isinstance(value, dict)
            yield (number, value) if is_object else BadRecord(source, number, "not a JSON object")


def parquet_rows(
    file: IO[bytes],
    source: str,
    columns: Callable[[Any], list[str] | None],
) -> Iterator[Fields | BadRecord]:
    """Yield each row's number, from 1, and its fields.

    Args:
        file: opened at its start, seekable.
        source: its name.
        columns: takes the schema, and returns the columns to read; None for all.

    Raises:
        UserError: the file is not a Parquet file, or takes too much memory to read.
    """
    import pyarrow  # Takes a tenth of a second and 40 MB.
    import pyarrow.parquet

    bounded = partial(
        memory_bound, source, "write it again with smaller pages (data_page_size), or shorter texts"
    )
    number = 0
    try:
        with bounded():
            # Read buffered pages, not whole row groups: these can be of any size.
            parquet = pyarrow.parquet.ParquetFile(file, buffer_size=1 << 20, pre_buffer=False)
            if not parquet.metadata.num_rows:  # an empty table may have columns without a type
                return
            rows = min(_MOST_ROWS_AT_ONCE, _rows_within(_BATCH_BYTES, parquet.metadata))
            batches = parquet.iter_batches(
                rows, columns=columns(parquet.schema_arrow), use_threads=False
            )
        while True:
            with bounded():
                batch = next(batches, None)
                if batch is None:
                    return
                names = batch.schema.names
                values = [_values(batch.column(name)) for name in names]
            for row in zip(*values, strict=True):
                number += 1
                fields = dict(zip(names, row, strict=True))
                undecodable = next((n for n, v in fields.items() if v is _UNDECODABLE), None)
                if undecodable:
                    yield BadRecord(source, number, f'column "{undecodable}" is not UTF-8')
                else:
                    yield number, fields
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{source}: cannot be read as Parquet ({reason})") from None


def _rows_within(size: int, metadata: Any) -> int:
    """How many rows take at most this many bytes in every row group, on average; at least one."""
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    longest = max((group.total_byte_size // max(1, group.num_rows) for group in groups), default=1)
    return max(1, size // max(1, longest))


def text_columns(schema: Any, text_field: str, source: str) -> list[str]:
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
