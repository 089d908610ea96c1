"""What the C library is asked for, on versions of it that grant different amounts."""

import ctypes
from types import SimpleNamespace

import pytest

from selfsup.training.compute import keep_freed_memory

TRIM, MMAP = -1, -3


@pytest.mark.parametrize(
    ("granted", "asked"),
    [
        (1 << 30, [(MMAP, 1 << 30), (TRIM, (1 << 31) - 1)]),
        (32 << 20, [(MMAP, 1 << 30), (MMAP, 32 << 20), (TRIM, (1 << 31) - 1)]),
        (0, [(MMAP, 1 << 30), (MMAP, 32 << 20)]),
    ],
    ids=["glibc 2.35", "glibc 2.34", "none of it"],
)
def test_trimming_is_only_ended_where_large_blocks_are_kept(granted, asked, monkeypatch):
    calls = []

    def mallopt(option: int, value: int) -> int:
        calls.append((option, value))
        return int(option == TRIM or value <= granted)

    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace(mallopt=mallopt))
    keep_freed_memory()
    assert calls == asked
