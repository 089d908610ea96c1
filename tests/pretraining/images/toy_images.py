"""Small images and encoders for the tests of image objectives."""

from typing import TypeVar

import numpy as np
from torch import nn

from selfsup.encoder.config import VitConfig
from selfsup.encoder.layers import initialize
from selfsup.encoder.vit import VitEncoder

Module = TypeVar("Module", bound=nn.Module)


def noise(count: int, side: int, seed: int = 0) -> np.ndarray:
    """uint8 [count, side, side, 3]."""
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def small_config(grid: int = 4, patch_size: int = 4, width: int = 32) -> VitConfig:
    return VitConfig(
        image_size=grid * patch_size,
        patch_size=patch_size,
        hidden_size=width,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=2 * width,
    )


def small_encoder(config: VitConfig | None = None) -> VitEncoder:
    return started(VitEncoder(config or small_config()))


def started(module: Module, std: float = 0.2) -> Module:
    """In evaluation mode, with weights so large that all of the input matters."""
    initialize(module, std, seed=0)
    return module.eval()
