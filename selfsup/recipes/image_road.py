"""Pre-training on images: a Vision Transformer from folders of them; see ``pretraining_road``."""

import sys
from pathlib import Path
from typing import Any

import torch

from selfsup.corpus.manifest import shards_sha256
from selfsup.encoder.initialization import initialize
from selfsup.encoder.model_location import resolve_model_folder
from selfsup.encoder.vit import VitEncoder
from selfsup.encoder.vit_config import vit_config
from selfsup.objectives.held_out_images import (
    HeldOutImages,
    HeldOutImagesResult,
    split_held_out_images,
)
from selfsup.objectives.image_objective import ImageBatches, ImagePreTraining
from selfsup.objectives.image_pretraining_folder import (
    load_image_pretraining,
    save_image_pretraining,
)
from selfsup.recipes.image_card import image_pretraining_card
from selfsup.recipes.image_data import check_images, pretraining_images
from selfsup.recipes.image_defaults import with_defaults
from selfsup.recipes.pretraining_pictures import PICTURES, write_pictures
from selfsup.recipes.pretraining_road import Setup
from selfsup.settings import PretrainSettings
from selfsup.tasks.image_processor_file import read_normalisation
from selfsup.training.loop import Stage

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
            model.encoder.embeddings.take_pixels_from_minus_one(*read_normalisation(folder))
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
