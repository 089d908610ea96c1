"""Find the files that the sources on the command line name, and open them."""

import hashlib
import json
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import IO, Any, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

from selfsup.corpus.readers import compression, docstrings
from selfsup.corpus.readers.folders import walk
from selfsup.errors import UserError
from selfsup.special_files import refuse_special, special_kind

DOCS_INSTALLED = "docs://installed"

_FORMATS = (".txt", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
_ENDINGS = f"{', '.join(_FORMATS)} (also with .gz, .xz, .zst, .bz2) or .xlsx"

_log = logging.getLogger(__name__)

_GLOB_CHARACTERS = r"[*?[]"

# The keys under which file systems report what changes with a file's content.
_STAMPS = ("ETag", "etag", "mtime", "LastModified", "last_modified", "updated", "created", "CRC")


@dataclass(frozen=True)
class Input:
    """One thing to read from start to end.

    Attributes:
        name: what messages call it.
        url: its full address; if the path alone lacks a part, such as a host, the source follows.
        suffix: its format's suffix, or ``"docs"`` or ``"hub"``.
        size: bytes as stored, 0 where unknown.
        stamp: changes when the content does: the modification time, or an equivalent.
        location: the file system it was found in, and its path there; None if the URL says both.
    """

    name: str
    url: str
    suffix: str
    size: int = 0
    stamp: str = ""
    location: tuple[fsspec.AbstractFileSystem, str] | None = field(
        default=None, compare=False, repr=False
    )


def find_inputs(sources: Sequence[str]) -> list[Input]:
    """Resolve files, folders, globs and URLs; files from a folder or glob are sorted by name.

    Runs, shards and tokenizers inside a folder or glob are skipped.

    Raises:
        UserError: a source does not exist, names nothing readable, or needs a library that is not
            installed.
    """
    if not sources:
        raise UserError("no corpus given: name files, folders, URLs or docs://installed")
    return [found for source in sources for found in _find(str(source))]


def inputs_sha256(inputs: Sequence[Input]) -> str:
    """A hash of the inputs' addresses, sizes and modification times."""
    identity = [[found.url, found.size, found.stamp] for found in inputs]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


def _find(source: str) -> list[Input]:
    if not source.strip():
        raise UserError("a name of the corpus is empty: name a file or a folder")
    if source.startswith("docs://"):
        return _find_docs(source)
    if source.startswith("hf://"):
        return [Input(source, source, "hub")]
    with _opening_errors(source):
        filesystem, path = _filesystem(source)
        if filesystem.isfile(path):
            suffix = compression.format_suffix(path)
            if suffix == ".xls":
                raise UserError(f"{source}: an old Excel file: save it as .xlsx or CSV UTF-8")
            if suffix not in (*_FORMATS, ".xlsx"):
                raise UserError(f"{source}: its name must end in {_ENDINGS}, to tell its format")
            return [_input(filesystem, path, source, source)]
        if filesystem.isdir(path):
            names = sorted(_find_files(filesystem, path))
            known = set(names)
            # A file in an archive is named by its path there: the source ends in the archive.
            folder = path if "::" in source else source.rstrip("/")
            found = [
                _input(filesystem, name, f"{folder}{name[len(path) :]}", source)
                for name in _texts_of_the_user(names, path.rstrip("/"), known.__contains__)
                if not _is_passed_over(filesystem, name)
            ]
        elif re.search(_GLOB_CHARACTERS, source):
            names = sorted(cast(list[str], filesystem.glob(path)))
            folder = re.split(_GLOB_CHARACTERS, path, maxsplit=1)[0].rpartition("/")[0]
            found = [
                _input(filesystem, name, name, source)
                for name in _texts_of_the_user(names, folder, filesystem.exists)
                if not _is_passed_over(filesystem, name) and filesystem.isfile(name)
            ]
        else:
            if isinstance(filesystem, LocalFileSystem):
                refuse_special(path)
            with suppress(FileNotFoundError):
                filesystem.info(path)  # raises what is wrong, such as a host that is not there
            raise UserError(f"{source}: no such file or folder: check the path")
    if not found:
        is_local = isinstance(filesystem, LocalFileSystem)
        hint = "" if is_local else "; images are read from local folders only"
        raise UserError(f"{source}: holds no file whose name ends in {_ENDINGS}{hint}")
    return found


def _is_passed_over(filesystem: fsspec.AbstractFileSystem, name: str) -> bool:
    """Whether a name among others is not of a file, such as a link to a device; it is told once."""
    kind = special_kind(name) if isinstance(filesystem, LocalFileSystem) else None
    if kind:
        _tell_once(f"{name}: passed over, as it is a {kind} and not a file")
    return kind is not None


@lru_cache(1000)
def _tell_once(note: str) -> None:
    _log.warning("%s", note)


def _find_files(filesystem: fsspec.AbstractFileSystem, folder: str) -> Iterable[str]:
    """The files in a folder and its subfolders; a subfolder that cannot be read is an error."""
    if isinstance(filesystem, LocalFileSystem):
        return (f"{path}/{name}" for path, _, names in walk(folder) for name in names)
    if filesystem.async_impl or type(filesystem).find is not fsspec.AbstractFileSystem.find:
        return cast(list[str], filesystem.find(folder))
    return _list_files(filesystem, folder)


def _list_files(filesystem: fsspec.AbstractFileSystem, folder: str) -> Iterator[str]:
    """As ``find`` of fsspec, which passes over a subfolder that cannot be read."""
    for entry in filesystem.ls(folder, detail=True):
        name = entry["name"].rstrip("/")
        if entry["type"] != "directory":
            yield name
        elif name != folder.rstrip("/"):
            yield from _list_files(filesystem, name)


def _filesystem(source: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system that holds a source, and its path there.

    An existing local path is always local: fsspec would read ``a::b.txt`` as a chain of URLs.
    """
    local = Path(source.removeprefix("file://"))
    if local.exists():
        return LocalFileSystem(), os.path.abspath(local)  # noqa: PTH100 - links stay
    filesystem, path = fsspec.core.url_to_fs(source)
    return filesystem, cast(str, path)


def _find_docs(source: str) -> list[Input]:
    if source != DOCS_INSTALLED:
        raise UserError(f"{source}: unknown; the documentation there is is {DOCS_INSTALLED}")
    statuses = ((name, path, path.stat()) for name, path in docstrings.installed_modules())
    return [
        Input(name, str(path), "docs", status.st_size, str(status.st_mtime_ns))
        for name, path, status in statuses
    ]


def _input(filesystem: fsspec.AbstractFileSystem, path: str, name: str, source: str) -> Input:
    info = filesystem.info(path)
    stamp = next((str(info[key]) for key in _STAMPS if info.get(key)), "")
    url = filesystem.unstrip_protocol(path)
    if filesystem.storage_options:  # a host, an archive: not in the path
        url += f"::{source}"
    size = info.get("size") or 0
    return Input(name, url, compression.format_suffix(path), size, stamp, (filesystem, path))


def _format(path: str) -> str | None:
    suffix = compression.format_suffix(path)
    return suffix if suffix in _FORMATS else None


def _texts_of_the_user(
    names: Sequence[str], root: str, exists: Callable[[str], bool]
) -> Iterator[str]:
    """The names below a folder with a known format, not hidden, and not in a folder of ours."""

    @cache
    def is_in_ours(folder: str) -> bool:
        return len(folder) > len(root) and (
            _is_made_by_us(folder, exists) or is_in_ours(folder.rpartition("/")[0])
        )

    for name in names:
        is_hidden = "/." in f"/{name[len(root) :]}"
        if _format(name) and not is_hidden and not is_in_ours(name.rpartition("/")[0]):
            yield name


def _is_made_by_us(folder: str, exists: Callable[[str], bool]) -> bool:
    """Whether this program made a folder: a run, a tokenizer, or shards."""

    def has_one(*names: str) -> bool:
        return any(exists(f"{folder}/{name}") for name in names)

    return has_one("run.yaml", "tokenizer.json") or (
        has_one("tokenizer/tokenizer.json") and has_one("manifest.json", "progress.json")
    )


@contextmanager
def opening(found: Input) -> Iterator[IO[bytes]]:
    """Open a file as it is stored.

    Raises:
        UserError: it cannot be opened, or is a pipe, a device or a socket.
    """
    with _opening_errors(found.name):
        filesystem, path = found.location or _filesystem(found.url)
        if isinstance(filesystem, LocalFileSystem):
            refuse_special(path)
        file = filesystem.open(path, "rb")
    with closing(file):
        is_local = isinstance(filesystem, LocalFileSystem)
        yield cast(IO[bytes], file if is_local else _RemoteFile(file, found.name))


class _RemoteFile:
    """A file over a network; what goes wrong in a call of it becomes a ``UserError``."""

    def __init__(self, file: Any, name: str) -> None:
        self._file, self._name = file, name

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(self._file, attribute)
        return _opening_errors(self._name, "read")(found) if callable(found) else found


@contextmanager
def _opening_errors(name: str, done: str = "opened") -> Iterator[None]:
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # Each remote file system raises its own kinds.
        if isinstance(error, ImportError) and isinstance(error.__cause__, ImportError):
            library = error.__cause__.name  # fsspec's own message only describes it
            raise UserError(
                f"{name}: needs {library}, which is not installed: pip install {library}"
            ) from None
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        if isinstance(error, FileNotFoundError):  # of some, the message is only the path
            reason = error.strerror or "no such file"
        raise UserError(f"{name}: cannot be {done} ({reason.splitlines()[0]})") from None
