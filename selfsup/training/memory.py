"""Telling the C library to keep the memory it has."""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h


def keep_freed_memory() -> None:
    """Make glibc reuse freed memory instead of handing it back to the system.

    Each training step frees and asks for the same large blocks; fresh pages for them cost about a
    quarter of a step on a CPU. Must be called before the first large allocation; does nothing
    where the C library is not glibc.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    # Before 2.35 glibc refuses more than 32 MiB. The second call alone would do harm: it ends
    # glibc's own raising of the first threshold.
    if mallopt(_M_MMAP_THRESHOLD, 1 << 30) or mallopt(_M_MMAP_THRESHOLD, 32 << 20):
        mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)
