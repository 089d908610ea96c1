"""Read files that may be compressed, as their suffix says."""

import bz2
import codecs
import gzip
import io
import lzma
import shutil
import tempfile
import zlib
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import IO, Any, BinaryIO, cast

import zstandard

from selfsup.errors import UserError

_BUFFER_BYTES = 1 << 20
# Read few bytes at a time: each can decompress to 32 kB, all at once.
_ZSTANDARD_BYTES = 1 << 10


class _Zstandard(io.RawIOBase):
    """Decompresses Zstandard frames; unlike the library's reader, it detects a truncated file."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._decompressor = zstandard.ZstdDecompressor()
        self._frame = None  # the current one
        self._compressed, self._ready = b"", memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Read into a buffer, as every raw stream does.

        Raises:
            EOFError: the file ends within a frame.
        """
        while not self._ready:
            self._compressed = self._compressed or self._file.read(_ZSTANDARD_BYTES)
            if not self._compressed:
                if self._frame is not None:
                    raise EOFError("the file ends before its last Zstandard frame does")
                return 0
            self._frame = self._frame or self._decompressor.decompressobj()
            self._ready = memoryview(self._frame.decompress(self._compressed))
            self._compressed = self._frame.unused_data
            if self._frame.eof:
                self._frame = None
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count


_DECOMPRESSORS: dict[str, Callable[[IO[bytes]], IO[bytes]]] = {
    ".gz": lambda file: cast(IO[bytes], gzip.GzipFile(fileobj=file)),
    ".xz": lambda file: cast(IO[bytes], lzma.LZMAFile(file)),  # noqa: SIM115
    ".zst": lambda file: cast(IO[bytes], _Zstandard(file)),
    ".bz2": lambda file: cast(IO[bytes], bz2.BZ2File(file)),
}

# What these libraries raise on damaged or truncated data.
DAMAGED = (EOFError, lzma.LZMAError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError)


def format_suffix(name: str) -> str:
    """The suffix of the format, in lower case: ``".jsonl"`` for ``"a.jsonl.gz"``."""
    path = _path(name)
    return PurePosixPath(path.stem).suffix if is_compressed(name) else path.suffix


def is_compressed(name: str) -> bool:
    """Whether the suffix is that of a compressed file."""
    return _path(name).suffix in _DECOMPRESSORS


def _path(name: str) -> PurePosixPath:
    """The name in lower case; for a chain of URLs, such as ``zip://a.txt::b.zip``, the first.

    A query, as in ``https://host/a.csv?raw=true``, is no part of it.
    """
    links = name.lower().split("::")
    path = next((link for link in links if "://" in link), name.lower())
    return PurePosixPath(path.partition("?")[0] if path.startswith("http") else path)


def seekable(file: IO[bytes], name: str) -> IO[bytes]:
    """The file itself or, if it is compressed, a temporary file with its contents."""
    if not is_compressed(name):
        return file
    whole = tempfile.TemporaryFile()  # noqa: SIM115 - removed when it is closed
    shutil.copyfileobj(decompressed(file, name), whole)
    whole.seek(0)
    return whole


def decompressed(file: IO[bytes], name: str) -> BinaryIO:
    """A buffered reader of the contents of ``file``, decompressed as the suffix of the name says.

    Raises:
        UserError: the text is UTF-16.
    """
    decompressor = _DECOMPRESSORS.get(_path(name).suffix)
    raw = decompressor(file) if decompressor else file
    reader = io.BufferedReader(cast(io.RawIOBase, raw), _BUFFER_BYTES)
    if reader.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        raise UserError(f"{name}: is UTF-16: write it as UTF-8 (iconv -f UTF-16 -t UTF-8)")
    return cast(BinaryIO, reader)
