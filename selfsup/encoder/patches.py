"""Images cut into patches, and the way back.

Shapes: B images, C channels, S side of an image, p side of a patch, G = S/p, N = G² patches,
P = C × p² numbers in a patch.
"""

import math

from torch import Tensor


def patchify(images: Tensor, patch_size: int) -> Tensor:
    """Images [B, C, S, S] of any dtype → patches [B, N, P].

    Patches go row by row over the image. The numbers of a patch go channel by channel, then row by
    row, so that they are in the order of a convolution's flattened weight.
    """
    batch, channels, side, _ = images.shape
    grid = side // patch_size
    cut = images.reshape(batch, channels, grid, patch_size, grid, patch_size)
    return cut.permute(0, 2, 4, 1, 3, 5).reshape(batch, grid**2, channels * patch_size**2)


def unpatchify(patches: Tensor, patch_size: int) -> Tensor:
    """Patches [B, N, P] of any dtype → images [B, C, S, S]: the inverse of ``patchify``."""
    batch, count, values = patches.shape
    grid, channels = math.isqrt(count), values // patch_size**2
    cut = patches.reshape(batch, grid, grid, channels, patch_size, patch_size)
    side = grid * patch_size
    return cut.permute(0, 3, 1, 4, 2, 5).reshape(batch, channels, side, side)
