"""The device and precision to compute with, and memory settings of the C library."""

import ctypes
import sys
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from selfsup.errors import UserError

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h


def keep_freed_memory() -> None:
    """Make glibc reuse freed memory instead of returning it to the system.

    Each training step frees and allocates the same large blocks; new pages for them cost about a
    quarter of a step on a CPU. Must be called before the first large allocation. Does nothing if
    the C library is not glibc.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    # Before 2.35 glibc accepts at most 32 MiB. Setting only the trim threshold would do harm: it
    # turns off glibc's own adjustment of the mmap threshold.
    if mallopt(_M_MMAP_THRESHOLD, 1 << 30) or mallopt(_M_MMAP_THRESHOLD, 32 << 20):
        mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)


@dataclass(frozen=True)
class Compute:
    """A device and the precision of its matrix products.

    Attributes:
        device: of the parameters.
        dtype: bfloat16 (by autocast, with float32 parameters) or float32.
    """

    device: torch.device
    dtype: torch.dtype

    def autocast(self) -> AbstractContextManager:
        """A context in which matrix products run in ``dtype``."""
        enabled = self.dtype != torch.float32
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=enabled)

    def matmul_peak(self) -> float:
        """Measure the floating-point operations per second of a large matrix product."""
        size = 8192 if self.device.type == "cuda" else 2048
        a = torch.randn(size, size, device=self.device, dtype=self.dtype)
        rates = []
        for _ in range(8):
            self._wait()
            start = time.perf_counter()
            torch.mm(a, a)
            self._wait()
            rates.append(2 * size**3 / (time.perf_counter() - start))
        return max(rates)

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()


def choose_compute(device: str, precision: str, threads: int | None) -> Compute:
    """Choose device and precision from ``--device``, ``--precision`` and ``--threads``.

    Raises:
        UserError: this machine does not have the device, or the device not the precision.
    """
    keep_freed_memory()
    if threads is not None:
        torch.set_num_threads(threads)
    if device == "auto":
        device = "cpu"
        if torch.cuda.is_available():
            device = "cuda"
        elif torch.backends.mps.is_available():
            device = "mps"
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch sees no CUDA device here; use --device auto")
    if device == "mps" and not torch.backends.mps.is_available():
        raise UserError("--device mps: torch sees no Apple GPU here; use --device auto")
    fast_bf16 = _computes_bf16_fast(device)
    if precision == "bf16" and device == "mps":
        raise UserError("--precision bf16 is not supported on mps; use --precision auto")
    if precision == "bf16" and device == "cuda" and not fast_bf16:
        raise UserError("--precision bf16: this GPU does not compute in it; use --precision auto")
    use_bf16 = precision == "bf16" or (precision == "auto" and fast_bf16)
    return Compute(torch.device(device), torch.bfloat16 if use_bf16 else torch.float32)


def _computes_bf16_fast(device: str) -> bool:
    """Whether the hardware multiplies bfloat16 matrices faster than float32 ones."""
    if device == "cuda":
        return torch.cuda.get_device_capability() >= (8, 0)
    if device == "cpu":
        has_bf16 = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
        return has_bf16 is not None and has_bf16()
    return False
