"""Tiles are shuffled and jittered at random, and no position leaks to the encoder."""

import itertools

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from selfsup.encoder.vit import patchify
from selfsup.pretraining.images.jigsaw import (
    Jigsaw,
    ShuffledTiles,
    best_arrangement,
    cell_size,
    in_order,
    shuffle_tiles,
)
from tests.pretraining.images.toy_images import noise, small_config, small_encoder, started

EXAMPLES = np.array([7, 0, 123_456])
CELL = cell_size(4)


def shuffled_tiles() -> ShuffledTiles:
    """Of three images of 4 × 4 tiles of 4 × 4 pixels."""
    return shuffle_tiles(noise(3, 4 * CELL), EXAMPLES, 4, seed=0, epoch=0)


@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 3), st.integers(0, 3))
def test_tiles_put_in_order_are_the_image(grid, tile, seed, epoch):
    images = noise(3, grid * tile, seed)
    shuffled = shuffle_tiles(images, EXAMPLES, tile, seed, epoch, cell=tile)
    each_once = torch.arange(grid**2).expand(3, -1)
    assert torch.equal(shuffled.positions.sort(1).values, each_once)
    expected = patchify(torch.from_numpy(images).permute(0, 3, 1, 2), tile)
    assert torch.equal(in_order(shuffled.tiles, shuffled.positions), expected)


def test_all_orders_are_equally_frequent():
    images = np.broadcast_to(noise(1, 4), (6000, 4, 4, 3))
    places = shuffle_tiles(images, np.arange(6000), 2, 0, 0, cell=2).positions.numpy()
    _, counts = np.unique(places @ [64, 16, 4, 1], return_counts=True)
    assert len(counts) == 24
    assert stats.chisquare(counts).pvalue > 1e-4


def test_a_tile_lies_in_its_cell_and_begins_anywhere_in_it():
    tile, grid, count = 10, 3, 600
    cell = cell_size(tile)
    assert cell == 12
    row, column = np.indices((grid * cell, grid * cell))
    # Colours tell the cell, and the row and the column in it.
    image = np.stack([row // cell * grid + column // cell, row % cell, column % cell], -1)
    images = np.broadcast_to(image.astype(np.uint8), (count, *image.shape))
    shuffled = shuffle_tiles(images, np.arange(count), tile, 0, 0)
    tiles = shuffled.tiles.numpy().reshape(count, grid**2, 3, tile, tile)
    assert (tiles[:, :, 0] == shuffled.positions.numpy()[..., None, None]).all()
    down, across = tiles[:, :, 1, 0, 0].astype(int), tiles[:, :, 2, 0, 0].astype(int)
    assert (tiles[:, :, 1] == down[..., None, None] + np.arange(tile)[:, None]).all()
    assert (tiles[:, :, 2] == across[..., None, None] + np.arange(tile)).all()
    assert stats.chisquare(np.bincount((down * 3 + across).ravel())).pvalue > 1e-4


@given(st.integers(1, 64))
def test_cells_have_room_for_a_tile_to_move(tile):
    assert cell_size(tile) > tile


def test_tiles_depend_on_seed_epoch_and_example_and_on_no_other_image():
    images = noise(3, 4 * CELL)
    one, other, later = (
        shuffle_tiles(images, EXAMPLES, 4, seed, epoch) for seed, epoch in [(0, 0), (1, 0), (0, 1)]
    )
    again = shuffle_tiles(images[[2, 0]], EXAMPLES[[2, 0]], 4, 0, 0)
    assert torch.equal(again.tiles, one.tiles[[2, 0]])
    assert torch.equal(again.positions, one.positions[[2, 0]])
    orders = torch.cat([one.positions, other.positions, later.positions])
    assert len(orders.unique(dim=0)) == 9


def test_permuting_the_tiles_permutes_the_scores():
    encoder, head = small_encoder(), started(Jigsaw(small_config()))
    shuffled = shuffled_tiles()
    order = torch.randperm(16, generator=torch.Generator().manual_seed(0))
    permuted = ShuffledTiles(shuffled.tiles[:, order], shuffled.positions[:, order])
    scores = head.scores(encoder, shuffled)
    assert scores.std(1).min() > 1e-3  # the tiles' scores differ
    torch.testing.assert_close(head.scores(encoder, permuted), scores[:, order])


def test_position_embeddings_of_patches_are_not_given_to_tiles():
    encoder, head, shuffled = small_encoder(), started(Jigsaw(small_config())), shuffled_tiles()
    scores = head.scores(encoder, shuffled)
    with torch.no_grad():
        encoder.embeddings.position_embeddings[:, 1:].normal_()
        assert torch.equal(head.scores(encoder, shuffled), scores)
        encoder.embeddings.position_embeddings[:, 0].normal_()  # the image token keeps its own
        assert not torch.allclose(head.scores(encoder, shuffled), scores)


def test_the_image_token_changes_which_place_suits_a_tile_and_not_only_all_tiles_alike():
    head = started(Jigsaw(small_config()))
    states = torch.randn(1, 17, 32, generator=torch.Generator().manual_seed(0))
    other = states.clone()
    other[:, 0] += 1
    difference = head(other) - head(states)
    assert difference.std(1).min() > 1e-3


def test_loss_and_right_answers_are_those_of_the_scores():
    encoder, head, shuffled = small_encoder(), started(Jigsaw(small_config())), shuffled_tiles()
    scores = head.scores(encoder, shuffled)
    places = scores.argmax(-1)
    places[:, ::2] = (places[:, ::2] + 1) % 16  # half of them wrong
    loss, right, count = head.loss(encoder, ShuffledTiles(shuffled.tiles, places))
    assert (int(right), count) == (24, 48)
    torch.testing.assert_close(loss, F.cross_entropy(scores.view(48, 16), places.view(48)))


@given(st.integers(0, 1000))
def test_the_best_arrangement_is_the_best_of_all(seed):
    scores = torch.randn(2, 4, 4, generator=torch.Generator().manual_seed(seed))
    shares = scores.log_softmax(-1)

    def value(image: int, places: tuple[int, ...]) -> float:
        return float(shares[image, torch.arange(4), torch.tensor(places)].sum())

    for image, places in enumerate(best_arrangement(scores).tolist()):
        best = max(itertools.permutations(range(4)), key=lambda order: value(image, order))
        assert tuple(places) == best


def test_floating_point_operations_are_those_that_torch_counts():
    head = Jigsaw(small_config())
    with FlopCounterMode(display=False) as counted:
        head(torch.randn(3, 17, 32))
    assert counted.get_total_flops() == 3 * head.forward_flops(shuffled_tiles())
