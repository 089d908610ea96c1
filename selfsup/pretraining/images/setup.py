"""What suits images and their encoder, where the user of ``selfsup pretrain`` says nothing."""

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from selfsup.encoder.config import VIT_SIZES, VitConfig, vit_config
from selfsup.encoder.huggingface.config import read_vit_config
from selfsup.encoder.huggingface.folder import resolve_model_folder
from selfsup.encoder.huggingface.image_processor import read_normalisation
from selfsup.encoder.layers import initialize
from selfsup.encoder.vit import VitEncoder
from selfsup.errors import UserError
from selfsup.pretraining.images.data import check_images, pretraining_images, usual_side
from selfsup.pretraining.images.held_out import (
    HeldOutImages,
    HeldOutImagesResult,
    split_held_out_images,
)
from selfsup.pretraining.images.model import (
    ImageBatches,
    ImagePreTraining,
    load_image_pretraining,
    save_image_pretraining,
)
from selfsup.pretraining.images.pictures import PICTURES, write_pictures
from selfsup.pretraining.kind import USUAL_ENCODER
from selfsup.pretraining.setup import Setup
from selfsup.runs.model_cards import image_pretraining_card
from selfsup.settings import PretrainSettings
from selfsup.settings.pretrain import DEFAULT_BUDGET, IMAGE_OBJECTIVES, filled_in
from selfsup.shards.folder import shards_sha256
from selfsup.training.loop import Stage

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


# Pre-training on images: a Vision Transformer from folders of them; see ``pretraining_road``.


__all__ = ["check_data", "set_up", "with_defaults"]

check_data = check_images
_QUICK_EVALUATION_IMAGES = 256


def set_up(
    settings: PretrainSettings, run: Path, device: torch.device, is_resumed: bool, is_new: bool
) -> Setup:
    """The model before its first step, with its images.

    Args:
        settings: with nothing left open.
        run: the run's folder, into which the images are decoded.
        device: what to compute on.
        is_resumed: whether what lies in that folder was made under these same settings.
        is_new: whether the model's first weights count; if not, a checkpoint overwrites them.

    Raises:
        UserError: as ``pretraining_images``, or the model of --init cannot be read.
    """
    assert settings.objectives is not None  # all of these: see image_defaults
    assert settings.mask_ratio is not None
    assert settings.batch_size is not None
    images = pretraining_images(settings, run, is_resumed)
    training, held_out_images = split_held_out_images(len(images), settings.held_out_fraction)
    model = _build_model(settings, is_new).to(device)
    objectives, config = settings.objectives, model.encoder.config
    held_out = HeldOutImages(images, held_out_images, objectives, config, settings.mask_ratio)
    batches = ImageBatches(
        images,
        training,
        objectives,
        config,
        settings.mask_ratio,
        settings.batch_size,
        settings.seed,
        mirror=settings.mirror,
        # The other half of --threads computes meanwhile.
        threads=None if settings.threads is None else max(1, settings.threads // 2),
    )

    def facts() -> dict[str, Any]:
        return {
            "held_out_images": len(held_out_images),
            "bad_images": images.manifest["bad_images"],
            "duplicate_images": images.manifest["duplicate_images"],
            "encoder": settings.init or settings.encoder,
            "image_size": settings.image_size,
            "patch_size": settings.patch_size,
            "mask_ratio": settings.mask_ratio,
        }

    def save(folder: Path, summary: dict[str, Any]) -> None:
        save_image_pretraining(folder, model, image_pretraining_card(settings, summary))
        write_pictures(run / PICTURES, model, held_out, device)

    return Setup(
        model=model,
        stages=[Stage(1.0, batches, {})],
        data_sha256=shards_sha256(images.manifest),
        held_out="images",
        counted="images",
        count=lambda batch: batch.image_count,
        measure=lambda most: held_out.measure(model, device, most),
        quick=_QUICK_EVALUATION_IMAGES,
        shown=_shown,
        facts=facts,
        save=save,
    )


def _build_model(settings: PretrainSettings, is_new: bool) -> ImagePreTraining:
    """The model before its first step (or, if not ``is_new``, with values to be overwritten)."""
    assert settings.objectives is not None
    assert settings.image_size is not None
    assert settings.patch_size is not None
    assert settings.dropout is not None
    if settings.init is not None:
        folder = resolve_model_folder(settings.init)
        model, report = load_image_pretraining(
            folder, settings.objectives, settings.seed, settings.image_size, settings.dropout
        )
        if is_new:
            # Here pixels go from −1 to 1, whatever another model was trained with.
            model.encoder.embeddings.rescale_pixel_input(*read_normalisation(folder))
        if report.missing and is_new:
            print(f"New weights, not in {folder}: {', '.join(report.missing)}", file=sys.stderr)
        return model
    assert settings.encoder is not None
    config = vit_config(
        settings.encoder, settings.image_size, settings.patch_size, settings.dropout
    )
    model = ImagePreTraining(VitEncoder(config), settings.objectives)
    initialize(model, config.initializer_range, settings.seed)
    return model


def _shown(result: HeldOutImagesResult) -> dict[str, str]:
    fields = {}
    if result.inpainting_loss is not None:
        fields["held out"] = f"{result.inpainting_loss:.3f}"
    if result.jigsaw_accuracy is not None:
        fields["tiles right"] = f"{result.jigsaw_accuracy:.0%}"
    return fields
