"""Windows are cut where they are said to be, and patches are those of the encoder."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from selfsup.encoder.vit import cut_windows, patchify, to_floats
from tests.pretraining.images.toy_images import noise


@given(st.integers(1, 3), st.integers(1, 5), st.integers(1, 6))
def test_windows_as_large_as_their_cells_are_the_encoders_patches(batch, grid, patch):
    images = noise(batch, grid * patch)
    places = np.broadcast_to(np.arange(grid**2), (batch, grid**2))
    expected = patchify(torch.from_numpy(images).permute(0, 3, 1, 2), patch)
    assert np.array_equal(cut_windows(images, places, patch, patch), expected.numpy())


@given(st.data(), st.integers(1, 4), st.integers(1, 5), st.integers(0, 3))
def test_a_window_begins_where_it_is_asked_for_within_its_cell(data, grid, window, room):
    cell = window + room
    images = noise(2, grid * cell)
    count = data.draw(st.integers(1, 6))

    def draw(highest: int) -> np.ndarray:
        numbers = st.lists(st.integers(0, highest), min_size=2 * count, max_size=2 * count)
        return np.array(data.draw(numbers)).reshape(2, count)

    places, down, across = draw(grid**2 - 1), draw(room), draw(room)
    windows = cut_windows(images, places, window, cell, down, across)
    assert windows.shape == (2, count, 3 * window**2)
    for b, n in np.ndindex(2, count):
        top = places[b, n] // grid * cell + down[b, n]
        left = places[b, n] % grid * cell + across[b, n]
        expected = images[b, top : top + window, left : left + window]
        assert np.array_equal(windows[b, n].reshape(3, window, window), expected.transpose(2, 0, 1))


def test_pixels_go_from_minus_1_to_1_as_in_hugging_faces_processor():
    pixels = torch.arange(256, dtype=torch.uint8)
    torch.testing.assert_close(to_floats(pixels), (pixels.float() / 255 - 0.5) / 0.5)
    assert (to_floats(pixels)[0], to_floats(pixels)[255]) == (-1, 1)
