"""Jigsaw: shuffle the tiles of an image, tell where each belongs (Noroozi & Favaro 2016, §3).

An image is a grid of cells, each a little larger than a tile. A tile is cut out of its cell at a
random offset, so that the edges of neighbouring tiles do not match. The encoder gets no position
embeddings.

Shapes: B images, c side of a cell, p side of a tile, G cells along a side of the image, N = G²
tiles, P = 3p² numbers in a tile, D width.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn
from torch.nn import functional as F

from selfsup.counter_random import hash64, integers
from selfsup.encoder.config import VitConfig
from selfsup.encoder.layers import ACTIVATIONS
from selfsup.encoder.vit import VitEncoder, cut_windows, to_floats
from selfsup.pretraining.images.batches import Crop, ImageData, ImageObjective, Puzzle

_STREAM = 0x4A494753
_ORDER, _DOWN, _ACROSS = range(3)


@dataclass(frozen=True)
class ShuffledTiles(Puzzle):
    """Images taken apart into tiles in random order.

    Attributes:
        tiles: uint8 [B, N, P].
        positions: int64 [B, N], where in the grid each tile belongs, row by row from 0.
    """

    tiles: Tensor
    positions: Tensor

    @property
    def tokens_per_image(self) -> int:
        """N."""
        return self.positions.shape[1]

    @property
    def predictions(self) -> int:
        """B · N."""
        return self.positions.numel()


def cell_size(tile_size: int) -> int:
    """Side of a cell in pixels: that of a tile and a fifth more, at least one pixel more."""
    return tile_size + max(1, round(tile_size / 5))


def shuffle_tiles(
    images: np.ndarray,
    examples: np.ndarray,
    tile_size: int,
    seed: int,
    epoch: int,
    cell: int | None = None,
) -> ShuffledTiles:
    """Cut tiles out of images and shuffle them.

    Args:
        images: uint8 [B, G·c, G·c, 3].
        examples: int64 [B], the numbers of the images.
        tile_size: p.
        cell: c, ``cell_size(tile_size)`` if None; tiles touch if it is p.
    """
    cell = cell or cell_size(tile_size)
    tile_count = (images.shape[1] // cell) ** 2
    streams = hash64(seed, epoch, _STREAM, examples)[:, None]
    order = hash64(np.arange(tile_count), after=hash64(_ORDER, after=streams))
    positions = np.argsort(order, axis=1, kind="stable")
    room = cell - tile_size + 1
    down = integers(room, positions, after=hash64(_DOWN, after=streams))
    across = integers(room, positions, after=hash64(_ACROSS, after=streams))
    tiles = cut_windows(images, positions, tile_size, cell, down, across)
    return ShuffledTiles(torch.from_numpy(tiles), torch.from_numpy(positions))


def in_order(tiles: Tensor, positions: Tensor) -> Tensor:
    """Move each tile to its position: the inverse of the shuffle.

    Args:
        tiles: [B, N, P].
        positions: int64 [B, N], each of 0…N−1 once.
    """
    return torch.empty_like(tiles).scatter_(1, positions[..., None].expand_as(tiles), tiles)


class Jigsaw(ImageObjective):
    """A tile's state and the image token's → a score for each position in the grid."""

    name = "jigsaw"

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        width = config.hidden_size
        # The two are added before the activation: a score from the image token alone would be the
        # same for all tiles of an image, and so of no use.
        self.tile = nn.Linear(width, width)
        self.image = nn.Linear(width, width, bias=False)
        self.activation = ACTIVATIONS[config.hidden_act]
        self.place = nn.Linear(width, config.patch_count)

    @staticmethod
    def puzzle(
        crop: Crop, examples: np.ndarray, data: ImageData, share: float, seed: int, epoch: int
    ) -> ShuffledTiles:
        patch_size = data.config.patch_size
        images = crop(data.config.grid * cell_size(patch_size))
        return shuffle_tiles(images, examples, patch_size, seed, epoch)

    def forward(self, states: Tensor) -> Tensor:
        """States of the image token and the tiles [B, 1 + N, D] → scores, float32 [B, N, N]."""
        image, tiles = self.image(states[:, :1]), self.tile(states[:, 1:])
        return self.place(self.activation(tiles + image)).float()

    def scores(self, encoder: VitEncoder, shuffled: ShuffledTiles) -> Tensor:
        """For each shuffled tile a score for each position, float32 [B, N, N]."""
        return self(encoder(to_floats(shuffled.tiles), None))

    def loss(self, encoder: VitEncoder, puzzle: ShuffledTiles) -> tuple[Tensor, Tensor, int]:
        """Mean loss in nats, number of tiles put right (int64 scalar), number of tiles.

        By chance one tile in N is put right.
        """
        scores = self.scores(encoder, puzzle).flatten(0, 1)
        positions = puzzle.positions.flatten()
        loss = F.cross_entropy(scores, positions)
        return loss, (scores.detach().argmax(-1) == positions).sum(), len(positions)

    def measure(self, encoder: VitEncoder, puzzle: ShuffledTiles) -> dict[str, float | Tensor]:
        """The loss; the share of tiles whose best score is the right position's; that by chance."""
        loss, right, tiles = self.loss(encoder, puzzle)
        return {
            "jigsaw_loss": loss,
            "jigsaw_accuracy": right / tiles,
            "jigsaw_chance": 1 / encoder.config.patch_count,
        }

    def forward_flops(self, puzzle: ShuffledTiles) -> float:
        """Floating-point operations of the matrix products on one image."""
        tiles = puzzle.tokens_per_image
        positions, width = self.place.weight.shape
        return 2.0 * ((1 + tiles) * width**2 + tiles * width * positions)


def best_arrangement(scores: Tensor) -> Tensor:
    """Give each tile a position of its own so that the sum of the scores is greatest.

    Args:
        scores: floats [B, N, N], as ``Jigsaw.scores`` gives them.

    Returns:
        positions, int64 [B, N] on the CPU.
    """
    log_shares = scores.detach().log_softmax(-1).cpu().double().numpy()
    positions = [linear_sum_assignment(-image)[1] for image in log_shares]
    return torch.from_numpy(np.stack(positions).astype(np.int64))
