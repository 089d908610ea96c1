"""Model folders of images in Hugging Face's form: weights, and how images are prepared.

A folder holds ``config.json``, ``model.safetensors``, ``preprocessor_config.json`` and a model
card, ``README.md``. ``transformers`` loads the folders written here, and its ViT folders can be
read here.

Shapes: B images, S side of an image, N patches of it, P numbers in a patch, D width.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, TypedDict

import numpy as np
import torch
from msgspec import Meta
from torch import Tensor
from torch.nn import functional as F

from selfsup.encoder.config import VitConfig
from selfsup.encoder.huggingface.folder import write_model_folder
from selfsup.encoder.huggingface.names import with_present_vit_names
from selfsup.encoder.huggingface.weights import read_weight_files
from selfsup.encoder.vit import patchify
from selfsup.errors import UserError
from selfsup.structured_files import WholeNumber, check, read_json

_POSITIONS = "vit.embeddings.position_embeddings"
_PREPROCESSOR = "preprocessor_config.json"
# Mean and standard deviation of each colour; pixels are then from −1 to 1.
_HALF = (0.5, 0.5, 0.5)
_BILINEAR = 2  # Pillow's number
# Settings that must have these values if they are in the file: nothing else is implemented here.
_SUPPORTED = {
    "do_resize": True,
    "do_center_crop": False,
    "do_rescale": True,
    "resample": _BILINEAR,
}


_Brightness = Annotated[float, Meta(ge=-1000, le=1000)]
_Deviation = Annotated[float, Meta(gt=0, le=1000)]


class _Preprocessor(TypedDict, total=False):
    """What the file with the preparation of images may say that is used here."""

    do_resize: bool
    do_center_crop: bool
    do_rescale: bool
    do_normalize: bool
    resample: WholeNumber
    size: WholeNumber | dict[str, WholeNumber | None]
    rescale_factor: float
    image_mean: tuple[_Brightness, _Brightness, _Brightness]
    image_std: tuple[_Deviation, _Deviation, _Deviation]


@dataclass(frozen=True)
class ImagePreparation:
    """How images become patches; all but ``mirror`` is saved with the model.

    Attributes:
        image_size: S, in pixels.
        patch_size: side of a patch, in pixels.
        mean, std: of red, green and blue in [0, 1]; pixels are normalised with them.
        mirror: whether half of the training images are mirrored.
    """

    image_size: int
    patch_size: int
    mean: tuple[float, ...] = _HALF
    std: tuple[float, ...] = _HALF
    mirror: bool = True

    @property
    def patch_count(self) -> int:
        """N."""
        return (self.image_size // self.patch_size) ** 2

    def settings(self) -> dict[str, Any]:
        """Its values that are settings of fine-tuning, by name."""
        return {"image_size": self.image_size, "patch_size": self.patch_size}

    def patches(self, pixels: np.ndarray, device: torch.device) -> Tensor:
        """Square images, uint8 [B, S, S, 3] → normalised patches, float32 [B, N, P]."""
        images = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2)
        patches = patchify(images, self.patch_size).float()
        # A patch holds all red values, then all green, then all blue ones.
        colours = patches.unflatten(-1, (3, -1))
        mean = 255 * torch.tensor(self.mean, device=device)[:, None]
        std = 255 * torch.tensor(self.std, device=device)[:, None]
        return ((colours - mean) / std).flatten(-2)


def read_image_preparation(folder: Path, config: VitConfig) -> ImagePreparation:
    """How images are prepared for the model of a folder; without the file, as for our models.

    Raises:
        UserError: the file is damaged, or asks for something that is not implemented here.
    """
    path, raw = _read_preprocessor(folder)
    for name, known in _SUPPORTED.items():
        if raw.get(name, known) != known:
            raise UserError(f"{path}: {name} is {raw[name]!r}; only {known!r} can be done here")
    side = config.image_size
    size = raw.get("size", side)
    sides = {size.get("height"), size.get("width")} if isinstance(size, dict) else {size}
    if sides != {side}:
        raise UserError(
            f"{path}: size is {size!r}, but by config.json the model takes {side} × {side} pixels"
        )
    factor = raw.get("rescale_factor", 1 / 255)
    if not math.isclose(factor, 1 / 255):
        raise UserError(f"{path}: rescale_factor is {factor!r}; only 1/255 can be done here")
    return ImagePreparation(side, config.patch_size, *read_normalisation(folder))


def read_normalisation(folder: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The mean and standard deviation that a model normalises red, green and blue with.

    Raises:
        UserError: the file is damaged.
    """
    _, raw = _read_preprocessor(folder)
    if raw.get("do_normalize") is False:
        return (0.0,) * 3, (1.0,) * 3
    mean, std = raw.get("image_mean", _HALF), raw.get("image_std", _HALF)
    return tuple(map(float, mean)), tuple(map(float, std))


def read_vit_weights(folder: str | Path) -> dict[str, Tensor]:
    """As ``read_weights``, for a ViT; its encoder's names have the prefix ``vit.``."""
    return with_present_vit_names(read_weight_files(Path(folder)))


def with_image_size(
    config: VitConfig, weights: dict[str, Tensor], image_size: int | None
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
    if image_size is None or image_size == config.image_size:
        return config, weights
    resized = replace(config, image_size=image_size)
    positions = weights.get(_POSITIONS)
    # If the shape differs from the configuration's, loading refuses it later.
    if positions is not None and positions.shape[:2] == (1, 1 + config.patch_count):
        weights = {**weights, _POSITIONS: _interpolate(positions.float(), resized.grid)}
    return resized, weights


def save_vit(
    folder: str | Path,
    state: Mapping[str, Tensor],
    config: Mapping[str, Any],
    model_card: str,
    *,
    mean: Sequence[float] = _HALF,
    std: Sequence[float] = _HALF,
) -> None:
    """Write an image model's folder.

    Args:
        folder, state, config, model_card: as for ``write_model_folder``.
        mean, std: of red, green and blue in [0, 1]; pixels are normalised with them.

    Raises:
        UserError: as for ``write_model_folder``.
    """
    preprocessor = {
        "image_processor_type": "ViTImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"height": config["image_size"], "width": config["image_size"]},
        "resample": _BILINEAR,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(mean),
        "image_std": list(std),
    }

    def write_preprocessor(destination: Path) -> None:
        text = json.dumps(preprocessor, indent=2, allow_nan=False) + "\n"
        (destination / _PREPROCESSOR).write_text(text, encoding="utf-8")

    write_model_folder(Path(folder), state, config, write_preprocessor, model_card)


def _read_preprocessor(folder: Path) -> tuple[Path, dict[str, Any]]:
    """The file that says how images are prepared, and its settings; none if it does not exist."""
    path = folder / _PREPROCESSOR
    raw = read_json(path, dict[str, Any]) if path.exists() else {}
    # Some versions of transformers write null where they use their defaults.
    raw = {name: value for name, value in raw.items() if value is not None}
    return path, check(raw, _Preprocessor, path)


def _interpolate(positions: Tensor, grid: int) -> Tensor:
    """A position table [1, 1 + N, D] → [1, 1 + grid², D]; the image token's row stays."""
    first, table = positions[:, :1], positions[:, 1:]
    old = math.isqrt(table.shape[1])
    squares = table.reshape(1, old, old, -1).permute(0, 3, 1, 2)  # [1, D, old, old]
    squares = F.interpolate(squares, (grid, grid), mode="bicubic", align_corners=False)
    return torch.cat([first, squares.flatten(2).transpose(1, 2)], 1)
