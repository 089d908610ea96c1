"""Fixed positions in a grid, of sines and cosines (He et al. 2021, MAE, appendix A.1)."""

import torch
from torch import Tensor


def sine_positions(grid: int, width: int) -> Tensor:
    """Position vectors of a grid's places, row by row: float32 [grid², width].

    The first half of a vector tells the column, the second the row. Each half is sines, then
    cosines, at frequencies from 1 down to 1/10000 (Vaswani et al. 2017, §3.5). Where 4 does not
    divide ``width``, the last ``width mod 4`` numbers are 0.
    """
    count = width // 4
    frequencies = 10000.0 ** -(torch.arange(count, dtype=torch.float64) / max(1, count))
    angles = torch.arange(grid, dtype=torch.float64)[:, None] * frequencies
    waves = torch.cat([angles.sin(), angles.cos()], 1)  # [grid, width // 2]
    positions = torch.zeros(grid, grid, width)
    positions[..., : 2 * count] = waves[None, :]
    positions[..., 2 * count : 4 * count] = waves[:, None]
    return positions.view(grid**2, width)
