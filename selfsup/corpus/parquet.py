"""Read documents from Parquet files, a few rows at a time."""

from collections.abc import Iterator
from typing import Any, BinaryIO

from selfsup.corpus.document import BadRecord, Record
from selfsup.corpus.text_field import Fields, documents_from_fields, refuse_repeated_names
from selfsup.errors import UserError

_ROWS_AT_ONCE = 64


def read_parquet(file: BinaryIO, source: str, text_field: str) -> Iterator[Record]:
    """Yield a document for each row; its id is the column ``id`` or the row's number, from 1.

    Raises:
        UserError: the file is no Parquet file, or lacks the column.
    """
    return documents_from_fields(_rows(file, source, text_field), source, text_field)


def _rows(file: BinaryIO, source: str, text_field: str) -> Iterator[Fields | BadRecord]:
    import pyarrow  # Costs a tenth of a second and 40 MB, which other formats need not pay.
    import pyarrow.parquet

    try:
        # Buffered pages instead of whole row groups, which writers make as large as they like.
        parquet = pyarrow.parquet.ParquetFile(file, buffer_size=1 << 20, pre_buffer=False)
        number = 0
        if not parquet.metadata.num_rows:  # its columns may be of no kind
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
    """The columns to read: text and id, or every column of strings where a guess is needed.

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
