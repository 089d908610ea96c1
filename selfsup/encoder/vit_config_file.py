"""``config.json`` of image encoders, in Hugging Face's form of a ViT."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from selfsup.encoder.config_file import read_config_as
from selfsup.encoder.vit_config import VitConfig

# Settings under which a model computes something that ours does not, and what they must be.
_ONLY_KNOWN = {"qkv_bias": True, "num_channels": 3}


def read_vit_config(folder: str | Path) -> tuple[VitConfig, dict[str, Any]]:
    """Read ``config.json``: the image encoder's sizes, and all that it says.

    Raises:
        UserError: the folder or file is missing or damaged, or describes a model that is no ViT as
            in the paper.
    """
    return read_config_as(VitConfig, "vit", folder, _ONLY_KNOWN)


def vit_config_of(config: VitConfig, architecture: str) -> dict[str, Any]:
    """What ``config.json`` says of a ViT of ours, loaded by Hugging Face as ``architecture``."""
    return {
        "architectures": [architecture],
        "model_type": "vit",
        **asdict(config),
        "encoder_stride": config.patch_size,
        "dtype": "float32",
    }
