"""How images are prepared for a model, and ``preprocessor_config.json``, which says so.

Shapes: B images, S side of an image, N patches of it, P numbers in a patch.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from selfsup.encoder.config import VitConfig
from selfsup.encoder.vit import patchify
from selfsup.errors import UserError

# Mean and standard deviation of each colour; pixels are then from −1 to 1.
HALF = (0.5, 0.5, 0.5)

_FILE = "preprocessor_config.json"
_BILINEAR = 2  # Pillow's number
# Settings that must have these values if they are in the file: nothing else is implemented here.
_SUPPORTED = {
    "do_resize": True,
    "do_center_crop": False,
    "do_rescale": True,
    "resample": _BILINEAR,
}


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
    mean: tuple[float, ...] = HALF
    std: tuple[float, ...] = HALF
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
    path = folder / _FILE
    raw = _read(path)
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
    if not isinstance(factor, float) or not math.isclose(factor, 1 / 255):
        raise UserError(f"{path}: rescale_factor is {factor!r}; only 1/255 can be done here")
    return ImagePreparation(side, config.patch_size, *_normalisation(path, raw))


def read_normalisation(folder: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The mean and standard deviation that a model normalises red, green and blue with.

    Raises:
        UserError: the file is damaged.
    """
    path = folder / _FILE
    return _normalisation(path, _read(path))


def write_image_processor(
    folder: Path, image_size: int, mean: Sequence[float], std: Sequence[float]
) -> None:
    """Write the file: how ``transformers`` turns an image into pixel values."""
    values = {
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
    (folder / _FILE).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def _normalisation(path: Path, raw: dict[str, Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if raw.get("do_normalize") is False:
        return (0.0,) * 3, (1.0,) * 3
    return _colours(path, raw, "image_mean"), _colours(path, raw, "image_std")


def _read(path: Path) -> dict[str, Any]:
    try:
        raw = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (ValueError, OSError) as error:
        raise UserError(
            f"{path}: cannot be read as JSON ({error}): copy or make it again"
        ) from None
    if not isinstance(raw, dict):
        raise UserError(f"{path}: says nothing of images (no JSON object): copy it again")
    # Some versions of transformers write null where they use their defaults.
    return {name: value for name, value in raw.items() if value is not None}


def _colours(path: Path, raw: dict[str, Any], name: str) -> tuple[float, ...]:
    values = raw.get(name, HALF)
    numbers = isinstance(values, list | tuple) and len(values) == 3 and all(
        isinstance(value, int | float) and (value > 0 or name == "image_mean") for value in values
    )  # fmt: skip
    if not numbers:
        raise UserError(f"{path}: {name} must be three numbers, not {values!r}")
    return tuple(float(value) for value in values)
