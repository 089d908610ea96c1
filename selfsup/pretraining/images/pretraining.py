"""Pre-training on images: a Vision Transformer from folders of them."""

import dataclasses
from pathlib import Path
from typing import Any

from selfsup.encoder.config import VIT_SIZES, VitConfig, vit_config
from selfsup.encoder.huggingface.config import read_vit_config
from selfsup.encoder.huggingface.folder import resolve_model_folder
from selfsup.encoder.huggingface.vit_folder import read_normalisation
from selfsup.encoder.layers import initialize
from selfsup.encoder.vit import VitEncoder
from selfsup.errors import UserError
from selfsup.pretraining.images.batches import (
    HeldOutImages,
    ImageBatch,
    ImageBatches,
    ImageData,
    split_held_out_images,
)
from selfsup.pretraining.images.data import check_images, pretraining_images, usual_side
from selfsup.pretraining.images.model import (
    ImagePretrainingModel,
    image_objectives,
    load_image_pretraining,
    save_image_pretraining,
)
from selfsup.pretraining.images.pictures import PICTURES, write_pictures
from selfsup.pretraining.modality import USUAL_ENCODER, Pretraining, SizeDefaults
from selfsup.runs.model_cards import image_pretraining_card
from selfsup.settings.objectives import IMAGE_MEASUREMENTS, IMAGE_OBJECTIVES
from selfsup.settings.pretrain import PretrainSettings, ResolvedImageSettings
from selfsup.shards.folder import shards_sha256
from selfsup.terminal import say
from selfsup.training.loop import Stage

MASK_RATIO = 0.75  # MAE, §4.1
LARGEST_IMAGE = 224
PATCH_SIZES = (16, 8, 4, 2)
LEAST_GRID = 8
_MOST_PATCHES = 1024


_SIZE_DEFAULTS = {
    "vit-mini": SizeDefaults(64, 1e-3),
    "vit-tiny": SizeDefaults(64, 1e-3),
    "vit-small": SizeDefaults(64, 5e-4),
    "vit-base": SizeDefaults(256, 1.5e-4),
}


class ImagePretraining(Pretraining):
    """A Vision Transformer that is about to be pre-trained, and its images."""

    unit = "images"
    held_out_unit = "images"
    quick_size = 256
    measurements = IMAGE_MEASUREMENTS
    resolved_class = ResolvedImageSettings
    check_data = staticmethod(check_images)

    @staticmethod
    def resolve(settings: PretrainSettings) -> ResolvedImageSettings:
        if settings.start == "structured":
            raise UserError("--start structured is for text: leave it out with images")
        hides = "inpainting" in (settings.objectives or IMAGE_OBJECTIVES)
        if not hides and settings.mask_ratio not in (None, MASK_RATIO):
            raise UserError("--mask-ratio is for inpainting, and --objectives names jigsaw alone")
        if settings.init is not None:
            name, size = _nearest_size(settings.init)
            image_size, patch_size = _sizes_of_init(settings, settings.init)
        else:
            name = settings.encoder or USUAL_ENCODER["images"]
            size = _SIZE_DEFAULTS[name]
            image_size, patch_size = settings.image_size, settings.patch_size
            if image_size is None or patch_size is None:
                image_size, patch_size = _fitting_sizes(settings)
        _check_grid(name, image_size, patch_size)
        if settings.init is None and settings.encoder is None:
            say(
                f"DATA holds images: pre-training a {name} on them, which sees {image_size} × "
                f"{image_size} pixels in patches of {patch_size}; --encoder, --image-size and "
                "--patch-size say otherwise"
            )
        return ResolvedImageSettings.complete(
            settings,
            encoder=None if settings.init is not None else name,
            objectives=IMAGE_OBJECTIVES,
            budget=settings.default_budget,
            image_size=image_size,
            patch_size=patch_size,
            mask_ratio=MASK_RATIO,
            **dataclasses.asdict(size),
        )

    def _open(self, is_resumed: bool, is_new: bool) -> None:
        settings = self.settings
        self._images = pretraining_images(settings, self._run, is_resumed)
        self.data_sha256 = shards_sha256(self._images.manifest)
        training, self._held_out_numbers = split_held_out_images(
            len(self._images), settings.held_out_fraction
        )
        self.model = _build_model(settings, is_new).to(self._device)
        objectives, config = image_objectives(settings.objectives), self.model.encoder.config
        data = ImageData(self._images, training, objectives, config, settings.mask_ratio)
        self._held_out = HeldOutImages(dataclasses.replace(data, numbers=self._held_out_numbers))
        batches = ImageBatches(
            data,
            settings.batch_size,
            settings.seed,
            mirror=settings.mirror,
            # The other half of --threads computes meanwhile.
            threads=None if settings.threads is None else max(1, settings.threads // 2),
        )
        self.stages = [Stage(1.0, batches, {})]

    def count(self, batch: ImageBatch) -> int:
        return batch.image_count

    def facts(self) -> dict[str, Any]:
        settings, manifest = self.settings, self._images.manifest
        return {
            "held_out_images": len(self._held_out_numbers),
            "bad_images": manifest["bad_images"],
            "duplicate_images": manifest["duplicate_images"],
            "encoder": settings.init or settings.encoder,
            "image_size": settings.image_size,
            "patch_size": settings.patch_size,
            "mask_ratio": settings.mask_ratio,
        }

    def save(self, folder: Path, summary: dict[str, Any]) -> None:
        card = image_pretraining_card(self.settings, summary)
        save_image_pretraining(folder, self.model, card)
        write_pictures(self._run / PICTURES, self.model, self._held_out, self._device)


def _build_model(settings: ResolvedImageSettings, is_new: bool) -> ImagePretrainingModel:
    """The model before its first step (or, if not ``is_new``, with values to overwrite)."""
    if settings.init is not None:
        folder = resolve_model_folder(settings.init)
        model, missing = load_image_pretraining(
            folder, settings.objectives, settings.seed, settings.image_size, settings.dropout
        )
        if is_new:
            # Our pixels go from −1 to 1, those of another model may not.
            model.encoder.embeddings.rescale_pixel_input(*read_normalisation(folder))
        if missing and is_new:
            say(f"New weights, not in {folder}: {', '.join(missing)}")
        return model
    assert settings.encoder is not None
    config = vit_config(
        settings.encoder, settings.image_size, settings.patch_size, settings.dropout
    )
    model = ImagePretrainingModel(VitEncoder(config), settings.objectives)
    initialize(model, config.initializer_range, settings.seed)
    return model


def fitting_patch_size(image_size: int) -> int:
    """The largest of the usual patch sizes with a grid of at least 8 × 8, else the smallest one.

    Raises:
        UserError: none of them divides the image, or only one that makes too many patches.
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
    """The image size and the patch size for images with a shorter side of ``side`` pixels.

    The image size is the largest multiple of the patch size that is neither above 224 nor above
    ``side``. The patch size is chosen if it is None.
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


def _nearest_size(init: str) -> tuple[str, SizeDefaults]:
    """The size nearest in width to a model's, and its defaults with half the learning rate."""
    width = _config_of_init(init).hidden_size
    nearest = min(VIT_SIZES, key=lambda name: abs(VIT_SIZES[name][1] - width))
    size = _SIZE_DEFAULTS[nearest]
    return nearest, dataclasses.replace(size, learning_rate=size.learning_rate / 2)


def _sizes_of_init(settings: PretrainSettings, init: str) -> tuple[int, int]:
    config = _config_of_init(init)
    if settings.patch_size not in (None, config.patch_size):
        raise UserError(
            f"--patch-size {settings.patch_size}: the patches of {init} have "
            f"{config.patch_size} pixels on a side: leave the flag out with --init"
        )
    return settings.image_size or config.image_size, config.patch_size


def _config_of_init(init: str) -> VitConfig:
    return read_vit_config(resolve_model_folder(init))[0]
