"""Flat arrays in a safetensors file: write them, and memory-map them.

The format is the header's length as a little-endian uint64, a JSON header, then the arrays' bytes.
"""

import hashlib
import json
import mmap
import struct
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal, TypedDict

import numpy as np
from msgspec import Meta

from selfsup.atomic_files import replacing
from selfsup.errors import UserError
from selfsup.structured_files import Count, check, parse_json

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
    data_offsets: tuple[Count, Count]


_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


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


def map_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Memory-map the arrays of a safetensors file, read-only (the library would copy them).

    Raises:
        UserError: the file is not a safetensors file, or is damaged.
    """
    try:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        (header_bytes,) = struct.unpack("<Q", mapped[:8])
        header = parse_json(mapped[8 : 8 + header_bytes])
        body = np.frombuffer(mapped, np.uint8)[8 + header_bytes :]
        header.pop("__metadata__", None)
        arrays = {}
        for name, entry in check(header, dict[str, _ArrayEntry], path).items():
            start, end = entry["data_offsets"]
            if end > len(body):
                raise ValueError(f"{name} reaches beyond its end")
            arrays[name] = body[start:end].view(_DTYPES[entry["dtype"]])
        return arrays
    except (OSError, ValueError, AttributeError, struct.error, UserError) as error:
        raise UserError(f"{path}: damaged ({error}): make it again") from None


def concatenated_ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """``range(start, start + length)`` of each pair, concatenated, int64."""
    positions = np.cumsum(lengths) - lengths
    return np.repeat(starts - positions, lengths) + np.arange(int(lengths.sum()))
