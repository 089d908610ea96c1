"""Find the files that the sources on a command line name, and read documents from them."""

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, Literal, cast

import fsspec

from selfsup.corpus import compression, docstrings, hub, json_lines, plain_text
from selfsup.corpus.delimited import read_csv, read_tsv
from selfsup.corpus.document import Document, Record
from selfsup.corpus.parquet import read_parquet
from selfsup.corpus.text_field import DEFAULT_TEXT_FIELD
from selfsup.errors import UserError

DOCS_INSTALLED = "docs://installed"

TextDocuments = Literal["auto", "file", "blank-line"]

_FIELD_READERS: dict[str, Callable[[BinaryIO, str, str], Iterator[Record]]] = {
    ".jsonl": json_lines.read_json_lines,
    ".ndjson": json_lines.read_json_lines,
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".parquet": read_parquet,
}
_FORMATS = (".txt", *_FIELD_READERS)
_ENDINGS = f"{', '.join(_FORMATS)} (also with .gz, .xz, .zst, .bz2)"

_GLOB_CHARACTERS = "*?["

# What file systems call the thing that changes with a file's content.
_STAMPS = ("ETag", "etag", "mtime", "LastModified", "last_modified", "updated", "created")

# The bad fraction is judged from here on, and at the end: a file may begin badly.
_JUDGED_FROM = 1000
DEFAULT_MAX_BAD_FRACTION = 0.01


@dataclass(frozen=True)
class Input:
    """One thing to read from start to end.

    Attributes:
        name: what messages call it.
        url: where it is, in full.
        suffix: its format's suffix, or ``"docs"`` or ``"hub"``.
        size: bytes as stored, 0 where unknown.
        stamp: changes when the content does (the time it was changed, or what stands for it).
    """

    name: str
    url: str
    suffix: str
    size: int = 0
    stamp: str = ""


def find_inputs(sources: Sequence[str]) -> list[Input]:
    """Resolve files, folders, globs and URLs; what is inside a folder or glob is sorted by name.

    Raises:
        UserError: a source does not exist, names nothing readable, or needs a library that is not
            installed.
    """
    if not sources:
        raise UserError("no corpus given: name files, folders, URLs or docs://installed")
    return [found for source in sources for found in _find(str(source))]


def inputs_sha256(inputs: Sequence[Input]) -> str:
    """A hash of where the inputs are, how long, and when they changed."""
    identity = [[found.url, found.size, found.stamp] for found in inputs]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


def read_documents(
    sources: Sequence[str],
    *,
    text_field: str = DEFAULT_TEXT_FIELD,
    text_documents: TextDocuments = "auto",
    max_bad_fraction: float = DEFAULT_MAX_BAD_FRACTION,
) -> Iterator[Document]:
    """Read all documents of the sources, in order.

    Args:
        sources: files (``.txt``, ``.jsonl``, ``.csv``, ``.tsv``, ``.parquet``, also compressed:
            ``.gz``, ``.xz``, ``.zst``, ``.bz2``), folders and globs of them, any fsspec URL,
            ``hf://NAME``, ``docs://installed``.
        text_field: the field or column that holds the text.
        text_documents: what a document is in plain text: the whole file, or what stands between
            blank lines. ``"auto"``: the former where there are several such files.
        max_bad_fraction: the part of the records that may be unreadable and is skipped.

    Raises:
        UserError: as ``find_inputs``, or too many records cannot be read.
    """
    tally = BadRecordTally(max_bad_fraction)
    stream = RecordStream(find_inputs(sources), text_field, text_documents)
    for _, _, record in stream:
        tally.count(record)
        if isinstance(record, Document):
            yield record
    tally.judge_all()


def check_max_bad_fraction(fraction: float) -> None:
    """Raise a ``UserError`` unless it is a fraction."""
    if not 0 <= fraction <= 1:
        raise UserError(f"--max-bad-fraction {fraction}: must be between 0 and 1")


class BadRecordTally:
    """Counts records and stops where too many are bad.

    The fraction is judged at the end, and after each bad record once there were 1,000 records.
    """

    def __init__(
        self, max_fraction: float, *, records: int = 0, bad: int = 0, first_bad: str = ""
    ) -> None:
        check_max_bad_fraction(max_fraction)
        self._max_fraction = max_fraction
        self.records = records
        self.bad = bad
        self.first_bad = first_bad

    def count(self, record: Record) -> None:
        """Count one record.

        Raises:
            UserError: too many were bad; it names the first.
        """
        if isinstance(record, Document):
            self.records += record.records
            return
        self.records += 1
        self.bad += 1
        self.first_bad = self.first_bad or str(record)
        if self.records >= _JUDGED_FROM:
            self.judge_all()

    def judge_all(self) -> None:
        """Judge what was counted so far.

        Raises:
            UserError: too many were bad; it names the first.
        """
        if self.bad > self._max_fraction * self.records:
            raise UserError(
                f"{self.first_bad} — and with it {self.bad} of {self.records} records cannot be "
                f"read: mend the corpus or raise --max-bad-fraction ({self._max_fraction})"
            )


class RecordStream:
    """Iterates over (index of the input, number of the record in it from 0, record)."""

    def __init__(
        self,
        inputs: Sequence[Input],
        text_field: str = DEFAULT_TEXT_FIELD,
        text_documents: TextDocuments = "auto",
        *,
        start: tuple[int, int] = (0, 0),
    ) -> None:
        """Args:
        inputs: what to read.
        text_field: as in ``read_documents``.
        text_documents: as in ``read_documents``.
        start: the input and the record in it to begin with; what comes before is not yielded.
        """
        self._inputs = inputs
        self._text_field = text_field
        several = sum(found.suffix == ".txt" for found in inputs) > 1
        by_file = text_documents == "file" or (text_documents == "auto" and several)
        self._read_text = (
            plain_text.read_whole_file if by_file else plain_text.read_blank_line_separated
        )
        self._start = start
        self._bytes_before = sum(found.size for found in inputs[: start[0]])
        self._raw: IO[bytes] | None = None

    @property
    def bytes_total(self) -> int:
        """Bytes as stored, of all inputs whose size is known."""
        return sum(found.size for found in self._inputs)

    @property
    def bytes_read(self) -> int:
        """How many of ``bytes_total`` are behind the reader, also those skipped."""
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
            yield from hub.read_hub(found.url, self._text_field)
        elif found.suffix == "docs":
            yield from docstrings.read_docstrings(found.name, Path(found.url))
        else:
            with _opening(found) as raw:
                self._raw = raw
                yield from self._read_file(raw, found)

    def _read_file(self, raw: IO[bytes], found: Input) -> Iterator[Record]:
        if found.suffix == ".parquet":
            yield from read_parquet(cast(BinaryIO, raw), found.name, self._text_field)
            return
        try:
            file = compression.decompressed(raw, found.url)
            if found.suffix == ".txt":
                yield from self._read_text(file, found.name)
            else:
                yield from _FIELD_READERS[found.suffix](file, found.name, self._text_field)
        except compression.DAMAGED as error:
            raise UserError(
                f"{found.name}: damaged or cut short ({error}): fetch it again"
            ) from None
        except OSError as error:
            raise UserError(f"{found.name}: cannot be read ({error.strerror or error})") from None


def _find(source: str) -> list[Input]:
    if source.startswith("docs://"):
        return _find_docs(source)
    if source.startswith("hf://"):
        return [Input(source, source, "hub")]
    with _opening_errors(source):
        filesystem, path = fsspec.core.url_to_fs(source)
        if filesystem.isfile(path):
            if _format(path) is None:
                raise UserError(f"{source}: its name must end in {_ENDINGS}, to tell its format")
            return [_input(filesystem, path, source)]
        if filesystem.isdir(path):
            names = sorted(filesystem.find(path))
            found = [
                _input(filesystem, name, f"{source.rstrip('/')}{name[len(path) :]}")
                for name in names
                if _format(name) and not _is_hidden(name[len(path) :])
            ]
        elif any(character in source for character in _GLOB_CHARACTERS):
            names = sorted(filesystem.glob(path))
            folder = _folder_of_glob(path)
            found = [
                _input(filesystem, name, name)
                for name in names
                if _format(name) and not _is_hidden(name[len(folder) :]) and filesystem.isfile(name)
            ]
        else:
            raise UserError(f"{source}: no such file or folder: check the path")
    if not found:
        raise UserError(f"{source}: holds no file whose name ends in {_ENDINGS}")
    return found


def _find_docs(source: str) -> list[Input]:
    if source != DOCS_INSTALLED:
        raise UserError(f"{source}: unknown; the documentation there is is {DOCS_INSTALLED}")
    found = []
    for name, path in docstrings.installed_modules():
        status = path.stat()
        found.append(Input(name, str(path), "docs", status.st_size, str(status.st_mtime_ns)))
    return found


def _input(filesystem: fsspec.AbstractFileSystem, path: str, name: str) -> Input:
    info = filesystem.info(path)
    stamp = next((str(info[key]) for key in _STAMPS if info.get(key)), "")
    url = filesystem.unstrip_protocol(path)
    return Input(name, url, _format(path) or "", info.get("size") or 0, stamp)


def _format(path: str) -> str | None:
    suffix = compression.format_suffix(path)
    return suffix if suffix in _FORMATS else None


def _folder_of_glob(path: str) -> str:
    """The folder that all matches lie in."""
    first = min(path.find(character) for character in _GLOB_CHARACTERS if character in path)
    return path[:first].rpartition("/")[0]


def _is_hidden(path: str) -> bool:
    return any(part.startswith(".") for part in path.split("/"))


@contextmanager
def _opening(found: Input) -> Iterator[IO[bytes]]:
    with _opening_errors(found.name):
        filesystem, path = fsspec.core.url_to_fs(found.url)
        file = filesystem.open(path, "rb")
    with closing(file):
        yield cast(IO[bytes], file)


@contextmanager
def _opening_errors(name: str) -> Iterator[None]:
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # Each remote file system has its own kinds.
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UserError(f"{name}: cannot be opened ({reason.splitlines()[0]})") from None
