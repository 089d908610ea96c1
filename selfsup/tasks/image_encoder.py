"""Encoders of images: ViTs, which look at squares of one size; see ``encoder_family``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from selfsup.encoder.config import VIT_SIZES, VitConfig
from selfsup.encoder.huggingface.config import read_vit_config, vit_config_of
from selfsup.encoder.huggingface.image_processor import ImagePreparation, read_image_preparation
from selfsup.encoder.huggingface.names import vit_names
from selfsup.encoder.huggingface.vit_folder import read_vit_weights, save_vit
from selfsup.encoder.vit import VitEncoder

TAKES = "images"
MODEL_TYPE = "vit"
PREFIX = "vit."
SIZES = tuple(VIT_SIZES)

read_config = read_vit_config
read_weights = read_vit_weights
config_of = vit_config_of
encoder_names = vit_names


def build_encoder(config: VitConfig, *, pooled: bool) -> VitEncoder:
    """An encoder whose weights are yet to be set. It has no pooler: the image token is enough."""
    return VitEncoder(config)


def read_preparation(folder: Path, raw: Mapping[str, Any], config: VitConfig) -> ImagePreparation:
    """The size of the images, and how their pixels are counted."""
    return read_image_preparation(folder, config)


def save(
    folder: Path,
    state: Mapping[str, Tensor],
    config: Mapping[str, Any],
    preparation: ImagePreparation,
    model_card: str,
) -> None:
    """Write a model folder that says how pixels are prepared."""
    save_vit(folder, state, config, model_card, mean=preparation.mean, std=preparation.std)
