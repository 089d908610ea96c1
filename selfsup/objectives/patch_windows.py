"""Windows of pixels cut out of images, as the encoder takes them.

Shapes: B images, S side of an image, p side of a window, n windows of each image, P = 3p² numbers
in a window.
"""

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor


def cut_windows(
    images: np.ndarray,
    places: np.ndarray,
    window: int,
    cell: int,
    down: int | np.ndarray = 0,
    across: int | np.ndarray = 0,
) -> np.ndarray:
    """Cut windows out of the cells of a grid.

    Args:
        images: uint8 [B, S, S, 3], S a multiple of ``cell``.
        places: integers [B, n], the cells, counted row by row.
        window: p, in pixels.
        cell: side of a cell in pixels, at least p.
        down, across: where in its cell a window begins, in pixels from 0 to ``cell - p``; of a
            shape that broadcasts to [B, n].

    Returns:
        uint8 [B, n, P]. The numbers of a window go channel by channel, then row by row; with
        ``cell`` = p these are the patches of ``selfsup.encoder.patches.patchify``.
    """
    row, column = np.divmod(places, images.shape[1] // cell)
    windows = sliding_window_view(images, (window, window), axis=(1, 2))  # [B, …, …, 3, p, p]
    image = np.arange(len(images))[:, None]
    cut = windows[image, row * cell + down, column * cell + across]  # [B, n, 3, p, p]
    return cut.reshape(*places.shape, -1)


def to_floats(pixels: Tensor) -> Tensor:
    """uint8 from 0 to 255 → float32 from -1 to 1, of the same shape."""
    return pixels.to(torch.float32).mul_(2 / 255).sub_(1)
