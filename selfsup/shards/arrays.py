"""Flat arrays in a safetensors file: write them, and read parts of them.

The format is the header's length as a little-endian uint64, a JSON header, then the arrays' bytes.
Files are read, not memory-mapped: of a mapped file that becomes shorter the system would end the
process, with no message.
"""

import hashlib
import json
import os
import struct
import threading
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Annotated, BinaryIO, Literal, Self, TypedDict

import numpy as np
from msgspec import Meta

from selfsup.atomic_files import replacing
from selfsup.errors import UserError
from selfsup.special_files import refuse_special
from selfsup.structured_files import Count, check, parse_json, shown

_DTYPES = {
    "U8": np.dtype("u1"),
    "U16": np.dtype("<u2"),
    "U32": np.dtype("<u4"),
    "U64": np.dtype("<u8"),
    "I64": np.dtype("<i8"),
}


class ShardEntry(TypedDict):
    """What a manifest says of a shard; each kind of shards has further counts."""

    file: Annotated[str, Meta(pattern=r"^shard-[0-9]+\.safetensors$")]
    bytes: Count
    sha256: str


class _ArrayEntry(TypedDict):
    """What the header says of an array."""

    dtype: Literal["U8", "U16", "U32", "U64", "I64"]
    shape: Annotated[list[Count], Meta(min_length=1, max_length=1)]
    data_offsets: tuple[Count, Count]


_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_LONGEST_HEADER = 1 << 20  # bytes; that of a few arrays has some hundreds
_PART = 1 << 22  # elements that are read at once
_HAS_PREAD = hasattr(os, "pread")  # not on Windows


def write_safetensors(
    path: Path,
    arrays: dict[str, np.ndarray],
    last: tuple[str, np.dtype, int],
    chunks: Iterable[bytes],
) -> ShardEntry:
    """Write flat arrays; the last one is streamed, so that it need not fit in memory.

    Args:
        path: the file.
        arrays: one-dimensional arrays. Those with wide elements come first, so that each array is
            aligned in the file.
        last: name, dtype and number of elements of the array that ``chunks`` holds.
        chunks: the bytes of the last array, in order.

    Returns:
        ``file``, ``bytes`` and ``sha256``, as a manifest lists them.

    Raises:
        UserError: the disk is full; nothing of the file is left behind.
    """
    name, dtype, length = last
    shapes = {name: (array.dtype, len(array)) for name, array in arrays.items()}
    header = _header({**shapes, name: (dtype, length)})
    checksum = hashlib.sha256()
    size = 0
    with replacing(path) as file:
        for part in chain([header], (array.tobytes() for array in arrays.values()), chunks):
            checksum.update(part)
            size += len(part)
            file.write(part)
    return {"file": path.name, "bytes": size, "sha256": checksum.hexdigest()}


def _header(arrays: dict[str, tuple[np.dtype, int]]) -> bytes:
    """The length and the JSON header, padded to 8 bytes, of arrays (dtype, elements) in order."""
    entries = {}
    position = 0
    for name, (dtype, length) in arrays.items():
        end = position + dtype.itemsize * length
        entries[name] = {"dtype": _NAMES[dtype], "shape": [length], "data_offsets": [position, end]}
        position = end
    header = json.dumps(entries, separators=(",", ":"), allow_nan=False).encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header


class StoredArray:
    """A flat array in a file. ``array[begin:end]`` reads that part, read-only."""

    def __init__(
        self, file: "_File | _Memory", dtype: np.dtype, position: int, length: int
    ) -> None:
        self.dtype = dtype
        self._file, self._position, self._length = file, position, length

    @classmethod
    def in_memory(cls, array: np.ndarray) -> Self:
        """The same of an array, int [n], that is not in a file."""
        return cls(_Memory(array.tobytes()), array.dtype, 0, len(array))

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, part: slice) -> np.ndarray:
        """The elements from ``part.start`` to ``part.stop``.

        Raises:
            UserError: the file has become too short for them.
        """
        begin, end, _ = part.indices(self._length)
        return np.frombuffer(self.bytes_of(begin, max(end - begin, 0)), self.dtype)

    def bytes_of(self, begin: int, count: int) -> bytes:
        """The bytes of elements that are all in the array; raises what ``[begin:end]`` does."""
        size = self.dtype.itemsize
        return self._file.read(self._position + begin * size, count * size)

    def parts(self) -> Iterator[np.ndarray]:
        """The whole array in parts of bounded size, in order."""
        return (self[begin : begin + _PART] for begin in range(0, self._length, _PART))


def read_spans(
    arrays: Sequence[StoredArray], numbers: np.ndarray, begins: np.ndarray, lengths: np.ndarray
) -> np.ndarray:
    """Spans of several arrays of one type, concatenated, int64.

    Args:
        arrays: where to read.
        numbers: the array of each span.
        begins, lengths: the span in its array.
    """
    spans = zip(numbers.tolist(), begins.tolist(), lengths.tolist(), strict=True)
    data = b"".join([arrays[number].bytes_of(begin, length) for number, begin, length in spans])
    return np.frombuffer(data, arrays[0].dtype).astype(np.int64)


class _Memory:
    """Bytes in memory, read as a file is."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, position: int, size: int) -> bytes:
        return self._data[position : position + size]


class _File:
    """A file that several threads read at any positions."""

    def __init__(self, path: Path, file: BinaryIO, fix: str) -> None:
        self._path, self._file, self._fix = path, file, fix
        self._lock = threading.Lock()

    def read(self, position: int, size: int) -> bytes:
        data = self._read_some(position, size)
        while len(data) < size:  # the system may give less than was asked for
            more = self._read_some(position + len(data), size - len(data))
            if not more:
                raise UserError(f"{self._path}: was cut short while it was in use: {self._fix}")
            data += more
        return data

    def _read_some(self, position: int, size: int) -> bytes:
        if _HAS_PREAD:
            return os.pread(self._file.fileno(), size, position)
        with self._lock:
            self._file.seek(position)
            return self._file.read(size)


def open_safetensors(path: Path, fix: str) -> dict[str, StoredArray]:
    """The arrays of a safetensors file (the library would read all of them).

    Args:
        path: the file.
        fix: what the user does about a damaged file.

    Raises:
        UserError: the file is not a safetensors file of flat arrays, or is damaged.
    """
    refuse_special(path)
    try:
        opened = path.open("rb", buffering=0)
        size = os.fstat(opened.fileno()).st_size
        file = _File(path, opened, fix)
        (header_bytes,) = struct.unpack("<Q", file.read(0, min(size, 8)))
        begin = 8 + header_bytes
        if header_bytes > _LONGEST_HEADER or begin > size:
            raise ValueError("its header reaches beyond its end")
        header = parse_json(file.read(8, header_bytes))
        header.pop("__metadata__", None)
        arrays = {}
        for name, entry in check(header, dict[str, _ArrayEntry], path).items():
            (start, end), (length,) = entry["data_offsets"], entry["shape"]
            dtype = _DTYPES[entry["dtype"]]
            if begin + end > size:
                raise ValueError(f"{shown(name)} reaches beyond its end")
            if end - start != length * dtype.itemsize:
                raise ValueError(f"{shown(name)} has not the bytes of its {length} elements")
            arrays[name] = StoredArray(file, dtype, begin + start, length)
        return arrays
    except (OSError, ValueError, AttributeError, struct.error, UserError) as error:
        raise UserError(f"{path}: damaged ({error}): {fix}") from None


def concatenated_ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """``range(start, start + length)`` of each pair, concatenated, int64."""
    positions = np.cumsum(lengths) - lengths
    return np.repeat(starts - positions, lengths) + np.arange(int(lengths.sum()))
