"""Flat arrays in a safetensors file: the header to write before them, and a memory map of them.

The format: the header's length as a little-endian uint64, a JSON header, the arrays' bytes.
"""

import hashlib
import json
import mmap
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


# The manifest of a folder of shards: which files belong to it, and whether these are whole.


def read_manifest_of(
    folder: Path, form: str, version: int, *, what: str, again: str, missing: Callable[[Path], str]
) -> dict[str, Any]:
    """Read the manifest of a finished folder.

    Args:
        form: what the manifest calls its ``format``.
        version: the only ``format_version`` that can be read.
        what: the shards hold, for messages.
        again: what to do to make the folder anew, for messages.
        missing: says why a folder has no manifest.

    Raises:
        UserError: there is none, it cannot be read, or it is of another format or version.
    """
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(missing(folder)) from None
    except (ValueError, OSError) as error:
        raise UserError(
            f"{path}: cannot be read ({error}): delete {folder} and {again} again"
        ) from None
    if not isinstance(manifest, dict) or manifest.get("format") != form:
        raise UserError(f"{path}: not a manifest of {what}: name another folder")
    if manifest.get("format_version") != version:
        raise UserError(
            f"{path}: format version {manifest.get('format_version')}, this selfsup reads "
            f"{version}: {again} again into another folder"
        )
    return manifest


def damage_of(folder: Path, entry: dict[str, Any], *, verify: bool) -> str | None:
    """Say what is wrong with the shard that a manifest's entry names, or None.

    Args:
        folder: the shards folder.
        entry: one of the manifest's ``shards``: ``file``, ``bytes``, ``sha256``.
        verify: also compare the checksum.
    """
    path = folder / entry["file"]
    try:
        size = path.stat().st_size
    except OSError:
        return f"{path}: missing"
    if size != entry["bytes"]:
        return f"{path}: {size} bytes where the manifest says {entry['bytes']} (cut short?)"
    if verify:
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != entry["sha256"]:
                return f"{path}: its checksum is not the manifest's (altered or damaged)"
    return None


def shards_sha256(manifest: dict[str, Any]) -> str:
    """A hash of what is in the shards of a finished folder, and of the tokenizer of token shards.

    Args:
        manifest: as ``read_manifest_of`` gives it.
    """
    content = [manifest.get("tokenizer_sha256"), *(entry["sha256"] for entry in manifest["shards"])]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def concatenated_ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """``range(start, start + length)`` for each pair, laid end to end, int64."""
    places = np.cumsum(lengths) - lengths
    return np.repeat(starts - places, lengths) + np.arange(int(lengths.sum()))
