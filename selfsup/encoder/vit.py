"""Windows of pixels cut out of images, as the encoder takes them.

Shapes: B images, S side of an image, p side of a window, n windows of each image, P = 3p² numbers
in a window.
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
        ``cell`` = p these are the patches of ``selfsup.encoder.vit.patchify``.
    """
    row, column = np.divmod(places, images.shape[1] // cell)
    windows = sliding_window_view(images, (window, window), axis=(1, 2))  # [B, …, …, 3, p, p]
    image = np.arange(len(images))[:, None]
    cut = windows[image, row * cell + down, column * cell + across]  # [B, n, 3, p, p]
    return cut.reshape(*places.shape, -1)


def to_floats(pixels: Tensor) -> Tensor:
    """uint8 from 0 to 255 → float32 from -1 to 1, of the same shape."""
    return pixels.to(torch.float32).mul_(2 / 255).sub_(1)


# Images cut into patches, and the way back.
#
# Shapes: B images, C channels, S side of an image, p side of a patch, G = S/p, N = G² patches,
# P = C × p² numbers in a patch.


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


# Fixed positions in a grid, of sines and cosines (He et al. 2021, MAE, appendix A.1).


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


# The Vision Transformer (Dosovitskiy et al. 2020, §3.1), over any of an image's patches.
#
# Shapes: B images, n patches given of each, N patches of a whole image, P numbers in a patch, D
# width, T = B × (1 + n) tokens in all, F width of the feed-forward layer.


class VitEncoder(nn.Module):
    """Patch embeddings, a stack of pre-norm Transformer layers, and a norm.

    It sees only the patches that it is given. An image token stands before them; its last state is
    the image's vector.
    """

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = VitEmbeddings(config)
        self.layers = nn.ModuleList(VitLayer(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, patches: Tensor, places: Tensor | None) -> Tensor:
        """Encode patches: [B, 1 + n, D], the image token first, then a row for each patch.

        Args:
            patches: floats [B, n, P], as ``patchify`` makes them.
            places: int64 [B, n], where in the grid each patch stands, 0…N−1 row by row; [n] where
                all images have the same. None: patches get no position embedding, and permuting
                them permutes their states.
        """
        x, packing = self._embed(patches, places)
        for layer in self.layers:
            x = layer(x, packing)
        return self.norm(x).view(len(patches), -1, x.shape[1])

    def first_states(self, patches: Tensor, places: Tensor | None) -> Tensor:
        """The image token alone, [B, D]: row 0 of ``forward``, whose arguments these are.

        The last layer is not computed for the patches, but for their keys and values.
        """
        x, packing = self._embed(patches, places)
        *lower, highest = self.layers
        for layer in lower:
            x = layer(x, packing)
        return self.norm(highest(x, packing, Queries.first_tokens(packing)))

    def all_places(self) -> Tensor:
        """The places of a whole image's patches in their order, int64 [N]."""
        return torch.arange(self.config.patch_count, device=self.norm.weight.device)

    def _embed(self, patches: Tensor, places: Tensor | None) -> tuple[Tensor, Packing]:
        """The first layer's input [T, D], and where each image begins in it."""
        x = self.embeddings(patches, places)
        packing = Packing.of_equal_lengths(x.shape[0], x.shape[1], x.device)
        return x.flatten(0, 1), packing


class VitEmbeddings(nn.Module):
    """Patches projected to the width and given positions, an image token before them."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        width, patch_size = config.hidden_size, config.patch_size
        # Only holds the weights, in Hugging Face's shape: patches are cut out before.
        self.projection = nn.Conv2d(config.num_channels, width, patch_size, patch_size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        # Learned, from a start that already tells places apart (the image token's is 0, as in MAE).
        positions = torch.cat([torch.zeros(1, width), sine_positions(config.grid, width)])
        self.position_embeddings = nn.Parameter(positions[None])
        self.dropout = Dropout(config.hidden_dropout_prob)

    def forward(self, patches: Tensor, places: Tensor | None) -> Tensor:
        """[B, n, P] → [B, 1 + n, D], in the precision that the layers compute in."""
        positions = self.position_embeddings[0]  # [1 + N, D]
        x = F.linear(patches, self.projection.weight.flatten(1), self.projection.bias)
        if places is not None:
            x = x + F.embedding(places, positions[1:])
        first = (self.cls_token + positions[0]).expand(len(x), -1, -1)
        dtype = compute_dtype(x)
        return self.dropout(torch.cat([first.to(dtype), x.to(dtype)], 1))

    @torch.no_grad()
    def take_pixels_from_minus_one(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Make of pixels from −1 to 1 what is made of those counted from ``mean`` in ``std``.

        That is a linear change of each colour, which the projection's weights take in.

        Args:
            mean, std: of red, green and blue from 0 to 1.
        """
        weight, bias = self.projection.weight, self.projection.bias
        assert bias is not None
        means, stds = (weight.new_tensor(values).view(1, -1, 1, 1) for values in (mean, std))
        bias += (weight * (0.5 - means) / stds).sum((1, 2, 3))
        weight *= 0.5 / stds


class VitLayer(nn.Module):
    """Attention, then a feed-forward network; a norm before each and a residual sum after."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.attention_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.attention = SelfAttention(
            width, config.num_attention_heads, config.attention_probs_dropout_prob
        )
        self.feed_forward_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.intermediate = nn.Linear(width, config.intermediate_size)
        self.activation = ACTIVATIONS[config.hidden_act]
        self.output = nn.Linear(config.intermediate_size, width)
        self.dropout = Dropout(config.hidden_dropout_prob)

    def forward(self, x: Tensor, packing: Packing, queries: Queries | None = None) -> Tensor:
        """x [T, D] → [T, D], or [Q, D] of the Q tokens asked for alone."""
        attended = self.attention(self.attention_norm(x), packing, queries)
        if queries is not None:
            x = x.index_select(0, queries.rows)
        x = x + self.dropout(attended)
        inner = self.activation(self.intermediate(self.feed_forward_norm(x)))  # [T, F]
        return x + self.dropout(self.output(inner))
