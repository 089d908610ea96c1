"""How well a model does on images that it is never trained on.

Shapes: B images, n visible and m missing patches of each, P numbers in a patch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from selfsup.counter_random import permutation
from selfsup.encoder.config import VitConfig
from selfsup.errors import UserError
from selfsup.images.crops import StoredImages, whole_images
from selfsup.pretraining.images.batch import ImageBatch, build_image_batch
from selfsup.pretraining.images.inpainting import HiddenPatches
from selfsup.pretraining.images.model import ImagePreTraining

_SEED, _BATCH_SIZE = 0x4556414C, 64
_HELD_OUT_STREAM = 0x48454C44  # the choice of held-out images depends on no run's seed


@dataclass(frozen=True)
class HeldOutImagesResult:
    """Held-out measurements; None where the objective is not learnt.

    Attributes:
        inpainting_loss: the loss that is trained for, a mean over missing patches.
        inpainting_pixel_error: mean squared error of missing patches' pixels, from 0 to 1.
        mean_colour_error: the same, of the mean colour of the visible patches in their place.
        jigsaw_loss: mean over tiles, in nats.
        jigsaw_accuracy: share of tiles whose best score is that of the right place.
        jigsaw_chance: the share that guessing puts right.
    """

    inpainting_loss: float | None = None
    inpainting_pixel_error: float | None = None
    mean_colour_error: float | None = None
    jigsaw_loss: float | None = None
    jigsaw_accuracy: float | None = None
    jigsaw_chance: float | None = None


def split_held_out_images(
    count: int, fraction: float, most: int = 1000
) -> tuple[np.ndarray, np.ndarray]:
    """Divide images into those to train on and those held out, int64 numbers of each.

    At least one goes to either part, and at most ``most`` are held out. The choice depends on the
    count alone.

    Raises:
        UserError: there are fewer than two images.
    """
    if count < 2:
        raise UserError(
            f"there {'is one image' if count else 'is no image'}, and pre-training needs two: one "
            "to train on and one to measure with; give more images"
        )
    order = permutation(count, _HELD_OUT_STREAM)
    held_out = min(max(1, round(count * fraction)), most, count - 1)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


class HeldOutImages:
    """Held-out images, whole, with fixed patches hidden and fixed tiles; measured in float32."""

    def __init__(
        self,
        images: StoredImages,
        numbers: np.ndarray,
        objectives: Sequence[str],
        config: VitConfig,
        mask_ratio: float,
    ) -> None:
        """Arguments as those of ``ImageBatches``; ``numbers`` are the images held out."""
        self._images, self._objectives = images, tuple(objectives)
        self._config, self._mask_ratio = config, mask_ratio
        self._order = numbers[permutation(len(numbers), _SEED)]

    def batch(self, begin: int, count: int) -> ImageBatch:
        """Some of the images, in an order that has nothing to do with their names'."""
        examples = self._order[begin : begin + count]
        return build_image_batch(
            lambda side: whole_images(self._images, examples, side=side),
            examples,
            self._objectives,
            self._config,
            self._mask_ratio,
            _SEED,
            0,
        )

    def measure(
        self, model: ImagePreTraining, device: torch.device, most_images: int | None = None
    ) -> HeldOutImagesResult:
        """Measure on all images, or on the first ``most_images``."""
        count = len(self._order) if most_images is None else min(most_images, len(self._order))
        was_training = model.training
        model.eval()
        sums: dict[str, float] = {}
        with torch.inference_mode():
            for begin in range(0, count, _BATCH_SIZE):
                batch = self.batch(begin, min(_BATCH_SIZE, count - begin)).to(device)
                for name, mean in _measured(model, batch).items():
                    sums[name] = sums.get(name, 0.0) + float(mean) * batch.image_count
        model.train(was_training)
        return HeldOutImagesResult(**{name: total / count for name, total in sums.items()})


def _measured(model: ImagePreTraining, batch: ImageBatch) -> dict[str, float | Tensor]:
    """The result's numbers, each the mean of a batch. All images have as many patches."""
    means: dict[str, float | Tensor] = {}
    if model.inpainting is not None and batch.hidden is not None:
        predicted = model.inpainting.predict(model.encoder, batch.hidden)
        truth = batch.hidden.missing.float() / 255
        means["inpainting_loss"] = predicted.loss(batch.hidden.missing)
        means["inpainting_pixel_error"] = (predicted.pixels() - truth).square().mean()
        means["mean_colour_error"] = (mean_colour(batch.hidden) - truth).square().mean()
    if model.jigsaw is not None and batch.shuffled is not None:
        loss, right, tiles = model.jigsaw.loss(model.encoder, batch.shuffled)
        means["jigsaw_loss"] = loss
        means["jigsaw_accuracy"] = right / tiles
        means["jigsaw_chance"] = 1 / model.encoder.config.patch_count
    return means


def mean_colour(hidden: HiddenPatches) -> Tensor:
    """A patch in the mean colour of each image's visible ones, from 0 to 1: float32 [B, 1, P]."""
    images, visible, values = hidden.visible.shape
    by_channel = hidden.visible.view(images, visible, 3, values // 3).float() / 255
    colour = by_channel.mean((1, 3))  # [B, 3]
    return colour.repeat_interleave(values // 3, 1)[:, None]
