"""The steps of the course on a picture: hidden patches, shuffled tiles.

Shapes: S side of an image, p side of a patch, N patches, P = 3p² numbers in a patch.
"""

import base64
import io
import math
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from selfsup.encoder.config import VitConfig, vit_config
from selfsup.encoder.vit import unpatchify
from selfsup.errors import UserError
from selfsup.images.pixels import BadImage, ResizeShorterSide, decode, whole_images
from selfsup.pretraining.images.batches import ImageData
from selfsup.pretraining.images.inpainting import Inpainting, MaskedPatches
from selfsup.pretraining.images.jigsaw import Jigsaw, ShuffledTiles, best_arrangement, in_order
from selfsup.pretraining.images.model import ImagePretrainingModel, image_objectives
from selfsup.pretraining.images.pretraining import MASK_RATIO
from selfsup.report.markup import Picture
from selfsup.settings.objectives import IMAGE_OBJECTIVES

_SIDE, _PATCH, _GREY = 192, 32, 128  # pixels, and the colour of what is hidden
_SHOWN, _QUALITY = 200, 90


class ImageSteps(NamedTuple):
    """One picture as the objectives take it apart.

    Attributes:
        config: sizes.
        masked: with some patches hidden.
        shuffled: as tiles.
        pictures: by name, to show.
        facts: counts and errors.
    """

    config: VitConfig
    masked: MaskedPatches
    shuffled: ShuffledTiles
    pictures: dict[str, Picture]
    facts: dict[str, Any]


def take_picture_apart(
    file: str | None, seed: int, model: ImagePretrainingModel | None
) -> ImageSteps:
    """Hide patches of a picture and shuffle its tiles, with the sizes of a model if there is one.

    Args:
        file: the picture; one that comes with scikit-learn if None.
        seed: the random seed.
        model: if there is one, its answers are among the pictures.

    Raises:
        UserError: the file cannot be read.
    """
    config = vit_config("vit-mini", _SIDE, _PATCH) if model is None else model.encoder.config
    pixels = _read(file)
    number = np.zeros(1, np.int64)
    data = ImageData([pixels], number, image_objectives(IMAGE_OBJECTIVES), config, MASK_RATIO)
    batch = data.batch(
        lambda side: whole_images([pixels], number, side=side),
        number,
        share=1.0,
        seed=seed,
        epoch=0,
    )
    masked, shuffled = batch.puzzles["inpainting"], batch.puzzles["jigsaw"]
    assert isinstance(masked, MaskedPatches)
    assert isinstance(shuffled, ShuffledTiles)
    steps = ImageSteps(config, masked, shuffled, {}, {})
    _draw_inpainting(steps, model)
    _draw_jigsaw(steps, model)
    return steps


def _read(file: str | None) -> np.ndarray:
    path = (
        Path(file) if file else Path(str(resources.files("sklearn.datasets"))) / "images/china.jpg"
    )
    try:
        return decode(path, ResizeShorterSide(2 * _SIDE))
    except BadImage as error:
        raise UserError(f"--image {path}: {error}: give another picture") from None


def _draw_inpainting(steps: ImageSteps, model: ImagePretrainingModel | None) -> None:
    masked, patch = steps.masked, steps.config.patch_size
    truth, visible = masked.missing.float() / 255, masked.visible.float() / 255
    mean = masked.mean_colour().expand_as(truth)
    filled = {
        "original": masked.reconstruct(truth),
        "visible": masked.reconstruct(torch.full_like(truth, _GREY / 255)),
        "mean_colour": masked.reconstruct(mean),
    }
    only_missing = MaskedPatches(
        torch.full_like(masked.visible, _GREY), masked.visible_positions, masked.missing,
        masked.missing_positions,
    )  # fmt: skip
    filled["target"] = only_missing.reconstruct(truth)
    steps.facts.update(
        {
            "patches": steps.config.patch_count,
            "hidden": masked.predictions,
            "visible": visible.shape[1],
            "mean_colour_error": float((mean - truth).square().mean()),
        }
    )
    head = _head(model, "inpainting")
    if model is not None and isinstance(head, Inpainting):
        with torch.inference_mode():
            predicted = head.predict(model.encoder, masked).pixels()
        filled["reconstruction"] = masked.reconstruct(predicted)
        steps.facts["pixel_error"] = float((predicted - truth).square().mean())
    for name, patches in filled.items():
        steps.pictures[name] = _picture(patches, patch)


def _draw_jigsaw(steps: ImageSteps, model: ImagePretrainingModel | None) -> None:
    shuffled, patch = steps.shuffled, steps.config.patch_size
    tiles = shuffled.tiles.float() / 255
    arranged = {"tiles": in_order(tiles, shuffled.positions), "shuffled": tiles}
    head = _head(model, "jigsaw")
    if model is not None and isinstance(head, Jigsaw):
        with torch.inference_mode():
            found = best_arrangement(head.scores(model.encoder, shuffled))
        arranged["restored"] = in_order(tiles, found)
        steps.facts["tiles_right"] = int((found == shuffled.positions).sum())
    for name, patches in arranged.items():
        steps.pictures[name] = _picture(patches, patch)


def _head(model: ImagePretrainingModel | None, name: str) -> nn.Module | None:
    return model.heads[name] if model is not None and name in model.heads else None


def _picture(patches: Tensor, patch: int) -> Picture:
    """Patches [1, N, P] with a white line around each, from 0 to 1; small ones are enlarged."""
    count = patches.shape[1]
    factor = max(1, round(_SHOWN / (math.isqrt(count) * patch)))
    large = F.interpolate(patches.view(count, 3, patch, patch), scale_factor=float(factor))
    framed = F.pad(large, (1, 1, 1, 1), value=1.0).view(1, count, -1)
    pixels = unpatchify(framed, factor * patch + 2)[0].permute(1, 2, 0)
    image = Image.fromarray((pixels * 255).round().to(torch.uint8).numpy())
    data = io.BytesIO()
    image.save(data, "JPEG", quality=_QUALITY, subsampling=0)
    uri = f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"
    return Picture(uri, *image.size)
