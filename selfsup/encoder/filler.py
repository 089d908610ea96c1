"""Rows added to a matrix so that few different numbers of rows occur.

On a CPU, oneDNN makes a kernel for each shape of matrix product that it meets, and keeps the last
thousand. Sequences laid end to end have another number of rows in nearly every batch; the kernels
for them took up to a tenth of a training step, and a gigabyte (docs/log.md).
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def filler_rows(count: int, device: torch.device) -> int:
    """How many rows to add to ``count``: at most 31 or a thirty-second of them; none but on a CPU.

    There are at most 32 different sums between a power of two and the next. To a few rows, such as
    those of a single text, at most 7 are added.
    """
    unit = 8 if count <= 32 else max(32, 1 << max(0, count.bit_length() - 6))
    return -count % unit if device.type == "cpu" else 0


def with_filler(x: Tensor) -> Tensor:
    """Add rows of zeros to x [N, …]."""
    rows = filler_rows(len(x), x.device)
    return F.pad(x, (0, 0) * (x.ndim - 1) + (0, rows)) if rows else x
