"""Labelled images as a model takes them, whole or as random crops, and batches of them.

Shapes: N images in all, B of them in a batch, S side of an image, P numbers in a patch.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from selfsup.encoder.huggingface.image_processor import ImagePreparation
from selfsup.images.crops import random_crops
from selfsup.images.decoding import ResizeShorterSide, ResizeSquare
from selfsup.tasks.image_classification.data import (
    SMALLEST_SIDE,
    DecodedImages,
    LabelledImages,
    threads,
)

# The share of an image that a crop to learn from has at the least: what the image shows must
# be in it, unlike in pre-training.
_SMALLEST_AREA = 0.5
# Images to cut crops from are a little larger than a crop.
_ROOM = 1.25


@dataclass(frozen=True)
class LabelledImageBatch:
    """B images with what they teach. Their pixels are read when they are asked for.

    Over the features of a frozen encoder they never are.

    Attributes:
        read: reads the pixels, uint8 [B, S, S, 3].
        labels: int64 [B], -100 where unknown.
        preparation: how pixels become patches.
        device: where the labels are and the patches will be.
    """

    read: Callable[[], np.ndarray]
    labels: Tensor
    preparation: ImagePreparation
    device: torch.device

    @property
    def token_count(self) -> int:
        """Patches, and an image token for each image."""
        return len(self.labels) * (1 + self.preparation.patch_count)

    def patches(self) -> Tensor:
        """The images as the encoder takes them, float32 [B, patches, P]."""
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
        notes: nothing that is not said of the files themselves.
    """

    images: LabelledImages
    labels: np.ndarray
    preparation: ImagePreparation
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """N."""
        return len(self.labels)

    @property
    def units(self) -> "ImageUnits":
        """What to learn from: a crop of each image, another one in each epoch."""
        return ImageUnits(self)

    @property
    def windows(self) -> "ImageWindows":
        """What to score: each image as a whole."""
        return ImageWindows(self)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each image, int64 [N]: all have the same."""
        return np.full(len(self), 1 + self.preparation.patch_count)

    def batch(self, places: np.ndarray, read: Callable[[], np.ndarray]) -> LabelledImageBatch:
        """A batch of the images at ``places``, int64 [B], whose pixels ``read`` gives."""
        labels = torch.from_numpy(self.labels[places])
        return LabelledImageBatch(read, labels, self.preparation, torch.device("cpu"))

    @cached_property
    def squares(self) -> DecodedImages:
        """Each image as a whole, brought to the model's size."""
        # Images with labels are scored again after every epoch.
        keep = self.images.labels is not None
        form = ResizeSquare(self.preparation.image_size)
        return DecodedImages(self.images.files, form, smallest=SMALLEST_SIDE, keep=keep)

    @cached_property
    def to_crop(self) -> DecodedImages:
        """Each image in its proportions, to cut crops from."""
        form = ResizeShorterSide(round(_ROOM * self.preparation.image_size))
        return DecodedImages(self.images.files, form, smallest=SMALLEST_SIDE, keep=True)


@dataclass(frozen=True)
class ImageWindows:
    """The images as wholes, to be scored; a row of scores each."""

    encoded: EncodedImages

    def __len__(self) -> int:
        """N."""
        return len(self.encoded)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each, int64 [N]."""
        return self.encoded.lengths

    @property
    def row_counts(self) -> np.ndarray:
        """One each, int64 [N]."""
        return np.ones(len(self), np.int64)

    def windows_of(self, places: np.ndarray) -> np.ndarray:
        """``places`` themselves."""
        return places

    def batch(self, places: np.ndarray) -> LabelledImageBatch:
        """The images at ``places``, int64 [B], in that order."""
        squares = self.encoded.squares
        return self.encoded.batch(places, lambda: np.stack(squares.several(places)))


@dataclass(frozen=True)
class ImageUnits:
    """The images to be learnt from: of each a random crop, mirrored or not.

    Attributes:
        encoded: the images.
        keys: the seed and the epoch, of which the crops are a function.
    """

    encoded: EncodedImages
    keys: tuple[int, int] = (0, 0)

    def __len__(self) -> int:
        """N."""
        return len(self.encoded)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each, int64 [N]."""
        return self.encoded.lengths

    def in_epoch(self, seed: int, epoch: int) -> "ImageUnits":
        """The same images, cropped otherwise."""
        return replace(self, keys=(seed, epoch))

    def windows_of(self, places: np.ndarray) -> np.ndarray:
        """``places`` themselves."""
        return places

    def batch(self, places: np.ndarray) -> LabelledImageBatch:
        """Crops of the images at ``places``, int64 [B], in that order."""
        images, preparation = self.encoded.to_crop, self.encoded.preparation

        def read() -> np.ndarray:
            images.several(places)  # decodes in threads those that are not decoded yet
            return random_crops(
                images, places, *self.keys,
                side=preparation.image_size, smallest_area=_SMALLEST_AREA,
                mirror=preparation.mirror, threads=threads(),
            )  # fmt: skip

        return self.encoded.batch(places, read)
