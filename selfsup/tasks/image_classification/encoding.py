"""Labelled images in the form that a model takes, whole or as random crops, and batches of them.

Shapes: N images in all, B of them in a batch, S side of an image, P numbers in a patch.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from selfsup.encoder.huggingface.vit_folder import ImagePreparation
from selfsup.images.pixels import ResizeShorterSide, ResizeSquare, random_crops
from selfsup.tasks.image_classification.data import (
    SMALLEST_SIDE,
    DecodedImages,
    LabelledImages,
    threads,
)

# The smallest share of an image in a training crop. Unlike in pre-training, the crop must show
# what the label names.
_SMALLEST_AREA = 0.5
# How much larger than a crop the images are that crops are taken from.
_CROP_MARGIN = 1.25
_READ_AT_ONCE = 256


@dataclass(frozen=True)
class LabelledImageBatch:
    """B images with their labels. Their pixels are read when the encoder needs them.

    With the features of a frozen encoder they are never read.

    Attributes:
        read: reads the pixels, uint8 [B, S, S, 3].
        labels: int64 [B], -100 where unknown.
        preparation: how pixels become patches.
        device: of the labels and the patches.
    """

    read: Callable[[], np.ndarray]
    labels: Tensor
    preparation: ImagePreparation
    device: torch.device

    @property
    def token_count(self) -> int:
        """All patches, and one image token for each image."""
        return len(self.labels) * (1 + self.preparation.patch_count)

    def patches(self) -> Tensor:
        """The patches of all images, float32 [B, patches, P]."""
        return self.preparation.patches(self.read(), self.device)

    def to(self, device: torch.device) -> "LabelledImageBatch":
        """The same batch on a device."""
        return replace(self, labels=self.labels.to(device), device=device)


@dataclass(frozen=True)
class EncodedImages:
    """N images with the numbers of their labels.

    Attributes:
        images: the files.
        labels: int64 [N], -100 where unknown.
        preparation: how pixels become patches.
        notes: empty; the notes are those of the files.
    """

    images: LabelledImages
    labels: np.ndarray
    preparation: ImagePreparation
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def units(self) -> "ImageUnits":
        """What training uses: a random crop of each image, which changes with the epoch."""
        return ImageUnits(self)

    @property
    def windows(self) -> "ImageWindows":
        """What scoring uses: each image as a whole."""
        return ImageWindows(self)

    def batch(self, indices: np.ndarray, read: Callable[[], np.ndarray]) -> LabelledImageBatch:
        """A batch of the images at ``indices``, int64 [B]; ``read`` returns their pixels."""
        labels = torch.from_numpy(self.labels[indices])
        return LabelledImageBatch(read, labels, self.preparation, torch.device("cpu"))

    @cached_property
    def squares(self) -> DecodedImages:
        """Each image as a whole, scaled to the model's size."""
        # Images with labels are scored after every epoch.
        keep = self.images.labels is not None
        form = ResizeSquare(self.preparation.image_size)
        return DecodedImages(self.images.files, form, smallest=SMALLEST_SIDE, keep=keep)

    @cached_property
    def to_crop(self) -> DecodedImages:
        """Each image in its own proportions, to take crops from."""
        form = ResizeShorterSide(round(_CROP_MARGIN * self.preparation.image_size))
        return DecodedImages(self.images.files, form, smallest=SMALLEST_SIDE, keep=True)


def small_squares(encoded: EncodedImages, side: int) -> np.ndarray:
    """The whole images, scaled to ``side`` pixels, float32 [N, 3 · side²] from 0 to 1."""
    files = encoded.images.files
    images = DecodedImages(files, ResizeSquare(side), smallest=SMALLEST_SIDE, keep=False)
    pixels = np.empty((len(files), 3 * side * side), np.float32)
    for first in range(0, len(files), _READ_AT_ONCE):
        indices = np.arange(first, min(first + _READ_AT_ONCE, len(files)))
        pixels[indices] = np.stack(images.several(indices)).reshape(len(indices), -1) / 255
    return pixels


@dataclass(frozen=True)
class ImageWindows:
    """The whole images, to be scored; each has one row of scores."""

    encoded: EncodedImages

    def __len__(self) -> int:
        return len(self.encoded)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each, int64 [N]; all have the same number."""
        return np.full(len(self), 1 + self.encoded.preparation.patch_count)

    @property
    def row_counts(self) -> np.ndarray:
        """One each, int64 [N]."""
        return np.ones(len(self), np.int64)

    def windows_of(self, indices: np.ndarray) -> np.ndarray:
        """``indices`` themselves."""
        return indices

    def batch(self, indices: np.ndarray) -> LabelledImageBatch:
        """The images at ``indices``, int64 [B], in that order."""
        squares = self.encoded.squares
        return self.encoded.batch(indices, lambda: np.stack(squares.several(indices)))


@dataclass(frozen=True)
class ImageUnits(ImageWindows):
    """The images to train on: a random crop of each, mirrored or not.

    Attributes:
        encoded: the images.
        keys: the seed and the epoch, which determine the crops.
    """

    keys: tuple[int, int] = (0, 0)

    def for_epoch(self, seed: int, epoch: int) -> "ImageUnits":
        """The same images with the crops of an epoch."""
        return replace(self, keys=(seed, epoch))

    def batch(self, indices: np.ndarray) -> LabelledImageBatch:
        """Crops of the images at ``indices``, int64 [B], in that order."""
        images, preparation = self.encoded.to_crop, self.encoded.preparation

        def read() -> np.ndarray:
            images.several(indices)  # decodes the new ones in threads
            return random_crops(
                images, indices, *self.keys,
                side=preparation.image_size, smallest_area=_SMALLEST_AREA,
                mirror=preparation.mirror, threads=threads(),
            )  # fmt: skip

        return self.encoded.batch(indices, read)
