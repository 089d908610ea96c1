"""Jigsaw: shuffle the tiles of an image, tell where each belongs (Noroozi & Favaro 2016, §3).

An image is a grid of cells, each a little larger than a tile. A tile is cut out of its cell at a
random place, so that the edges of neighbours do not fit each other like those of a real puzzle. The
encoder is told no tile's position.

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

_STREAM = 0x4A494753
_ORDER, _DOWN, _ACROSS = range(3)


@dataclass(frozen=True)
class ShuffledTiles:
    """Images taken apart into tiles in random order.

    Attributes:
        tiles: uint8 [B, N, P].
        places: int64 [B, N], where in the grid each belongs, row by row from 0.
    """

    tiles: Tensor
    places: Tensor

    def to(self, device: torch.device) -> "ShuffledTiles":
        """The same tiles on a device."""
        return ShuffledTiles(self.tiles.to(device), self.places.to(device))


def cell_size(tile_size: int) -> int:
    """Side of a cell in pixels: a tile's, and a fifth of it to move in, at least one pixel."""
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
        cell: c, without it ``cell_size(tile_size)``; if it is p, tiles touch.
    """
    cell = cell or cell_size(tile_size)
    tile_count = (images.shape[1] // cell) ** 2
    streams = hash64(seed, epoch, _STREAM, examples)[:, None]
    order = hash64(np.arange(tile_count), after=hash64(_ORDER, after=streams))
    places = np.argsort(order, axis=1, kind="stable")
    room = cell - tile_size + 1
    down = integers(room, places, after=hash64(_DOWN, after=streams))
    across = integers(room, places, after=hash64(_ACROSS, after=streams))
    tiles = cut_windows(images, places, tile_size, cell, down, across)
    return ShuffledTiles(torch.from_numpy(tiles), torch.from_numpy(places))


def in_order(tiles: Tensor, places: Tensor) -> Tensor:
    """Put each tile in its place: the inverse of the shuffle.

    Args:
        tiles: [B, N, P].
        places: int64 [B, N], each of 0…N−1 once.
    """
    return torch.empty_like(tiles).scatter_(1, places[..., None].expand_as(tiles), tiles)


class JigsawHead(nn.Module):
    """A tile's state and the image token's → a score for each place of the grid."""

    def __init__(self, config: VitConfig) -> None:
        """A head for an encoder of these sizes."""
        super().__init__()
        width = config.hidden_size
        # The two meet before the activation: a linear score of the image token alone would be the
        # same for all tiles of an image, and since they share out its places, be of no use.
        self.tile = nn.Linear(width, width)
        self.image = nn.Linear(width, width, bias=False)
        self.activation = ACTIVATIONS[config.hidden_act]
        self.place = nn.Linear(width, config.patch_count)

    def forward(self, states: Tensor) -> Tensor:
        """States of the image token and the tiles [B, 1 + N, D] → scores, float32 [B, N, N]."""
        image, tiles = self.image(states[:, :1]), self.tile(states[:, 1:])
        return self.place(self.activation(tiles + image)).float()

    def scores(self, encoder: VitEncoder, shuffled: ShuffledTiles) -> Tensor:
        """For each tile as it is given a score for each place, float32 [B, N, N]."""
        return self(encoder(to_floats(shuffled.tiles), None))

    def loss(self, encoder: VitEncoder, shuffled: ShuffledTiles) -> tuple[Tensor, Tensor, int]:
        """Mean loss in nats, number of tiles put right (int64 scalar), number of tiles.

        By chance one tile in N is put right.
        """
        scores = self.scores(encoder, shuffled).flatten(0, 1)
        places = shuffled.places.flatten()
        loss = F.cross_entropy(scores, places)
        return loss, (scores.detach().argmax(-1) == places).sum(), len(places)

    def forward_flops(self, tile_count: int) -> float:
        """Floating-point operations of the matrix products on one image."""
        places, width = self.place.weight.shape
        return 2.0 * ((1 + tile_count) * width**2 + tile_count * width * places)


def best_arrangement(scores: Tensor) -> Tensor:
    """Give each tile a place of its own such that their scores are best in sum.

    Args:
        scores: floats [B, N, N], as ``JigsawHead.scores`` gives them.

    Returns:
        places, int64 [B, N] on the CPU.
    """
    log_shares = scores.detach().log_softmax(-1).cpu().double().numpy()
    places = [linear_sum_assignment(-image)[1] for image in log_shares]
    return torch.from_numpy(np.stack(places).astype(np.int64))
