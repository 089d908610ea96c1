"""Image encoders for tests, each as ours and as one of `transformers`' models."""

import dataclasses
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor
from transformers import ViTConfig, ViTModel

from selfsup.encoder.config import VitConfig
from selfsup.encoder.huggingface.folder import load_weights
from selfsup.encoder.huggingface.names import vit_names, with_present_vit_names
from selfsup.encoder.layers import ACTIVATIONS, initialize
from selfsup.encoder.vit import VitEncoder, patchify

SMALL = VitConfig(
    image_size=12,
    patch_size=3,
    hidden_size=24,
    num_hidden_layers=11,  # so that layers 1 and 10 could be taken for each other
    num_attention_heads=3,
    intermediate_size=40,
)


@st.composite
def vit_configs(draw: st.DrawFn) -> VitConfig:
    heads, patch_size = draw(st.integers(1, 4)), draw(st.integers(1, 7))
    return VitConfig(
        image_size=patch_size * draw(st.integers(1, 5)),
        patch_size=patch_size,
        num_channels=draw(st.integers(1, 4)),
        hidden_size=heads * draw(st.integers(4, 9)),
        num_hidden_layers=draw(st.integers(1, 3)),
        num_attention_heads=heads,
        intermediate_size=draw(st.integers(1, 50)),
        hidden_act=draw(st.sampled_from(sorted(ACTIVATIONS))),
        layer_norm_eps=draw(st.sampled_from([1e-12, 1e-5])),
        initializer_range=0.2,
    )


def peer_config(config: VitConfig, **more: Any) -> ViTConfig:
    return ViTConfig(**dataclasses.asdict(config), **more)


def peer_of(config: VitConfig, seed: int) -> ViTModel:
    torch.manual_seed(seed)
    return unlike_its_start(ViTModel(peer_config(config), add_pooling_layer=False).eval(), seed)


def new_vit(config: VitConfig = SMALL, seed: int = 0) -> VitEncoder:
    encoder = VitEncoder(config)
    initialize(encoder, 0.2, seed)
    return unlike_its_start(encoder.eval(), seed)


def unlike_its_start(model: Any, seed: int) -> Any:
    """Move norms, biases and positions, so that exchanged ones show."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in sorted(model.named_parameters()):
        if parameter.dim() == 1 or "position" in name:
            change = torch.randn(parameter.shape, generator=generator)
            parameter.data.add_(change, alpha=0.2)
    return model


def with_the_weights_of(peer: torch.nn.Module, config: VitConfig) -> VitEncoder:
    encoder = VitEncoder(config)
    weights = with_present_vit_names(peer.state_dict())
    assert not load_weights(encoder, weights, vit_names(), 0.02, 0, "peer")
    return encoder.eval()


def random_images(config: VitConfig, count: int, seed: int = 0, side: int | None = None) -> Tensor:
    side = side or config.image_size
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, config.num_channels, side, side, generator=generator)


def encode(encoder: VitEncoder, images: Tensor) -> Tensor:
    """All states of whole images, [B, 1 + N, D]."""
    with torch.no_grad():
        return encoder(patchify(images, encoder.config.patch_size), encoder.all_positions())
