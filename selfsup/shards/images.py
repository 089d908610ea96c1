"""Image shards: raw pixels.

Letters in shapes: ``n`` images of a shard, ``H`` height, ``W`` width, in pixels.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Any, TypedDict

import numpy as np
from msgspec import Meta

from selfsup.shards.arrays import ShardEntry, StoredArray, write_safetensors
from selfsup.shards.folder import (
    ContradictionError,
    ResumeState,
    ShardFormat,
    check_count,
    check_offsets,
    open_folder,
)
from selfsup.structured_files import Count


class ImageShardEntry(ShardEntry):
    """What a manifest says of an image shard."""

    images: Count


class ImageManifest(TypedDict):
    """The counts in a manifest of images."""

    shards: Annotated[list[ImageShardEntry], Meta(min_length=1)]
    images: Count
    bad_images: Count
    duplicate_images: Count


IMAGE_SHARDS = ShardFormat(
    name="selfsup-images",
    manifest=ImageManifest,
    arrays={
        "pixels": (np.dtype("u1"),),
        "offsets": (np.dtype("<i8"),),
        "sizes": (np.dtype("<i8"),),
    },
    units=("images",),
    content="images",
    inputs="files",
    made="images read",
    remake="read the images",
    remaking="reading the images",
    repair="delete {folder} and read the images again",
    no_folder="no such folder: check the path",
    interrupted="reading was interrupted: run the same command again to finish it",
    no_manifest="holds no images as pixels (no manifest.json): name another folder",
)

_LARGEST_SIDE = 1 << 24  # pixels
# No file name holds this character.
_BETWEEN_NAMES = "\0"


@dataclass(frozen=True)
class ImageShard:
    """One shard; image ``i`` is ``pixels[offsets[i]:offsets[i + 1]].reshape(*sizes[i], 3)``.

    The file also holds the images' names and digests.

    Attributes:
        pixels: uint8, RGB, the images one after another, row by row; parts of it are read when they
            are asked for.
        offsets: int64 [n + 1], positions in ``pixels``.
        sizes: int64 [n, 2], heights and widths.
    """

    pixels: StoredArray
    offsets: np.ndarray
    sizes: np.ndarray

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, number: int) -> np.ndarray:
        """One image, uint8 [H, W, 3]."""
        start, end = self.offsets[number], self.offsets[number + 1]
        return self.pixels[start:end].reshape(*self.sizes[number], 3)


@dataclass(frozen=True)
class ImageShards:
    """An opened folder of images: a sequence of them."""

    folder: Path
    manifest: dict[str, Any]
    shards: tuple[ImageShard, ...]

    @staticmethod
    def read(folder: str | Path, *, verify: bool = False) -> "ImageShards":
        """Open a folder that ``prepare_images`` wrote; the offsets and sizes are read and checked.

        Args:
            folder: the folder.
            verify: compare checksums, which reads all files.

        Raises:
            UserError: the folder is missing, unfinished or of another format version, or a shard
                is missing, cut short or damaged.
        """
        manifest, shards = open_folder(Path(folder), IMAGE_SHARDS, _open_shard, verify=verify)
        return ImageShards(Path(folder), manifest, tuple(shards))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, number: int) -> np.ndarray:
        """One image, uint8 [H, W, 3], read from the file; read-only.

        Raises:
            IndexError: there is no image of this number; negative numbers are not allowed.
            UserError: the file has become too short.
        """
        if not 0 <= number < len(self):
            raise IndexError(f"image {number} of {len(self)}")
        index = bisect_right(self._ends, number)
        return self.shards[index][number - (self._ends[index - 1] if index else 0)]

    @cached_property
    def sizes(self) -> np.ndarray:
        """Heights and widths, int64 [images, 2]."""
        return np.concatenate([shard.sizes for shard in self.shards])

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(map(len, self.shards)))


def _open_shard(
    arrays: dict[str, StoredArray], entry: dict[str, Any], manifest: dict[str, Any]
) -> ImageShard:
    pixels, offsets, sizes = arrays["pixels"], arrays["offsets"][:], arrays["sizes"][:]
    if len(sizes) != 2 * (len(offsets) - 1):
        raise ContradictionError(f"{len(offsets)} offsets and {len(sizes)} sizes")
    check_offsets("offsets", offsets, len(pixels))
    sizes = sizes.reshape(-1, 2)
    # So bounded, their product cannot overflow.
    if sizes.min() < 1 or sizes.max() > _LARGEST_SIDE:
        raise ContradictionError(f"sides from {sizes.min()} to {sizes.max()} pixels")
    if (3 * sizes.prod(axis=1) != np.diff(offsets)).any():
        raise ContradictionError("sizes and offsets of images")
    check_count("images", entry, len(sizes))
    return ImageShard(pixels, offsets, sizes)


@dataclass
class ImageResumeState(ResumeState):
    """How many files are read, and what became of them.

    Attributes:
        files_read: the number of the file to resume with.
        bad_images: files that could not be read.
        duplicate_images: files dropped because an earlier one held the same pixels.
        first_bad: the first problem, in words; empty if there is none.
    """

    shards: list[ImageShardEntry] = field(default_factory=list)
    files_read: Count = 0
    bad_images: Count = 0
    duplicate_images: Count = 0
    first_bad: str = ""

    @property
    def done(self) -> str:
        return f"{self.files_read} files"

    @property
    def problem_count(self) -> int:
        return self.bad_images


def write_image_shard(
    path: Path, images: Sequence[np.ndarray], digests: Sequence[int], names: Sequence[str]
) -> ImageShardEntry:
    """Write one shard and return the manifest's entry: file, bytes, sha256, images.

    Args:
        path: its file.
        images: uint8 [H, W, 3] each.
        digests: 64-bit hashes of the images.
        names: the files they were read from.

    Raises:
        UserError: the disk is full; nothing of the shard is left behind.
    """
    offsets = np.array([0, *accumulate(image.size for image in images)], "<i8")
    text = _BETWEEN_NAMES.join(names).encode("utf-8", "surrogateescape")
    arrays = {
        "offsets": offsets,
        "sizes": np.array([image.shape[:2] for image in images], "<i8").reshape(-1),
        "digests": np.array(digests, "<u8"),
        "names": np.frombuffer(text, np.uint8),
    }
    pixels = (np.ascontiguousarray(image).tobytes() for image in images)
    last = ("pixels", np.dtype(np.uint8), int(offsets[-1]))
    return {**write_safetensors(path, arrays, last, pixels), "images": len(images)}
