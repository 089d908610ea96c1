"""Read files that may be compressed, as their suffix says."""

import bz2
import gzip
import io
import lzma
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import IO, Any, BinaryIO, cast

import zstandard

from selfsup.corpus.readers import bounds
from selfsup.errors import UserError

BUFFER_BYTES = 1 << 20
# Read few bytes at a time: each can decompress to 32 kB, all at once.
_ZSTANDARD_BYTES = 1 << 10


class PieceReader(io.RawIOBase):
    """A stream of bytes that come in pieces of any length."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._ready = pieces, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Read into a buffer, as every raw stream does; raises what the pieces raise."""
        while not self._ready:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._ready = memoryview(piece)
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count


def _zstandard_pieces(file: IO[bytes]) -> Iterator[bytes]:
    """Decompress Zstandard frames; unlike the library's reader, detect a truncated file.

    Raises:
        EOFError: the file ends within a frame.
    """
    decompressor, frame, compressed = zstandard.ZstdDecompressor(), None, b""
    while compressed := compressed or file.read(_ZSTANDARD_BYTES):
        frame = frame or decompressor.decompressobj()
        yield frame.decompress(compressed)
        compressed = frame.unused_data
        if frame.eof:
            frame = None
    if frame is not None:
        raise EOFError("the file ends before its last Zstandard frame does")


def _xz_pieces(file: IO[bytes], name: str) -> Iterator[bytes]:
    """Decompress xz streams; unlike the library's reader, bound the memory that a file asks for.

    Raises:
        EOFError: the file ends within a stream.
        UserError: unpacking takes more than ``bounds.MOST_XZ_BYTES``.
    """
    stream, compressed, streams = None, b"", 0
    while compressed := compressed or file.read(BUFFER_BYTES):
        if stream is None:
            compressed = compressed.lstrip(b"\0") if streams else compressed  # between streams
            if not compressed:
                continue
            stream = lzma.LZMADecompressor(memlimit=bounds.MOST_XZ_BYTES)
            streams += 1
        try:
            piece = stream.decompress(compressed, BUFFER_BYTES)
            while piece or not (stream.eof or stream.needs_input):
                yield piece
                piece = b"" if stream.eof else stream.decompress(b"", BUFFER_BYTES)
        except lzma.LZMAError as error:
            if "Memory usage limit" in str(error):
                raise UserError(
                    f"{name}: unpacking it takes more than "
                    f"{bounds.shown_size(bounds.MOST_XZ_BYTES)} of memory: compress it with xz -9 "
                    "at most"
                ) from None
            if streams > 1:  # something that is no stream follows, which xz passes over
                return
            raise
        compressed = stream.unused_data
        if stream.eof:
            stream = None
    if stream is not None:
        raise EOFError("the file ends before its last xz stream does")


_DECOMPRESSORS: dict[str, Callable[[IO[bytes], str], IO[bytes]]] = {
    ".gz": lambda file, name: cast(IO[bytes], gzip.GzipFile(fileobj=file)),
    ".xz": lambda file, name: cast(IO[bytes], PieceReader(_xz_pieces(file, name))),
    ".zst": lambda file, name: cast(IO[bytes], PieceReader(_zstandard_pieces(file))),
    ".bz2": lambda file, name: cast(IO[bytes], bz2.BZ2File(file)),
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
    """The file itself or, if it is compressed, a temporary file with its contents.

    Raises:
        UserError: the contents are longer than ``bounds.MOST_UNPACKED_BYTES``.
    """
    if not is_compressed(name):
        return file
    whole = tempfile.TemporaryFile()  # noqa: SIM115 - removed when it is closed
    reader = decompressed(file, name)
    while piece := reader.read(BUFFER_BYTES):
        whole.write(piece)
        if whole.tell() > bounds.MOST_UNPACKED_BYTES:
            whole.close()
            raise UserError(
                f"{name}: unpacks to more than {bounds.shown_size(bounds.MOST_UNPACKED_BYTES)}, "
                "which would fill the disk: if it is not damaged, unpack it and give what you get"
            )
    whole.seek(0)
    return whole


def decompressed(file: IO[bytes], name: str) -> BinaryIO:
    """A buffered reader of a file's contents, decompressed as the suffix of its name says."""
    decompressor = _DECOMPRESSORS.get(_path(name).suffix)
    raw = decompressor(file, name) if decompressor else file
    return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, raw), BUFFER_BYTES))
