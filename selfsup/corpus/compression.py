"""Open files as they are or compressed, by suffix."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import IO, BinaryIO, cast

import zstandard

_BUFFER_BYTES = 1 << 20


def _open_zstandard(file: IO[bytes]) -> IO[bytes]:
    reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
    return cast(IO[bytes], reader)


_DECOMPRESSORS: dict[str, Callable[[IO[bytes]], IO[bytes]]] = {
    ".gz": lambda file: cast(IO[bytes], gzip.GzipFile(fileobj=file)),
    ".xz": lambda file: cast(IO[bytes], lzma.LZMAFile(file)),  # noqa: SIM115
    ".zst": _open_zstandard,
    ".bz2": lambda file: cast(IO[bytes], bz2.BZ2File(file)),
}

# What these libraries raise on data that is damaged or cut short.
DAMAGED = (EOFError, lzma.LZMAError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError)


def format_suffix(name: str) -> str:
    """The suffix that tells the format, in lower case: ``".jsonl"`` of ``"a.jsonl.gz"``."""
    path = PurePosixPath(name.lower())
    return PurePosixPath(path.stem).suffix if is_compressed(name) else path.suffix


def is_compressed(name: str) -> bool:
    """Whether the suffix says that it is."""
    return PurePosixPath(name.lower()).suffix in _DECOMPRESSORS


def decompressed(file: IO[bytes], name: str) -> BinaryIO:
    """A buffered reader of what ``file`` holds, decompressed as the name's suffix says."""
    decompressor = _DECOMPRESSORS.get(PurePosixPath(name.lower()).suffix)
    raw = decompressor(file) if decompressor else file
    return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, raw), _BUFFER_BYTES))
