"""The Vision Transformer (Dosovitskiy et al. 2020, §3.1), for all or some patches of an image.

Shapes: B images, C channels, S side of an image, p side of a patch or window, G = S/p, N = G²
patches of a whole image, n patches or windows that are used of each image, P = C × p² values of a
patch, D width, T = B × (1 + n) tokens in total, F width of the feed-forward layer.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor, nn
from torch.nn import functional as F

from selfsup.encoder.attention import SelfAttention
from selfsup.encoder.config import VitConfig
from selfsup.encoder.layers import ACTIVATIONS, Dropout, compute_dtype
from selfsup.encoder.packing import Packing, Queries


def cut_windows(
    images: np.ndarray,
    cells: np.ndarray,
    window: int,
    cell: int,
    down: int | np.ndarray = 0,
    across: int | np.ndarray = 0,
) -> np.ndarray:
    """Cut windows out of the cells of a grid.

    Args:
        images: uint8 [B, S, S, 3], S a multiple of ``cell``.
        cells: integers [B, n], numbers of the cells, counted row by row.
        window: p, in pixels.
        cell: side of a cell in pixels, at least p.
        down, across: offset of a window in its cell, in pixels from 0 to ``cell - p``; of a shape
            that broadcasts to [B, n].

    Returns:
        uint8 [B, n, P] with C = 3. The values of a window are ordered by channel, then by row; with
        ``cell`` = p the windows are the patches of ``patchify``.
    """
    row, column = np.divmod(cells, images.shape[1] // cell)
    windows = sliding_window_view(images, (window, window), axis=(1, 2))  # [B, …, …, 3, p, p]
    image = np.arange(len(images))[:, None]
    cut = windows[image, row * cell + down, column * cell + across]  # [B, n, 3, p, p]
    return cut.reshape(*cells.shape, -1)


def to_floats(pixels: Tensor) -> Tensor:
    """uint8 from 0 to 255 → float32 from -1 to 1, of the same shape."""
    return pixels.to(torch.float32).mul_(2 / 255).sub_(1)


def patchify(images: Tensor, patch_size: int) -> Tensor:
    """Images [B, C, S, S] of any dtype → patches [B, N, P].

    Patches are ordered by row. The values of a patch are ordered by channel, then by row, like a
    convolution's flattened weight.
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


def sine_positions(grid: int, width: int) -> Tensor:
    """Sine and cosine embeddings of the positions in a grid, row by row: float32 [grid², width].

    As in MAE (He et al. 2021, appendix A.1), the first half of a vector encodes the column, the
    second the row. Each half has sines, then cosines, at frequencies from 1 down to 1/10000
    (Vaswani et al. 2017, §3.5). If ``width`` is not a multiple of 4, the last ``width mod 4``
    values are 0.
    """
    count = width // 4
    frequencies = 10000.0 ** -(torch.arange(count, dtype=torch.float64) / max(1, count))
    angles = torch.arange(grid, dtype=torch.float64)[:, None] * frequencies
    waves = torch.cat([angles.sin(), angles.cos()], 1)  # [grid, width // 2]
    positions = torch.zeros(grid, grid, width)
    positions[..., : 2 * count] = waves[None, :]
    positions[..., 2 * count : 4 * count] = waves[:, None]
    return positions.view(grid**2, width)


class VitEncoder(nn.Module):
    """Patch embeddings, a stack of pre-norm Transformer layers, and a norm.

    It encodes only the patches that it is given. An image token precedes them; its last state is
    the vector of the image.
    """

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = VitEmbeddings(config)
        self.layers = nn.ModuleList(VitLayer(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, patches: Tensor, positions: Tensor | None) -> Tensor:
        """Encode patches: [B, 1 + n, D], the image token first, then a row for each patch.

        Args:
            patches: floats [B, n, P], as ``patchify`` makes them.
            positions: int64 [B, n], the position of each patch in the grid, 0…N−1 row by row; [n]
                if they are the same for all images. None: patches get no position embedding, and
                permuting them permutes their states.
        """
        x, packing = self._embed(patches, positions)
        for layer in self.layers:
            x = layer(x, packing)
        return self.norm(x).view(len(patches), -1, x.shape[1])

    def first_states(self, patches: Tensor, positions: Tensor | None) -> Tensor:
        """The image token alone, [B, D]: row 0 of ``forward``, which has the same arguments.

        For the patches the last layer computes only keys and values.
        """
        x, packing = self._embed(patches, positions)
        *lower, highest = self.layers
        for layer in lower:
            x = layer(x, packing)
        return self.norm(highest(x, packing, Queries.first_tokens(packing)))

    def all_positions(self) -> Tensor:
        """The positions of all patches of an image, in order, int64 [N]."""
        return torch.arange(self.config.patch_count, device=self.norm.weight.device)

    def _embed(self, patches: Tensor, positions: Tensor | None) -> tuple[Tensor, Packing]:
        """The first layer's input [T, D], and the boundaries of the images in it."""
        x = self.embeddings(patches, positions)
        packing = Packing.of_equal_lengths(x.shape[0], x.shape[1], x.device)
        return x.flatten(0, 1), packing


class VitEmbeddings(nn.Module):
    """Projects patches to the width, adds position embeddings, and puts an image token first."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        width, patch_size = config.hidden_size, config.patch_size
        # Only holds the weights, in Hugging Face's shape: the input is already cut into patches.
        self.projection = nn.Conv2d(config.num_channels, width, patch_size, patch_size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        # Learned, but initialised so that positions already differ (the image token's is 0, as in
        # MAE).
        initial = torch.cat([torch.zeros(1, width), sine_positions(config.grid, width)])
        self.position_embeddings = nn.Parameter(initial[None])
        self.dropout = Dropout(config.hidden_dropout_prob)

    def forward(self, patches: Tensor, positions: Tensor | None) -> Tensor:
        """[B, n, P] → [B, 1 + n, D], in the precision that the layers compute in."""
        table = self.position_embeddings[0]  # [1 + N, D]
        x = F.linear(patches, self.projection.weight.flatten(1), self.projection.bias)
        if positions is not None:
            x = x + F.embedding(positions, table[1:])
        first = (self.cls_token + table[0]).expand(len(x), -1, -1)
        dtype = compute_dtype(x)
        return self.dropout(torch.cat([first.to(dtype), x.to(dtype)], 1))

    @torch.no_grad()
    def rescale_pixel_input(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Change the weights so that the input is pixels from −1 to 1, with the same output.

        Before, the input is pixels normalised with ``mean`` and ``std`` of red, green and blue in
        [0, 1]. The two differ by a linear map of each colour, which the projection takes in.
        """
        weight, bias = self.projection.weight, self.projection.bias
        assert bias is not None
        means, stds = (weight.new_tensor(values).view(1, -1, 1, 1) for values in (mean, std))
        bias += (weight * (0.5 - means) / stds).sum((1, 2, 3))
        weight *= 0.5 / stds


class VitLayer(nn.Module):
    """Attention, then a feed-forward network; a norm before and a residual sum after each."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.attention_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.attention = SelfAttention(config)
        self.feed_forward_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.intermediate = nn.Linear(width, config.intermediate_size)
        self.activation = ACTIVATIONS[config.hidden_act]
        self.output = nn.Linear(config.intermediate_size, width)
        self.dropout = Dropout(config.hidden_dropout_prob)

    def forward(self, x: Tensor, packing: Packing, queries: Queries | None = None) -> Tensor:
        """x [T, D] → [T, D], or [Q, D] of the Q queried tokens alone."""
        attended = self.attention(self.attention_norm(x), packing, queries)
        if queries is not None:
            x = x.index_select(0, queries.rows)
        x = x + self.dropout(attended)
        inner = self.activation(self.intermediate(self.feed_forward_norm(x)))  # [T, F]
        return x + self.dropout(self.output(inner))
