"""Where a task on images starts: from a pre-trained ViT, or from random weights."""

from dataclasses import replace

from selfsup.encoder.config import VitConfig, vit_config
from selfsup.encoder.huggingface.config import read_vit_config
from selfsup.encoder.huggingface.folder import resolve_model_folder
from selfsup.encoder.huggingface.image_processor import ImagePreparation, read_image_preparation
from selfsup.encoder.huggingface.vit_folder import read_vit_weights, with_image_size
from selfsup.errors import UserError
from selfsup.finetuning.starting_point import StartingPoint, encoder_weights
from selfsup.images.files import typical_side
from selfsup.pretraining.images.setup import fitting_image_size, fitting_patch_size
from selfsup.settings import FinetuneSettings
from selfsup.tasks.base import Task
from selfsup.tasks.encoders import IMAGE_ENCODERS
from selfsup.tasks.image_classification.data import LabelledImages


def from_random_weights(
    settings: FinetuneSettings, task: Task, train: LabelledImages
) -> StartingPoint:
    """An encoder by name, of the size that the flags say or that suits the images.

    Raises:
        UserError: the patches do not divide the images, or an image holds but one.
    """
    name, size, patch = settings.encoder, settings.image_size, settings.patch_size
    if size is None:
        size, patch = fitting_image_size(typical_side(train.files), patch)
    elif patch is None:
        patch = fitting_patch_size(size)
    if size < 2 * patch:
        raise UserError(
            f"--patch-size {patch}: an image of {size} × {size} pixels has no room for 2 × 2 such "
            "patches: give a smaller one, or a larger --image-size"
        )
    try:
        config = vit_config(name, size, patch, settings.dropout or 0.0)
    except UserError as error:
        raise UserError(f"--image-size, --patch-size: {error}") from None
    preparation = ImagePreparation(size, patch, mirror=settings.mirror)
    return StartingPoint(IMAGE_ENCODERS, config, None, name, preparation)


def from_model(settings: FinetuneSettings, task: Task, train: LabelledImages) -> StartingPoint:
    """A pre-trained encoder, with its positions interpolated if ``--image-size`` asks for it.

    Raises:
        UserError: there is no such model, or a flag asks for other patches than it has.
    """
    folder = resolve_model_folder(settings.encoder)
    config, _ = read_vit_config(folder)
    patch = settings.patch_size
    if patch not in (None, config.patch_size):
        raise UserError(
            f"--patch-size {patch}: {settings.encoder} was trained with patches of "
            f"{config.patch_size} pixels; leave this flag out"
        )
    preparation = read_image_preparation(folder, config)
    config, weights = _resized(config, settings, read_vit_weights(folder))
    dropout = settings.dropout or 0.0
    config = replace(config, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout)
    weights, left_out = encoder_weights(weights, IMAGE_ENCODERS)
    preparation = replace(preparation, image_size=config.image_size, mirror=settings.mirror)
    return StartingPoint(IMAGE_ENCODERS, config, weights, str(folder), preparation, left_out)


def _resized(config: VitConfig, settings: FinetuneSettings, weights: dict) -> tuple:
    try:
        return with_image_size(config, weights, settings.image_size)
    except UserError as error:
        raise UserError(f"--image-size {settings.image_size}: {error}") from None
