"""Read the documents of all kinds of sources, one after another."""

import itertools
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Literal

from selfsup.corpus.readers import compression, docstrings
from selfsup.corpus.readers.documents import (
    DEFAULT_MAX_BAD_FRACTION,
    DEFAULT_TEXT_FIELD,
    BadRecordCounter,
    Document,
    Record,
    composed,
    documents_from_fields,
)
from selfsup.corpus.readers.encodings import utf8_text
from selfsup.corpus.readers.inputs import Input, find_inputs, opening
from selfsup.corpus.readers.plain_text import read_plain_text
from selfsup.corpus.readers.tables import (
    WITH_HEADER,
    hub_rows,
    named_rows,
    parquet_rows,
    text_columns,
)
from selfsup.errors import UserError
from selfsup.settings.reading import FileFormat

TextDocuments = Literal["auto", "file", "blank-line", "line"]


def read_documents(
    sources: Sequence[str],
    *,
    text_field: str = DEFAULT_TEXT_FIELD,
    text_documents: TextDocuments = "auto",
    max_bad_fraction: float = DEFAULT_MAX_BAD_FRACTION,
    file_format: FileFormat = FileFormat(),  # noqa: B008 - frozen
) -> Iterator[Document]:
    """Read all documents of the sources, in order.

    Args:
        sources: files (``.txt``, ``.jsonl``, ``.csv``, ``.tsv``, ``.parquet``, also compressed:
            ``.gz``, ``.xz``, ``.zst``, ``.bz2``; ``.xlsx``), folders and globs of them, any fsspec
            URL, ``hf://NAME``, ``docs://installed``.
        text_field: the field or column that holds the text.
        text_documents: what a document is in plain text: the whole file, the text between blank
            lines, or a line. ``"auto"`` means the whole file if there are several such files.
        max_bad_fraction: the fraction of the records that may be unreadable; they are skipped.
        file_format: what is known of the files' encoding and tables.

    Raises:
        UserError: as ``find_inputs``, or too many records cannot be read.
    """
    counter = BadRecordCounter(max_bad_fraction)
    stream = RecordStream(find_inputs(sources), text_field, text_documents, file_format)
    for _, _, record in stream:
        counter.count(record)
        if isinstance(record, Document):
            yield record
    counter.check_fraction()


def resolve_text_documents(inputs: Sequence[Input], text_documents: str) -> str:
    """What a document is in plain text, with "auto" replaced by what it means for the inputs."""
    if text_documents != "auto":
        return text_documents
    return "file" if sum(found.suffix == ".txt" for found in inputs) > 1 else "blank-line"


class RecordStream:
    """Iterates over (index of the input, number of the record in it from 0, record)."""

    def __init__(
        self,
        inputs: Sequence[Input],
        text_field: str = DEFAULT_TEXT_FIELD,
        text_documents: TextDocuments = "auto",
        file_format: FileFormat = FileFormat(),  # noqa: B008 - frozen
        *,
        start: tuple[int, int] = (0, 0),
    ) -> None:
        """Begin with the input and the record in it that ``start`` says, and skip earlier ones."""
        self._inputs = inputs
        self._text_field = composed(text_field)
        self._format = file_format
        if inputs and not any(found.suffix in WITH_HEADER for found in inputs):
            file_format.refuse_for(inputs[0].name)
        self._text_documents = resolve_text_documents(inputs, text_documents)
        self._start = start
        self._bytes_before = sum(found.size for found in inputs[: start[0]])
        self._raw: IO[bytes] | None = None

    @property
    def bytes_read(self) -> int:
        """Bytes read or skipped so far, as stored (compressed, for instance)."""
        within = self._raw.tell() if self._raw and not self._raw.closed else 0
        return self._bytes_before + within

    def __iter__(self) -> Iterator[tuple[int, int, Record]]:
        first_input, first_record = self._start
        for index in range(first_input, len(self._inputs)):
            found = self._inputs[index]
            records = enumerate(self._read(found))
            skipped = first_record if index == first_input else 0
            for number, record in itertools.islice(records, skipped, None):
                yield index, number, record
            self._raw = None
            self._bytes_before += found.size

    def _read(self, found: Input) -> Iterator[Record]:
        if found.suffix == "hub":
            yield from documents_from_fields(hub_rows(found.url), found.url, self._text_field)
        elif found.suffix == "docs":
            yield from docstrings.read_docstrings(found.name, Path(found.url))
        else:
            with opening(found) as raw:
                self._raw = raw
                yield from self._read_file(raw, found)

    def _read_file(self, raw: IO[bytes], found: Input) -> Iterator[Record]:
        try:
            if found.suffix == ".parquet":
                whole = compression.seekable(raw, found.name)
                columns = partial(text_columns, text_field=self._text_field, source=found.name)
                rows = parquet_rows(whole, found.name, columns)
            elif found.suffix == ".txt":
                file = utf8_text(raw, found.name, self._format.encoding)
                yield from read_plain_text(file, found.name, self._text_documents)
                return
            else:
                rows = named_rows(raw, found, self._format, (self._text_field,))
            yield from documents_from_fields(rows, found.name, self._text_field)
        except compression.DAMAGED as error:
            raise UserError(
                f"{found.name}: damaged or cut short ({error}): fetch it again"
            ) from None
        except OSError as error:
            raise UserError(f"{found.name}: cannot be read ({error.strerror or error})") from None
