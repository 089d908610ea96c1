"""What is hidden is a function of (seed, epoch, example); only missing patches are learned from."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch.utils.flop_counter import FlopCounterMode
from transformers import ViTMAEConfig, ViTMAEForPreTraining

from selfsup.encoder.vit import patchify, to_floats, unpatchify
from selfsup.pretraining.images.inpainting import (
    Inpainting,
    MaskedPatches,
    PredictedPatches,
    choose_visible,
    mask_patches,
    normalised,
)
from tests.pretraining.images.toy_images import noise, small_config, small_encoder, started

EXAMPLES = np.array([7, 0, 123_456])


def hidden_patches(seed: int = 0, mask_ratio: float = 0.75) -> MaskedPatches:
    """Of three images of 4 × 4 patches of 4 × 4 pixels."""
    return mask_patches(noise(3, 16, seed), EXAMPLES, 4, mask_ratio, seed=0, epoch=0)


@given(st.integers(2, 300), st.floats(0, 1), st.integers(0, 3), st.integers(0, 3))
def test_the_count_is_exact_and_each_patch_is_either_visible_or_missing(count, ratio, seed, epoch):
    visible, missing = choose_visible(EXAMPLES, count, ratio, seed, epoch)
    assert len(missing) == 3
    assert visible.shape[1] >= 1
    assert missing.shape[1] >= 1
    assert abs(missing.shape[1] - count * ratio) <= (0.5 if 1 <= count * ratio <= count - 1 else 1)
    both = np.sort(np.concatenate([visible, missing], axis=1))
    assert np.array_equal(both, np.broadcast_to(np.arange(count), both.shape))


def test_a_part_of_the_missing_patches_is_predicted_and_all_are_equally_often():
    images, examples = noise(3, 16, 0), np.arange(3)
    counts = np.zeros(16)
    for epoch in range(400):
        part = mask_patches(images, examples, 4, 0.75, 0, epoch, predicted_share=1 / 3)
        whole = mask_patches(images, examples, 4, 0.75, 0, epoch)
        assert part.missing.shape == (3, 4, 48)
        assert torch.equal(part.missing, whole.missing[:, :4])
        assert torch.equal(part.visible, whole.visible)
        counts += np.bincount(part.missing_positions.flatten(), minlength=16)
    assert stats.chisquare(counts).pvalue > 1e-4
    one = mask_patches(images, examples, 4, 0.75, 0, 0, predicted_share=0.01)
    assert one.missing.shape[1] == 1


def test_three_quarters_of_196_are_147():
    assert choose_visible(EXAMPLES, 196, 0.75, 0, 0)[1].shape == (3, 147)


def test_all_pairs_of_patches_are_hidden_equally_often():
    _, missing = choose_visible(np.arange(9000), 9, 2 / 9, seed=0, epoch=0)
    low, high = np.sort(missing, axis=1).T
    counts = np.bincount(low * 9 + high, minlength=81)
    pairs = [a * 9 + b for a, b in itertools.combinations(range(9), 2)]
    assert counts[pairs].sum() == 9000
    assert stats.chisquare(counts[pairs]).pvalue > 1e-4


def test_what_is_hidden_depends_on_seed_epoch_and_example_and_on_no_other_image():
    def of(examples: np.ndarray, seed: int = 0, epoch: int = 0) -> list:
        return choose_visible(examples, 49, 0.75, seed, epoch)[0].tolist()

    assert of(EXAMPLES) == of(EXAMPLES)
    assert of(EXAMPLES[[2, 0]]) == [of(EXAMPLES)[2], of(EXAMPLES)[0]]
    several = of(EXAMPLES) + of(EXAMPLES, seed=1) + of(EXAMPLES, epoch=1)
    assert len({tuple(places) for places in several}) == 9


@pytest.mark.parametrize("mask_ratio", [0.0, 0.4, 0.75, 1.0])
def test_visible_and_missing_patches_together_are_the_image(mask_ratio):
    hidden = hidden_patches(mask_ratio=mask_ratio)
    expected = torch.from_numpy(noise(3, 16)).permute(0, 3, 1, 2)
    assert torch.equal(hidden.reconstruct(hidden.missing), patchify(expected, 4))
    assert torch.equal(unpatchify(hidden.reconstruct(hidden.missing), 4), expected)
    in_floats = hidden.reconstruct(hidden.missing.float() / 255)
    assert torch.equal(in_floats, patchify(expected, 4).float() / 255)


def test_no_missing_patch_is_seen():
    encoder, head = small_encoder(), started(Inpainting(small_config()))
    hidden = hidden_patches()
    other = dataclasses.replace(hidden, missing=255 - hidden.missing)
    assert torch.equal(
        head.predict(encoder, hidden).pixels(), head.predict(encoder, other).pixels()
    )
    other = dataclasses.replace(hidden, visible=255 - hidden.visible)
    assert not torch.allclose(
        head.predict(encoder, hidden).pixels(), head.predict(encoder, other).pixels()
    )


def test_no_visible_patch_is_in_the_loss():
    encoder, head = small_encoder(), started(Inpainting(small_config()))
    with torch.no_grad():
        encoder.embeddings.projection.weight.zero_()  # what it is shown tells it nothing
    hidden = hidden_patches()
    loss, _, count = head.loss(encoder, hidden)
    assert count == hidden.missing.shape[0] * hidden.missing.shape[1] == 36
    other = dataclasses.replace(hidden, visible=255 - hidden.visible)
    assert torch.equal(head.loss(encoder, other)[0], loss)
    for place in np.ndindex(3, 12):
        missing = hidden.missing.clone()
        missing[place] = torch.from_numpy(noise(1, 4, seed=5)).flatten()
        other = dataclasses.replace(hidden, missing=missing)
        assert not torch.equal(head.loss(encoder, other)[0], loss), place


def test_the_loss_of_normalised_values_is_that_of_transformers():
    config = ViTMAEConfig(
        image_size=16, patch_size=4, norm_pix_loss=True, num_hidden_layers=1, hidden_size=8,
        num_attention_heads=1, decoder_num_hidden_layers=1, decoder_hidden_size=8,
        decoder_num_attention_heads=1,
    )  # fmt: skip
    hidden = hidden_patches()
    images = unpatchify(to_floats(hidden.reconstruct(hidden.missing)), 4)
    order = torch.zeros(3, 16).scatter_(1, hidden.missing_positions, 1.0)  # visible ones first
    with torch.no_grad():
        theirs = started(ViTMAEForPreTraining(config))(images, noise=order)
    assert torch.equal(theirs.mask, order)
    channels_first = theirs.logits.view(3, 16, 16, 3).transpose(2, 3).flatten(2)
    values = channels_first[order.bool()].view(3, 12, 48)  # in the order of their places
    by_place = hidden.missing_positions.argsort(1)[..., None].expand(3, 12, 48)
    missing = hidden.missing.gather(1, by_place)
    _, level = normalised(to_floats(missing))
    torch.testing.assert_close(PredictedPatches(values, level).loss(missing), theirs.loss)


def test_wrong_means_and_deviations_add_their_squared_errors():
    missing = hidden_patches().missing
    values, level = normalised(to_floats(missing))
    assert PredictedPatches(values, level).loss(missing) == 0
    wrong = PredictedPatches(values, level + torch.tensor([0.5, -2.0]))
    torch.testing.assert_close(wrong.loss(missing), torch.tensor(0.25 + 4.0))


def test_a_right_prediction_gives_the_pixels_back():
    missing = hidden_patches().missing
    missing[0, 0] = 200  # of one colour
    predicted = PredictedPatches(*normalised(to_floats(missing)))
    torch.testing.assert_close(predicted.pixels(), missing.float() / 255)
    assert predicted.loss(missing) == 0


def test_pixels_stay_from_0_to_1():
    values = torch.full((1, 1, 3), 50.0)
    for level in ([0.0, 1.0], [0.0, -1.0], [-9.0, 0.1], [9.0, 0.1]):
        pixels = PredictedPatches(values, torch.tensor([[level]])).pixels()
        assert pixels.min() >= 0
        assert pixels.max() <= 1


def test_each_missing_patch_is_predicted_by_itself_with_the_help_of_the_image_token():
    head, hidden = started(Inpainting(small_config())), hidden_patches()
    states = torch.randn(3, 5, 32, generator=torch.Generator().manual_seed(0))
    all_values = head(states, hidden.visible_positions, hidden.missing_positions).values
    some_values = head(states, hidden.visible_positions, hidden.missing_positions[:, 3:5]).values
    torch.testing.assert_close(some_values, all_values[:, 3:5])
    states[:, 0] += 1
    changed = head(states, hidden.visible_positions, hidden.missing_positions).values
    assert ((changed - all_values).abs().amax(-1) > 1e-3).all()


def test_what_is_predicted_depends_on_where_the_missing_patch_was():
    head, hidden = started(Inpainting(small_config())), hidden_patches()
    states = torch.randn(3, 5, 32, generator=torch.Generator().manual_seed(0))
    values = head(states, hidden.visible_positions, hidden.missing_positions).values
    assert ((values[:, 1:] - values[:, :1]).abs().amax(-1) > 1e-3).all()


def test_the_order_of_patches_does_not_matter():
    encoder, head = small_encoder(), started(Inpainting(small_config()))
    hidden = hidden_patches()
    turned = MaskedPatches(
        hidden.visible.flip(1),
        hidden.visible_positions.flip(1),
        hidden.missing.flip(1),
        hidden.missing_positions.flip(1),
    )
    expected = head.predict(encoder, hidden).values
    torch.testing.assert_close(head.predict(encoder, turned).values.flip(1), expected)


@pytest.mark.parametrize(("width", "depth"), [(None, 1), (64, 3)])
def test_floating_point_operations_are_those_that_torch_counts(width, depth):
    head, hidden = Inpainting(small_config(), width, depth), hidden_patches()
    with FlopCounterMode(display=False) as counted:
        head(torch.randn(3, 5, 32), hidden.visible_positions, hidden.missing_positions)
    assert counted.get_total_flops() == 3 * head.forward_flops(hidden)
