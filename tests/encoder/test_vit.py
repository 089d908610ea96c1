"""The image encoder computes what `transformers`' ViT computes, and only for the patches given."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F
from transformers import ViTMAEConfig, ViTMAEModel
from transformers.models.vit_mae.modeling_vit_mae import build_2d_sinusoidal_position_embedding

from selfsup.encoder.config import VIT_SIZES, VitConfig, vit_config
from selfsup.encoder.huggingface.names import to_hugging_face, vit_names, with_present_vit_names
from selfsup.encoder.layers import initialize
from selfsup.encoder.vit import VitEncoder, patchify
from selfsup.errors import UserError
from tests.encoder.huggingface.vit_peers import (
    SMALL,
    encode,
    new_vit,
    peer_of,
    random_images,
    unlike_its_start,
    vit_configs,
    with_the_weights_of,
)

few = settings(max_examples=20)
batch_sizes, seeds = st.integers(1, 4), st.integers(0, 99)


@few
@given(vit_configs(), batch_sizes, seeds)
def test_it_equals_transformers_on_random_sizes(config, batch, seed):
    peer = peer_of(config, seed)
    images = random_images(config, batch, seed)
    with torch.no_grad():
        theirs = peer(images).last_hidden_state
    ours = encode(with_the_weights_of(peer, config), images)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


@few
@given(vit_configs(), batch_sizes, seeds)
def test_its_gradients_equal_those_of_transformers(config, batch, seed):
    peer = peer_of(config, seed).double()  # where rounding hides no difference
    encoder = with_the_weights_of(peer, config).double()
    images = random_images(config, batch, seed).double()
    theirs = peer(images).last_hidden_state
    ours = encoder(patchify(images, config.patch_size), encoder.all_positions())
    towards = torch.randn(ours.shape, generator=torch.Generator().manual_seed(seed)).double()
    for states in (ours, theirs):
        (states * towards).sum().backward()
    gradients = to_hugging_face(
        [(name, _gradient(parameter)) for name, parameter in encoder.named_parameters()],
        vit_names(),
    )
    expected = with_present_vit_names({n: _gradient(p) for n, p in peer.named_parameters()})
    assert gradients.keys() == expected.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected[name], atol=1e-9, rtol=1e-7, msg=name)


@few
@given(vit_configs(), batch_sizes, seeds, st.floats(0, 0.95))
def test_the_patches_that_are_given_are_encoded_as_by_transformers_mae(
    config, batch, seed, mask_ratio
):
    torch.manual_seed(seed)
    peer_sizes = ViTMAEConfig(**dataclasses.asdict(config), mask_ratio=mask_ratio)
    peer = unlike_its_start(ViTMAEModel(peer_sizes).eval(), seed)
    encoder = with_the_weights_of(peer, config)
    images = random_images(config, batch, seed)
    order = torch.rand(batch, config.patch_count).argsort(1)
    visible = order[:, : int(config.patch_count * (1 - mask_ratio))]
    noise = torch.empty(order.shape).scatter_(
        1, order, torch.arange(config.patch_count).float().expand_as(order)
    )
    patches = patchify(images, config.patch_size)
    given_ones = patches.gather(1, visible[:, :, None].expand(-1, -1, config.patch_values))
    with torch.no_grad():
        theirs = peer(images, noise=noise).last_hidden_state
        ours = encoder(given_ones, visible)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


@few
@given(vit_configs(), batch_sizes, seeds, st.booleans())
def test_the_image_token_alone_is_as_among_all_and_so_are_its_gradients(
    config, batch, seed, placed
):
    encoder = new_vit(config, seed).double()
    patches = patchify(random_images(config, batch, seed), config.patch_size).double()
    places = encoder.all_positions() if placed else None
    towards = torch.randn(batch, config.hidden_size).double()
    gradients = []
    for states in (encoder(patches, places)[:, 0], encoder.first_states(patches, places)):
        encoder.zero_grad()
        (states * towards).sum().backward()
        gradients.append({n: _gradient(p).clone() for n, p in encoder.named_parameters()})
        torch.testing.assert_close(states, encoder(patches, places)[:, 0], atol=1e-12, rtol=0)
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, atol=1e-10, rtol=1e-8, msg=name)


def test_without_places_permuting_patches_permutes_their_states():
    encoder = new_vit().double()
    patches = patchify(random_images(SMALL, 3), SMALL.patch_size).double()
    order = torch.randperm(SMALL.patch_count, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        states, permuted = encoder(patches, None), encoder(patches[:, order], None)
        placed = encoder(patches[:, order], encoder.all_positions())
    torch.testing.assert_close(permuted[:, 1:], states[:, 1:][:, order], atol=1e-12, rtol=0)
    torch.testing.assert_close(permuted[:, 0], states[:, 0], atol=1e-12, rtol=0)
    assert (placed[:, 0] - permuted[:, 0]).abs().max() > 1e-2


def test_with_their_places_patches_may_come_in_any_order():
    encoder = new_vit().double()
    patches = patchify(random_images(SMALL, 3), SMALL.patch_size).double()
    order = torch.randperm(SMALL.patch_count, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        states = encoder(patches, encoder.all_positions())
        permuted = encoder(patches[:, order], order.expand(3, -1))
    torch.testing.assert_close(permuted[:, 1:], states[:, 1:][:, order], atol=1e-12, rtol=0)


def test_no_image_sees_another():
    encoder = new_vit()
    images = random_images(SMALL, 4)
    changed = torch.cat([images[:1], random_images(SMALL, 3, seed=9)])
    torch.testing.assert_close(encode(encoder, images)[0], encode(encoder, changed)[0])


def test_dropout_is_between_all_layers_in_training_alone():
    config = dataclasses.replace(SMALL, hidden_dropout_prob=0.5, attention_probs_dropout_prob=0.5)
    encoder, images = new_vit(config), random_images(config, 2)
    assert torch.equal(encode(encoder, images), encode(encoder, images))
    torch.manual_seed(0)
    assert not torch.equal(encode(encoder.train(), images), encode(encoder, images))


def test_it_starts_with_the_positions_of_mae():
    config = vit_config("vit-tiny", image_size=40, patch_size=8)
    table = VitEncoder(config).embeddings.position_embeddings
    theirs = build_2d_sinusoidal_position_embedding(5, 5, config.hidden_size)
    # MAE's own layout tells the column first, as transformers' initialisation notes.
    columns_first = theirs.roll(config.hidden_size // 2, dims=-1)
    torch.testing.assert_close(table[0, 1:], columns_first, check_dtype=False)
    assert not table[0, 0].any()
    assert table.requires_grad


def test_its_weights_start_as_a_function_of_the_seed():
    config = vit_config("vit-tiny", image_size=40, patch_size=8)
    encoder, again, other = (VitEncoder(config) for _ in range(3))
    for model, seed in ((encoder, 3), (again, 3), (other, 4)):
        initialize(model, 0.02, seed)
    for name, weight in encoder.named_parameters():
        assert torch.equal(weight, again.get_parameter(name)), name
        if weight.dim() > 1 and "position" not in name:
            assert not torch.equal(weight, other.get_parameter(name)), name
            assert weight.abs().max() <= 0.04, name
            assert abs(weight.std().item() / 0.0176 - 1) < 0.2, name  # 0.88 σ is left by the cut
    assert not encoder.get_parameter("embeddings.projection.bias").any()


@pytest.mark.parametrize("width", [5, 6, 7])
def test_widths_that_4_does_not_divide_still_tell_all_places_apart(width):
    config = VitConfig(24, 4, width, 1, 1, 8)
    positions = VitEncoder(config).embeddings.position_embeddings[0, 1:]
    assert positions.unique(dim=0).shape == (36, width)


def test_under_autocast_states_are_near_those_in_full_precision():
    encoder = new_vit(dataclasses.replace(SMALL, num_hidden_layers=3))
    images = random_images(SMALL, 2)
    with torch.autocast("cpu", torch.bfloat16):
        low = encode(encoder, images)
    full = encode(encoder, images)
    assert F.cosine_similarity(low.float(), full, dim=-1).min() > 0.99


@pytest.mark.parametrize(
    ("name", "millions"), [("vit-tiny", 5.5), ("vit-small", 21.7), ("vit-base", 85.8)]
)
def test_named_sizes_have_the_weights_that_they_are_known_for(name, millions):
    with torch.device("meta"):
        encoder = VitEncoder(vit_config(name, 224, 16))
    assert round(sum(p.numel() for p in encoder.parameters()) / 1e6, 1) == millions


def test_a_configuration_counts_its_patches():
    config = vit_config("vit-base", 64, 16)
    assert (config.grid, config.patch_count, config.patch_values) == (4, 16, 768)
    assert VIT_SIZES.keys() == {"vit-mini", "vit-tiny", "vit-small", "vit-base"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("vit-huge", 64, 16), "no image encoder is called 'vit-huge': choose one of vit-mini, "),
        (("vit-tiny", 60, 16), "image size of 60 is not a multiple of the patch size 16: take 64"),
        (("vit-tiny", 4, 16), "image size of 4 is not a multiple of the patch size 16: take 16"),
        (("vit-tiny", 64, 0), "patch_size must be at least 1, not 0"),
        (("vit-tiny", 64, 16, 1.0), r"hidden_dropout_prob must be in \[0, 1\), not 1.0"),
    ],
)
def test_sizes_that_cannot_be_are_refused(arguments, said):
    with pytest.raises(UserError, match=said):
        vit_config(*arguments)


def _gradient(parameter: torch.nn.Parameter) -> Tensor:
    """A parameter's gradient, zeros if nothing depends on it."""
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
