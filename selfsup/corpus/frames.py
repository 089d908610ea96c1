"""Messages between processes: a frame is a few byte strings, each with its length before it."""

import struct
from collections.abc import Sequence
from typing import BinaryIO


def send_frame(stream: BinaryIO, parts: Sequence[bytes]) -> None:
    """Write one frame and flush it."""
    stream.write(struct.pack(f"<I{len(parts)}Q", len(parts), *map(len, parts)))
    for part in parts:
        stream.write(part)
    stream.flush()


def receive_frame(stream: BinaryIO) -> list[bytes] | None:
    """Read one frame, or None where the stream ends before it.

    Raises:
        EOFError: the stream ends within the frame.
    """
    count_bytes = stream.read(4)
    if not count_bytes:
        return None
    (count,) = struct.unpack("<I", count_bytes)
    lengths = struct.unpack(f"<{count}Q", _read_exactly(stream, 8 * count))
    return [_read_exactly(stream, length) for length in lengths]


def _read_exactly(stream: BinaryIO, length: int) -> bytes:
    data = stream.read(length)
    if len(data) != length:
        raise EOFError(f"{len(data)} bytes where {length} were announced")
    return data
