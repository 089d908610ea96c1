"""Model folders of images in Hugging Face's form: read, checked, fitted to a size, and written.

A folder holds ``config.json``, ``model.safetensors``, ``preprocessor_config.json`` and a model
card, ``README.md``. ``transformers`` loads what is written here, and its ViT folders are read here.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from selfsup.encoder.config import VitConfig
from selfsup.encoder.huggingface.config import read_vit_config
from selfsup.encoder.huggingface.folder import LoadReport, load_weights, write_model_folder
from selfsup.encoder.huggingface.names import to_hugging_face, vit_names, with_present_vit_names
from selfsup.encoder.huggingface.weights import read_weight_files
from selfsup.encoder.vit import VitEncoder

_POSITIONS = "vit.embeddings.position_embeddings"
_BILINEAR = 2  # as Pillow numbers it
# Of each colour: pixels are then from −1 to 1.
HALF = (0.5, 0.5, 0.5)


def load_vit(
    folder: str | Path, image_size: int | None = None, seed: int = 0
) -> tuple[VitEncoder, LoadReport]:
    """Load the encoder of any ViT model folder, in evaluation mode; heads are left out.

    Args:
        folder: the model folder.
        image_size: side of the images it is to see, in pixels; None: as the folder has it.
        seed: for weights that may be missing: a ViT without its heads has none.

    Raises:
        UserError: as ``read_vit_config``, ``read_vit_weights`` and ``load_weights``, or the
            folder's patches do not divide ``image_size``.
    """
    config, _ = read_vit_config(folder)
    config, weights = with_image_size(config, read_vit_weights(folder), image_size)
    encoder = VitEncoder(config)
    report = load_weights(encoder, weights, vit_names(), config.initializer_range, seed, folder)
    return encoder.eval(), report


def read_vit_weights(folder: str | Path) -> dict[str, Tensor]:
    """Read the weights of an image model, the encoder's with the prefix ``vit.``.

    Raises:
        UserError: the file is missing or damaged, or there is only a pickle.
    """
    return with_present_vit_names(read_weight_files(Path(folder)))


def with_image_size(
    config: VitConfig, weights: Mapping[str, Tensor], image_size: int | None
) -> tuple[VitConfig, dict[str, Tensor]]:
    """Fit an encoder to images of another size: its position table is interpolated.

    The patches keep their size in pixels, so their number changes. The interpolation is bicubic
    (Dosovitskiy et al. 2020, §3.2, "2D interpolation"), as ``transformers`` does it.

    Args:
        config: what the weights were trained as.
        weights: as ``read_vit_weights`` gives them.
        image_size: in pixels; None: nothing changes.

    Raises:
        UserError: the patches do not divide ``image_size``.
    """
    weights = dict(weights)
    if image_size is None or image_size == config.image_size:
        return config, weights
    resized = replace(config, image_size=image_size)
    positions = weights.get(_POSITIONS)
    # A table of another shape than the configuration's is left for loading to refuse.
    if positions is not None and positions.shape[:2] == (1, 1 + config.patch_count):
        weights[_POSITIONS] = _interpolate(positions.float(), resized.grid)
    return resized, weights


def vit_state(encoder: VitEncoder) -> dict[str, Tensor]:
    """An encoder's weights under Hugging Face's names, with the prefix ``vit.`` (views)."""
    return to_hugging_face(encoder.named_parameters(), vit_names())


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
        folder: made if need be.
        state: weights under Hugging Face's names; saved in float32.
        config: what ``config.json`` is to say, as ``vit_config_of`` gives it.
        model_card: text of ``README.md``, in Markdown.
        mean, std: of red, green and blue from 0 to 1; pixels are counted from and in them.

    Raises:
        UserError: the disk is full, read-only or not yours.
    """
    processor = json.dumps(_image_processor(config["image_size"], mean, std), indent=2) + "\n"

    def write_processor(destination: Path) -> None:
        path = destination / "preprocessor_config.json"
        path.write_text(processor, encoding="utf-8")

    write_model_folder(Path(folder), state, config, write_processor, model_card)


def _interpolate(positions: Tensor, grid: int) -> Tensor:
    """A position table [1, 1 + N, D] → [1, 1 + grid², D]; the image token's row stays."""
    first, table = positions[:, :1], positions[:, 1:]
    old = math.isqrt(table.shape[1])
    squares = table.reshape(1, old, old, -1).permute(0, 3, 1, 2)  # [1, D, G, G]
    squares = F.interpolate(squares, (grid, grid), mode="bicubic", align_corners=False)
    return torch.cat([first, squares.flatten(2).transpose(1, 2)], 1)


def _image_processor(
    image_size: int, mean: Sequence[float], std: Sequence[float]
) -> dict[str, Any]:
    """How ``transformers`` is to make pixel values of an image."""
    return {
        "image_processor_type": "ViTImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"height": image_size, "width": image_size},
        "resample": _BILINEAR,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(mean),
        "image_std": list(std),
    }
