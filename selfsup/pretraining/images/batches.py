"""Batches of images, to train on and to measure with, and what an objective is to them."""

import os
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from selfsup.counter_random import permutation
from selfsup.encoder.config import VitConfig
from selfsup.encoder.vit import VitEncoder
from selfsup.errors import UserError
from selfsup.images.pixels import StoredImages, random_crops, whole_images
from selfsup.settings.objectives import IMAGE_MEASUREMENTS

SMALLEST_AREA = 0.2  # of an image that a crop shows; MAE, appendix A.1
# Of the masked patches, in training (Fu et al. 2024, §3.3): a step costs less, and in the same time
# the loss is no worse (docs/log.md).
PREDICTED_SHARE = 1 / 3
_ORDER = 0x494D4F52444552
_HELD_OUT_SEED, _HELD_OUT_BATCH_SIZE = 0x4556414C, 64
_MOST_HELD_OUT = 1000
_HELD_OUT_STREAM = 0x48454C44  # the choice of held-out images depends on no run's seed

Crop = Callable[[int], np.ndarray]  # the side S in pixels → all images of a batch [B, S, S, 3]


class Puzzle(ABC):
    """The images of a batch as one objective takes them apart: a dataclass of tensors."""

    @property
    @abstractmethod
    def tokens_per_image(self) -> int:
        """How many patches or tiles of each image the encoder reads."""

    @property
    @abstractmethod
    def predictions(self) -> int:
        """How many patches or tiles of the whole batch are predicted."""

    def to(self, device: torch.device) -> Self:
        """The same tensors on a device."""
        tensors = {name: tensor.to(device) for name, tensor in vars(self).items()}
        return type(self)(**tensors)


class ImageObjective(nn.Module, ABC):
    """Something that an encoder of images can learn without labels: the head that solves a puzzle.

    It is made for an encoder's ``VitConfig``. A model folder holds its weights under ``name.…``.

    Attributes:
        name: its name on the command line; ``selfsup.settings.objectives`` lists it.
    """

    name: ClassVar[str]

    @staticmethod
    @abstractmethod
    def puzzle(
        crop: Crop, examples: np.ndarray, data: "ImageData", share: float, seed: int, epoch: int
    ) -> Puzzle:
        """Take the images of a batch apart.

        Args:
            crop: given a side S in pixels, all images as uint8 [B, S, S, 3].
            examples: int64 [B], the numbers of the images.
            data: has the sizes of images and patches, and the ratio to mask.
            share: of the masked patches, those that inpainting predicts.
            seed, epoch: with an image's number they say which patches.
        """

    @abstractmethod
    def loss(self, encoder: VitEncoder, puzzle: Any) -> tuple[Tensor, Tensor, int]:
        """Mean loss, number of right answers (int64 scalar), number of predictions."""

    @abstractmethod
    def measure(self, encoder: VitEncoder, puzzle: Any) -> dict[str, float | Tensor]:
        """The objective's measurements, by their keys, each the mean over the batch."""

    @abstractmethod
    def forward_flops(self, puzzle: Any) -> float:
        """Floating-point operations of the head's matrix products on one image."""


@dataclass(frozen=True)
class ImageBatch:
    """Some images, taken apart for each objective.

    Attributes:
        image_count: how many there are.
        puzzles: by objective.
    """

    image_count: int
    puzzles: Mapping[str, Puzzle]

    @property
    def token_count(self) -> int:
        """Patches and tiles that the encoder reads."""
        return self.image_count * sum(each.tokens_per_image for each in self.puzzles.values())

    @property
    def predictions(self) -> dict[str, int]:
        """How many predictions each objective makes: of patches, of tiles."""
        return {name: puzzle.predictions for name, puzzle in self.puzzles.items()}

    def to(self, device: torch.device) -> "ImageBatch":
        """The same batch on a device."""
        if device.type == "cpu":
            return self
        return ImageBatch(
            self.image_count, {name: puzzle.to(device) for name, puzzle in self.puzzles.items()}
        )


@dataclass(frozen=True)
class ImageData:
    """Images, and how they become batches.

    Attributes:
        images: by number, uint8 [H, W, 3] of any size.
        numbers: int64, those to use.
        objectives: what is learned.
        config: sizes of the encoder's images and patches.
        mask_ratio: the share of patches that inpainting masks.
    """

    images: StoredImages
    numbers: np.ndarray
    objectives: Sequence[type[ImageObjective]]
    config: VitConfig
    mask_ratio: float

    def batch(
        self, crop: Crop, examples: np.ndarray, share: float, seed: int, epoch: int
    ) -> ImageBatch:
        """Take images apart for each objective; see ``ImageObjective.puzzle``."""
        puzzles = {
            each.name: each.puzzle(crop, examples, self, share, seed, epoch)
            for each in self.objectives
        }
        return ImageBatch(len(examples), puzzles)


class ImageBatches:
    """The training batches, each a function of (seed, step).

    Each epoch has an order of its own and as many full batches as the images fill; the images left
    over are skipped, different ones in each epoch. While a batch is used, a thread builds the next.

    Attributes:
        epoch: the epoch of the step last asked for, -1 before the first.
        end_step: the first step after that epoch.
    """

    def __init__(
        self,
        data: ImageData,
        batch_size: int,
        seed: int,
        *,
        predicted_share: float = PREDICTED_SHARE,
        mirror: bool = True,
        threads: int | None = None,
    ) -> None:
        """Batches of some images; if there are fewer than ``batch_size``, all are one batch.

        Args:
            data: the images to train on.
            batch_size: images in a batch.
            seed: of the order, the crops and the puzzles.
            predicted_share: the share of the masked patches that inpainting predicts in a step.
            mirror: whether half of the crops are mirrored.
            threads: how many threads scale images; half as many as there are cores if None.
        """
        self._data, self._batch_size, self._seed = data, batch_size, seed
        self._predicted_share, self._mirror = predicted_share, mirror
        self._steps_of_epoch = max(1, len(data.numbers) // batch_size)
        self._order = (-1, data.numbers)  # an epoch and its order of the images' numbers
        threads = threads or max(1, (os.cpu_count() or 1) // 2)
        self._scalers = ThreadPoolExecutor(threads, "scaling") if threads > 1 else None
        self._builder = ThreadPoolExecutor(1, "batches")
        self._ahead: tuple[int, Future[ImageBatch]] | None = None
        self.epoch = -1
        self.end_step = 0

    def __getitem__(self, step: int) -> ImageBatch:
        """The batch of a step, counted from 0."""
        if self._ahead is not None and self._ahead[0] == step:
            batch = self._ahead[1].result()
        else:
            batch = self._build(step)
        self._ahead = (step + 1, self._builder.submit(self._build, step + 1))
        self.epoch = step // self._steps_of_epoch
        self.end_step = (self.epoch + 1) * self._steps_of_epoch
        return batch

    def _build(self, step: int) -> ImageBatch:
        epoch, index = divmod(step, self._steps_of_epoch)
        first = index * self._batch_size
        examples = self._order_of(epoch)[first : first + self._batch_size]

        def crop(side: int) -> np.ndarray:
            return random_crops(
                self._data.images,
                examples,
                self._seed,
                epoch,
                side=side,
                smallest_area=SMALLEST_AREA,
                mirror=self._mirror,
                threads=self._scalers,
            )

        return self._data.batch(crop, examples, self._predicted_share, self._seed, epoch)

    def _order_of(self, epoch: int) -> np.ndarray:
        # Read and replaced as one value, since two threads may be here at once.
        known, order = self._order
        if known != epoch:
            numbers = self._data.numbers
            order = numbers[permutation(len(numbers), self._seed, epoch, _ORDER)]
            self._order = (epoch, order)
        return order


def split_held_out_images(count: int, fraction: float) -> tuple[np.ndarray, np.ndarray]:
    """Divide images into those to train on and those held out, int64 numbers of each.

    Each part has at least one image, and at most 1,000 are held out. The choice depends on nothing
    but the count.

    Raises:
        UserError: there are fewer than two images.
    """
    if count < 2:
        raise UserError(
            f"there {'is one image' if count else 'is no image'}, and pre-training needs two: one "
            "to train on and one to measure with; give more images"
        )
    order = permutation(count, _HELD_OUT_STREAM)
    held_out = min(max(1, round(count * fraction)), _MOST_HELD_OUT, count - 1)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


class HeldOutImages:
    """Held-out images, whole, with fixed patches masked and fixed tiles; measured in float32."""

    def __init__(self, data: ImageData) -> None:
        self._data = data
        self._order = data.numbers[permutation(len(data.numbers), _HELD_OUT_SEED)]

    def __len__(self) -> int:
        """How many images there are."""
        return len(self._order)

    def batch(self, begin: int, count: int) -> ImageBatch:
        """Some of the images, in an order that does not depend on their names."""
        examples = self._order[begin : begin + count]
        return self._data.batch(
            lambda side: whole_images(self._data.images, examples, side=side),
            examples,
            1.0,
            _HELD_OUT_SEED,
            0,
        )

    def measure(
        self, model: Any, device: torch.device, most_images: int | None = None
    ) -> dict[str, float | None]:
        """Measure on all images, or on the first ``most_images``.

        Args:
            model: an ``ImagePretrainingModel``.

        Returns:
            what each head's ``measure`` gives, means over the images; None for what the model
            does not learn.
        """
        count = len(self._order) if most_images is None else min(most_images, len(self._order))
        was_training = model.training
        model.eval()
        sums: dict[str, float] = defaultdict(float)
        with torch.inference_mode():
            for begin in range(0, count, _HELD_OUT_BATCH_SIZE):
                batch = self.batch(begin, min(_HELD_OUT_BATCH_SIZE, count - begin)).to(device)
                for name, mean in model.measure(batch).items():
                    sums[name] += float(mean) * batch.image_count
        model.train(was_training)
        means = {name: total / count for name, total in sums.items()}
        return {number.key: means.get(number.key) for number in IMAGE_MEASUREMENTS}
