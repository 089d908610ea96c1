"""What suits images and their encoder, where the user of ``selfsup pretrain`` says nothing."""

import dataclasses
import sys
from dataclasses import dataclass

from selfsup.encoder.model_location import resolve_model_folder
from selfsup.encoder.vit_config import VIT_SIZES, VitConfig, vit_config
from selfsup.encoder.vit_config_file import read_vit_config
from selfsup.errors import UserError
from selfsup.recipes.data_kinds import USUAL_ENCODER
from selfsup.recipes.image_data import usual_side
from selfsup.settings import PretrainSettings
from selfsup.settings.pretrain import DEFAULT_BUDGET, IMAGE_OBJECTIVES, filled_in

MASK_RATIO = 0.75  # MAE, §4.1
LARGEST_IMAGE = 224
PATCH_SIZES = (16, 8, 4, 2)
LEAST_GRID = 8
_MOST_PATCHES = 1024


@dataclass(frozen=True)
class ImageSizeDefaults:
    """What suits an image encoder of a size."""

    batch_size: int
    learning_rate: float
    dropout: float = 0.0
    optimizer: str = "adamw"


_SIZE_DEFAULTS = {
    "vit-mini": ImageSizeDefaults(64, 1e-3),
    "vit-tiny": ImageSizeDefaults(64, 1e-3),
    "vit-small": ImageSizeDefaults(64, 5e-4),
    "vit-base": ImageSizeDefaults(256, 1.5e-4),
}


def with_defaults(settings: PretrainSettings) -> PretrainSettings:
    """Replace what was left open by what suits the images and the encoder.

    Raises:
        UserError: flags that do not go together, or images that cannot be found or read.
    """
    if settings.start == "structured":
        raise UserError("--start structured is for text: leave it out with images")
    hides = "inpainting" in (settings.objectives or IMAGE_OBJECTIVES)
    if not hides and settings.mask_ratio not in (None, MASK_RATIO):
        raise UserError("--mask-ratio is for inpainting, and --objectives names jigsaw alone")
    if settings.init is not None:
        name, size = _nearest_size(settings.init)
        image_size, patch_size = _sizes_of_init(settings)
    else:
        name = settings.encoder or USUAL_ENCODER["images"]
        size = _SIZE_DEFAULTS[name]
        image_size, patch_size = settings.image_size, settings.patch_size
        if image_size is None or patch_size is None:
            image_size, patch_size = _fitting_sizes(settings)
    _check_grid(name, image_size, patch_size)
    if settings.init is None and settings.encoder is None:
        print(
            f"DATA holds images: pre-training a {name} on them, which sees {image_size} × "
            f"{image_size} pixels in patches of {patch_size}; --encoder, --image-size and "
            "--patch-size say otherwise",
            file=sys.stderr,
        )
    return filled_in(
        settings,
        encoder=None if settings.init is not None else name,
        objectives=IMAGE_OBJECTIVES,
        budget=DEFAULT_BUDGET if settings.steps is None else None,
        image_size=image_size,
        patch_size=patch_size,
        mask_ratio=MASK_RATIO,
        batch_size=size.batch_size,
        learning_rate=size.learning_rate,
        dropout=size.dropout,
        start="random",
        optimizer=size.optimizer,
    )


def fitting_patch_size(image_size: int) -> int:
    """The largest of the usual sizes that gives a grid of at least 8 × 8, else the smallest.

    Raises:
        UserError: none of them divides the image, or only one that makes a great many patches.
    """
    dividing = [size for size in PATCH_SIZES if image_size % size == 0]
    if not dividing:
        sizes = ", ".join(map(str, PATCH_SIZES))
        raise UserError(
            f"--image-size {image_size}: no patch size of {sizes} divides it: give --patch-size, "
            "or take an even number"
        )
    fitting = next((size for size in dividing if image_size // size >= LEAST_GRID), dividing[-1])
    if (count := (image_size // fitting) ** 2) > _MOST_PATCHES:
        lower = image_size // PATCH_SIZES[0] * PATCH_SIZES[0]
        raise UserError(
            f"--image-size {image_size}: only patches of {fitting} pixels divide it, {count:,} of "
            f"them, which is slow: take {lower} or {lower + PATCH_SIZES[0]}, or give --patch-size"
        )
    return fitting


def fitting_image_size(side: int, patch_size: int | None) -> tuple[int, int]:
    """An image size and a patch size for images of so many pixels on the shorter side.

    The image size is the largest multiple of the patch size that is neither above 224 nor above
    ``side``.

    Args:
        side: the images' shorter side, in pixels.
        patch_size: the patch size if it is chosen already.
    """
    reach = min(side, LARGEST_IMAGE)
    if patch_size is None:
        fine = (size for size in PATCH_SIZES if reach // size >= LEAST_GRID)
        patch_size = next(fine, PATCH_SIZES[-1])
    return reach // patch_size * patch_size, patch_size


def _fitting_sizes(settings: PretrainSettings) -> tuple[int, int]:
    if settings.image_size is not None:
        return settings.image_size, fitting_patch_size(settings.image_size)
    side = usual_side(settings)
    image_size, patch_size = fitting_image_size(side, settings.patch_size)
    if image_size < 2 * patch_size:
        raise UserError(
            f"--patch-size {patch_size}: the images have {side} pixels on their shorter side, and "
            "need room for 2 × 2 patches at least: take a smaller one, or a larger --image-size"
        )
    return image_size, patch_size


def _check_grid(name: str, image_size: int, patch_size: int) -> None:
    try:
        config = vit_config(name, image_size, patch_size)
    except UserError as error:
        raise UserError(f"--image-size, --patch-size: {error}") from None
    if config.grid < 2:
        raise UserError(
            f"--patch-size {patch_size}: an image of {image_size} × {image_size} pixels holds one "
            "such patch, and needs 2 × 2 at least: take a smaller one"
        )


def _nearest_size(init: str) -> tuple[str, ImageSizeDefaults]:
    """The size nearest in width to a model's, and what suits it at half the learning rate."""
    width = _config_of_init(init).hidden_size
    nearest = min(VIT_SIZES, key=lambda name: abs(VIT_SIZES[name][1] - width))
    size = _SIZE_DEFAULTS[nearest]
    return nearest, dataclasses.replace(size, learning_rate=size.learning_rate / 2)


def _sizes_of_init(settings: PretrainSettings) -> tuple[int, int]:
    assert settings.init is not None
    config = _config_of_init(settings.init)
    if settings.patch_size not in (None, config.patch_size):
        raise UserError(
            f"--patch-size {settings.patch_size}: the patches of {settings.init} have "
            f"{config.patch_size} pixels on a side: leave the flag out with --init"
        )
    return settings.image_size or config.image_size, config.patch_size


def _config_of_init(init: str) -> VitConfig:
    return read_vit_config(resolve_model_folder(init))[0]
