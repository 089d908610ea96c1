"""Model folders of images in Hugging Face's form: read, resized and written.

A folder holds ``config.json``, ``model.safetensors``, ``preprocessor_config.json`` and a model
card, ``README.md``. ``transformers`` loads the folders written here, and its ViT folders can be
read here.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from selfsup.encoder.config import VitConfig
from selfsup.encoder.huggingface.folder import write_model_folder
from selfsup.encoder.huggingface.image_processor import HALF, write_image_processor
from selfsup.encoder.huggingface.names import with_present_vit_names
from selfsup.encoder.huggingface.weights import read_weight_files

_POSITIONS = "vit.embeddings.position_embeddings"


def read_vit_weights(folder: str | Path) -> dict[str, Tensor]:
    """Read the weights of an image model, the encoder's with the prefix ``vit.``.

    Raises:
        UserError: the file is missing or damaged, or there is only a pickle.
    """
    return with_present_vit_names(read_weight_files(Path(folder)))


def with_image_size(
    config: VitConfig, weights: Mapping[str, Tensor], image_size: int | None
) -> tuple[VitConfig, dict[str, Tensor]]:
    """Fit an encoder to images of another size by interpolating its position embeddings.

    The patches keep their size in pixels, so their number changes. The interpolation is bicubic
    (Dosovitskiy et al. 2020, §3.2, "2D interpolation"), as ``transformers`` does it.

    Args:
        config: of the model that the weights come from.
        weights: as ``read_vit_weights`` returns them.
        image_size: in pixels; None: nothing changes.

    Raises:
        UserError: the patches do not divide ``image_size``.
    """
    weights = dict(weights)
    if image_size is None or image_size == config.image_size:
        return config, weights
    resized = replace(config, image_size=image_size)
    positions = weights.get(_POSITIONS)
    # If the shape differs from the configuration's, loading refuses it later.
    if positions is not None and positions.shape[:2] == (1, 1 + config.patch_count):
        weights[_POSITIONS] = _interpolate(positions.float(), resized.grid)
    return resized, weights


def save_vit(
    folder: str | Path,
    state: Mapping[str, Tensor],
    config: Mapping[str, Any],
    model_card: str,
    *,
    mean: Sequence[float] = HALF,
    std: Sequence[float] = HALF,
) -> None:
    """Write an image model's folder, as ``write_model_folder`` does.

    Args:
        folder: created if it does not exist.
        state: weights under Hugging Face's names; saved in float32.
        config: content of ``config.json``, as ``vit_config_of`` returns it.
        model_card: text of ``README.md``, in Markdown.
        mean, std: of red, green and blue in [0, 1]; pixels are normalised with them.

    Raises:
        UserError: the disk is full or read-only, or write permission is missing.
    """

    def write_processor(destination: Path) -> None:
        write_image_processor(destination, config["image_size"], mean, std)

    write_model_folder(Path(folder), state, config, write_processor, model_card)


def _interpolate(positions: Tensor, grid: int) -> Tensor:
    """A position table [1, 1 + N, D] → [1, 1 + grid², D]; the image token's row stays."""
    first, table = positions[:, :1], positions[:, 1:]
    old = math.isqrt(table.shape[1])
    squares = table.reshape(1, old, old, -1).permute(0, 3, 1, 2)  # [1, D, G, G]
    squares = F.interpolate(squares, (grid, grid), mode="bicubic", align_corners=False)
    return torch.cat([first, squares.flatten(2).transpose(1, 2)], 1)
