"""The highest layers and the pooler are reinitialized; nothing else moves."""

import pytest
import torch

from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.vit import VitEncoder
from selfsup.finetuning.setup import reinitialize_top
from tests.pretraining.images.toy_images import small_config
from tests.toy_tasks import CONFIG


def trained_encoder(*, pooled: bool = True) -> BertEncoder:
    encoder = BertEncoder(CONFIG, pooled=pooled)
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(3))
    return encoder


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("pooled", [True, False])
def test_so_many_layers_from_the_top_are_new_and_nothing_else(layers, pooled):
    before, after = trained_encoder(pooled=pooled), trained_encoder(pooled=pooled)
    reinitialize_top(after, layers, seed=5)
    new = ("pooler.", *(f"layers.{number}." for number in range(2 - layers, 2)))
    pairs = zip(before.named_parameters(), after.parameters(), strict=True)
    for (name, old), parameter in pairs:
        assert torch.equal(old, parameter) != name.startswith(new), name


def test_of_an_image_encoder_the_norm_over_the_layers_is_new_too():
    encoder = VitEncoder(small_config())
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(3))
    before = {name: parameter.clone() for name, parameter in encoder.named_parameters()}
    reinitialize_top(encoder, 1, seed=5)
    for name, parameter in encoder.named_parameters():
        is_new = name.startswith(("norm.", "layers.1."))
        assert torch.equal(before[name], parameter) != is_new, name
    assert bool((encoder.norm.weight == 1).all())


def test_they_are_drawn_as_before_pre_training_and_by_the_seed():
    encoders = [trained_encoder() for _ in range(3)]
    for encoder, seed in zip(encoders, (5, 5, 6), strict=True):
        reinitialize_top(encoder, 1, seed)
    same, again, other = (dict(encoder.named_parameters()) for encoder in encoders)
    weight, bias, norm = (
        f"layers.1.{name}" for name in ("output.weight", "output.bias", "output_norm.weight")
    )
    assert torch.equal(same[weight], again[weight])
    assert not torch.equal(same[weight], other[weight])
    assert 0 < same[weight].abs().max() <= 2 * CONFIG.initializer_range
    assert not same[bias].any()
    assert (same[norm] == 1).all()
