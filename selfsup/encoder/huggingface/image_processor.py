"""What makes images ready for a model: their size, and what stands for black and for white.

Shapes: B images, S side of an image, N patches of it, P numbers in a patch.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from selfsup.encoder.config import VitConfig
from selfsup.encoder.huggingface.vit_folder import HALF
from selfsup.encoder.vit import patchify
from selfsup.errors import UserError


@dataclass(frozen=True)
class ImagePreparation:
    """How images become patches; all but ``mirror`` is saved with the model.

    Attributes:
        image_size: S, in pixels.
        patch_size: side of a patch, in pixels.
        mean, std: of red, green and blue from 0 to 1; what they are counted from and in.
        mirror: whether half of the images to learn from are mirrored.
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
        """What of it are settings of fine-tuning, by their names."""
        return {"image_size": self.image_size, "patch_size": self.patch_size}

    def patches(self, pixels: np.ndarray, device: torch.device) -> Tensor:
        """Square images as the encoder takes them: uint8 [B, S, S, 3] → float32 [B, N, P]."""
        images = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2)
        patches = patchify(images, self.patch_size).float()
        # A patch is all of its red, then its green, then its blue.
        colours = patches.unflatten(-1, (3, -1))
        mean = 255 * torch.tensor(self.mean, device=device)[:, None]
        std = 255 * torch.tensor(self.std, device=device)[:, None]
        return ((colours - mean) / std).flatten(-2)


# ``preprocessor_config.json``: how Hugging Face's model folders say that pixels are prepared.


_FILE = "preprocessor_config.json"
# Settings under which pixels are prepared otherwise than here, and what they must be.
_ONLY_KNOWN = {
    "do_resize": True,
    "do_center_crop": False,
    "do_rescale": True,
    "resample": 2,  # bilinear, as Pillow numbers it
}


def read_image_preparation(folder: Path, config: VitConfig) -> ImagePreparation:
    """How the images of a model folder's model are prepared.

    A folder without the file prepares them as ours do.

    Raises:
        UserError: the file is damaged, or asks for what is not done here.
    """
    path = folder / _FILE
    raw = _read(path)
    for name, known in _ONLY_KNOWN.items():
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
    """The mean and standard deviation of the colours in which a model folder's model counts pixels.

    Raises:
        UserError: the file is damaged.
    """
    path = folder / _FILE
    return _normalisation(path, _read(path))


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
    # Some versions of transformers write null for what they leave to their defaults.
    return {name: value for name, value in raw.items() if value is not None}


def _colours(path: Path, raw: dict[str, Any], name: str) -> tuple[float, ...]:
    values = raw.get(name, HALF)
    numbers = isinstance(values, list | tuple) and len(values) == 3 and all(
        isinstance(value, int | float) and (value > 0 or name == "image_mean") for value in values
    )  # fmt: skip
    if not numbers:
        raise UserError(f"{path}: {name} must be three numbers, not {values!r}")
    return tuple(float(value) for value in values)
