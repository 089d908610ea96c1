"""Cutting images into patches loses nothing, and keeps the order that a convolution expects."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from selfsup.encoder.vit import patchify, unpatchify

shapes = st.tuples(st.integers(0, 3), st.integers(1, 4), st.integers(1, 5), st.integers(1, 6))


@given(shapes, st.sampled_from([torch.uint8, torch.float32]))
def test_putting_patches_together_gives_the_image_back(shape, dtype):
    batch, channels, grid, patch_size = shape
    side = grid * patch_size
    images = (torch.rand(batch, channels, side, side) * 255).to(dtype)
    patches = patchify(images, patch_size)
    assert patches.shape == (batch, grid**2, channels * patch_size**2)
    assert patches.dtype == dtype
    assert torch.equal(unpatchify(patches, patch_size), images)


@given(shapes.filter(lambda shape: shape[0] > 0))
def test_patches_are_those_of_torchs_unfold(shape):
    batch, channels, grid, patch_size = shape
    images = torch.rand(batch, channels, grid * patch_size, grid * patch_size)
    expected = F.unfold(images, patch_size, stride=patch_size).transpose(1, 2)
    assert torch.equal(patchify(images, patch_size), expected)
