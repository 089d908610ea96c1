"""Crop training images from stored ones; a crop depends only on the image and the random keys.

Letters in shapes: ``B`` images of a batch, ``S`` side of a square crop.
"""

from collections.abc import Iterable
from concurrent.futures import Executor
from typing import Protocol

import numpy as np
from PIL import Image

from selfsup.counter_random import hash64, uniform

# Width to height of a crop, as in Inception and in MAE (He et al. 2021, §4.1, "RandResizedCrop").
_NARROWEST, _WIDEST = 3 / 4, 4 / 3
_PURPOSE = 0x43524F50  # makes these numbers independent of others of the same seed and epoch
_AREA, _SHAPE, _LEFT, _TOP, _FLIP = range(5)


class StoredImages(Protocol):
    """Images by number, such as ``ImageShards`` or a list of arrays."""

    def __getitem__(self, number: int, /) -> np.ndarray:
        """One image, uint8 [H, W, 3]."""
        ...


def random_crops(
    images: StoredImages,
    examples: np.ndarray,
    *keys: int,
    side: int,
    smallest_area: float = 0.2,
    mirror: bool = True,
    threads: Executor | None = None,
) -> np.ndarray:
    """A random crop of each image, half of them mirrored, scaled to one size.

    The crop's fraction of the image's area is uniform in [``smallest_area``, 1]. Its width is 3/4
    to 4/3 of its height, log-uniform, and clipped to the image.

    Args:
        images: the stored images.
        examples: int64 [B], numbers of images.
        keys: further integers that the crops depend on, such as the seed and the epoch.
        side: S, in pixels.
        smallest_area: between 0 and 1.
        mirror: whether to mirror; false if a mirrored image means something else, as with digits.
        threads: scale images in parallel; the result is the same.

    Returns:
        uint8 [B, S, S, 3].
    """
    stored = [images[number] for number in examples.tolist()]
    sizes = np.array([image.shape[:2] for image in stored], np.int64).reshape(-1, 2)
    boxes, mirrored = crop_boxes(examples, sizes, *keys, smallest_area=smallest_area)
    parts = [
        image[top:bottom, left:right]
        for image, (top, left, bottom, right) in zip(stored, boxes.tolist(), strict=True)
    ]
    crops = _scaled(parts, side, threads)
    if mirror:
        crops[mirrored] = crops[mirrored, :, ::-1]
    return crops


def whole_images(
    images: StoredImages, examples: np.ndarray, *, side: int, threads: Executor | None = None
) -> np.ndarray:
    """Each whole image, squashed to a square; nothing is random.

    Args:
        images: the stored images.
        examples: int64 [B], numbers of images.
        side: S, in pixels.
        threads: as for ``random_crops``.

    Returns:
        uint8 [B, S, S, 3].
    """
    return _scaled((images[number] for number in examples.tolist()), side, threads)


def crop_boxes(
    examples: np.ndarray, sizes: np.ndarray, *keys: int, smallest_area: float
) -> tuple[np.ndarray, np.ndarray]:
    """The boxes that ``random_crops`` crops, and which of them it mirrors.

    Args:
        examples: int64 [B], numbers of images.
        sizes: int64 [B, 2], their heights and widths.
        keys: as for ``random_crops``.
        smallest_area: as for ``random_crops``.

    Returns:
        Boxes, int64 [B, 4] of (top, left, bottom, right), the last two exclusive, and bool [B].
    """
    start = hash64(_PURPOSE, *keys)
    chance = [uniform(examples, purpose, after=start) for purpose in range(_FLIP + 1)]
    area = (smallest_area + (1 - smallest_area) * chance[_AREA]) * sizes.prod(axis=1)
    shape = _NARROWEST * (_WIDEST / _NARROWEST) ** chance[_SHAPE]
    # [B, 2]: height and width
    wanted = np.sqrt(np.stack([area / shape, area * shape], axis=1))
    lengths = np.clip(np.rint(wanted).astype(np.int64), 1, sizes)
    starts = (np.stack([chance[_TOP], chance[_LEFT]], axis=1) * (sizes - lengths + 1)).astype(
        np.int64
    )
    return np.concatenate([starts, starts + lengths], axis=1), chance[_FLIP] < 0.5


def _scaled(parts: Iterable[np.ndarray], side: int, threads: Executor | None) -> np.ndarray:
    def scale(part: np.ndarray) -> np.ndarray:
        if part.shape[:2] == (side, side):
            return part
        return np.asarray(Image.fromarray(part).resize((side, side), Image.Resampling.BILINEAR))

    scaled = list(map(scale, parts) if threads is None else threads.map(scale, parts))
    return np.stack(scaled) if scaled else np.zeros((0, side, side, 3), np.uint8)
