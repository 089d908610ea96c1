"""``preprocessor_config.json``: how Hugging Face's model folders say that pixels are prepared."""

import json
import math
from pathlib import Path
from typing import Any

from selfsup.encoder.vit_config import VitConfig
from selfsup.encoder.vit_folder import HALF
from selfsup.errors import UserError
from selfsup.tasks.image_preparation import ImagePreparation

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
