"""Flat arrays in a safetensors file: the header to write before them, and a memory map of them.

The format: the header's length as a little-endian uint64, a JSON header, the arrays' bytes.
"""

import json
import mmap
import struct
from pathlib import Path

import numpy as np

from selfsup.errors import UserError

_DTYPES = {
    "U8": np.dtype("u1"),
    "U16": np.dtype("<u2"),
    "U32": np.dtype("<u4"),
    "U64": np.dtype("<u8"),
    "I64": np.dtype("<i8"),
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


def safetensors_header(arrays: dict[str, tuple[np.dtype, int]]) -> bytes:
    """The length and JSON header, padded to 8 bytes, of flat arrays laid in this order.

    Args:
        arrays: for each name the dtype and the number of elements. Those of wide elements should
            come first, so that each begins where its elements are aligned.
    """
    entries = {}
    position = 0
    for name, (dtype, length) in arrays.items():
        end = position + dtype.itemsize * length
        entries[name] = {
            "dtype": _NAMES[dtype],
            "shape": [length],
            "data_offsets": [position, end],
        }
        position = end
    header = json.dumps(entries, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header


def map_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Memory-map the arrays of a safetensors file, read-only (its own reader would copy them).

    Raises:
        UserError: it is no such file, or damaged.
    """
    try:
        return _map_safetensors(path)
    except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise UserError(f"{path}: damaged ({error}): make it again") from None


def _map_safetensors(path: Path) -> dict[str, np.ndarray]:
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    data = np.frombuffer(mapped, np.uint8)
    (header_bytes,) = struct.unpack("<Q", mapped[:8])
    header = json.loads(bytes(data[8 : 8 + header_bytes]))
    body = data[8 + header_bytes :]
    return {
        name: body[slice(*entry["data_offsets"])].view(_DTYPES[entry["dtype"]])
        for name, entry in header.items()
        if name != "__metadata__"
    }
