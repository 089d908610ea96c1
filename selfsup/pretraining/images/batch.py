"""One training step's images, with what was hidden in them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from selfsup.encoder.config import VitConfig
from selfsup.pretraining.images.inpainting import HiddenPatches, hide_patches
from selfsup.pretraining.images.jigsaw import ShuffledTiles, cell_size, shuffle_tiles


@dataclass(frozen=True)
class ImageBatch:
    """Some images, taken apart for each objective.

    Attributes:
        image_count: how many there are.
        hidden: for inpainting, or None.
        shuffled: for jigsaw, or None.
    """

    image_count: int
    hidden: HiddenPatches | None
    shuffled: ShuffledTiles | None

    @property
    def token_count(self) -> int:
        """Patches and tiles that the encoder computes."""
        visible = 0 if self.hidden is None else self.hidden.visible_places.numel()
        tiles = 0 if self.shuffled is None else self.shuffled.places.numel()
        return visible + tiles

    @property
    def predictions(self) -> dict[str, int]:
        """How many each objective makes: missing patches and tiles."""
        patches = 0 if self.hidden is None else self.hidden.missing_places.numel()
        tiles = 0 if self.shuffled is None else self.shuffled.places.numel()
        return {"inpainting": patches, "jigsaw": tiles}

    def to(self, device: torch.device) -> "ImageBatch":
        """The same batch on a device."""
        if device.type == "cpu":
            return self
        return ImageBatch(
            self.image_count,
            None if self.hidden is None else self.hidden.to(device),
            None if self.shuffled is None else self.shuffled.to(device),
        )


def build_image_batch(
    crop: Callable[[int], np.ndarray],
    examples: np.ndarray,
    objectives: Sequence[str],
    config: VitConfig,
    mask_ratio: float,
    seed: int,
    epoch: int,
    predicted_share: float = 1.0,
) -> ImageBatch:
    """Take images apart for some objectives.

    Args:
        crop: makes all the images square: given the side S in pixels, uint8 [B, S, S, 3].
        examples: int64 [B], the numbers of the images; with seed and epoch they say what is hidden.
        objectives: some of ``IMAGE_OBJECTIVES``.
        config: sizes of the encoder's images and patches.
        mask_ratio: the share of patches that inpainting hides.
        predicted_share: how much of these is to be predicted.
    """
    hidden = shuffled = None
    patch = config.patch_size
    if "inpainting" in objectives:
        images = crop(config.image_size)
        hidden = hide_patches(images, examples, patch, mask_ratio, seed, epoch, predicted_share)
    if "jigsaw" in objectives:
        images = crop(config.grid * cell_size(patch))
        shuffled = shuffle_tiles(images, examples, patch, seed, epoch)
    return ImageBatch(len(examples), hidden, shuffled)
