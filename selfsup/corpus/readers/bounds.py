"""Bounds on the memory that reading a file takes, whatever the file holds.

A small file can unpack to any size, and a few bytes of it can become many objects. So what is held
is counted (``HeldMemory``), and what a library allocates on its own is limited (``memory_bound``).
"""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selfsup.errors import UserError

# The most that the rows of a labelled file may take, which are held all at once: about 500 MB of
# text in short rows, and more in long ones.
MOST_HELD_BYTES = 1 << 30
# The most that a library may take to read the next rows of a Parquet file or of a sheet.
MOST_WORKING_BYTES = 768 << 20
# The longest file that is one JSON value. What its value takes is bounded by MOST_HELD_BYTES.
MOST_JSON_BYTES = 256 << 20
# The most that is unpacked to a temporary file on disk, for a format that is not read in order.
MOST_UNPACKED_BYTES = 4 << 30
# The most that unpacking .xz may take beside the text: `xz -9` makes files that need 65 MiB.
MOST_XZ_BYTES = 256 << 20

_LESS_TEXT = "labelled files are read whole: give fewer rows or columns"


def shown_size(size: int) -> str:
    """``1 GiB`` or ``768 MiB``."""
    return f"{size >> 30} GiB" if size >= 1 << 30 and not size % (1 << 30) else f"{size >> 20} MiB"


def memory_of(value: Any) -> int:
    """About how many bytes a value takes that was read from a row, with all that is in it."""
    size = sys.getsizeof(value)
    if isinstance(value, dict):
        size += sum(map(sys.getsizeof, value)) + sum(map(memory_of, value.values()))
    elif isinstance(value, list | tuple):
        size += sum(map(memory_of, value))
    return size


class HeldMemory:
    """Counts what is held of a file, and ends the reading beyond ``MOST_HELD_BYTES``."""

    def __init__(self, source: str) -> None:
        self._source, self._bytes = source, 0

    def add(self, size: int, line: int) -> None:
        """Count the bytes of one more row.

        Raises:
            UserError: with it the file takes too much; the message names its line.
        """
        self._bytes += size
        if self._bytes > MOST_HELD_BYTES:
            raise UserError(
                f"{self._source}, line {line}: up to here it takes more than "
                f"{shown_size(MOST_HELD_BYTES)} of memory, and {_LESS_TEXT}"
            )


# A limit is set for the whole process, so one block at a time has one, and no process is started
# meanwhile, which would inherit it.
_limiting = threading.RLock()


@contextmanager
def memory_bound(source: str, fix: str, most: int | None = None) -> Iterator[None]:
    """Let a short block allocate at most ``most`` bytes, by default ``MOST_WORKING_BYTES``.

    This holds on Linux; other systems do not enforce such limits.

    Raises:
        UserError: the block needs more; the message says so of ``source``, and how to ``fix`` it.
    """
    most = MOST_WORKING_BYTES if most is None else most
    with _limiting, _limited(most):
        try:
            yield
        except MemoryError:
            raise UserError(
                f"{source}: reading it takes more than {shown_size(most)} of memory at once: {fix}"
            ) from None


@contextmanager
def no_memory_bound() -> Iterator[None]:
    """Keep ``memory_bound`` from taking effect in another thread, to start a process."""
    with _limiting:
        yield


@contextmanager
def _limited(most: int) -> Iterator[None]:
    if sys.platform != "linux":
        yield
        return
    import resource  # not on every system

    # The sixth number is of the pages that RLIMIT_DATA counts, and the stack's (proc(5)).
    pages = int(Path("/proc/self/statm").read_bytes().split()[5])
    limits = resource.getrlimit(resource.RLIMIT_DATA)
    soft = pages * os.sysconf("SC_PAGESIZE") + most
    if limits[0] != resource.RLIM_INFINITY:
        soft = min(soft, limits[0])
    resource.setrlimit(resource.RLIMIT_DATA, (soft, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, limits)
