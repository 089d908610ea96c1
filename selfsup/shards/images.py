"""Images as raw pixels in shards on disk, memory-mapped.

A folder of them holds ``manifest.json``, ``shard-00000.safetensors`` … and, where some images could
not be read, ``problems.jsonl``.

Letters in shapes: ``n`` images of a shard, ``H`` height, ``W`` width, in pixels.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from selfsup.atomic_files import replacing
from selfsup.errors import UserError
from selfsup.shards.folder import damage_of, map_safetensors, read_manifest_of, safetensors_header

FORMAT = "selfsup-images"
FORMAT_VERSION = 1
PROGRESS_FILE = "progress.json"

# No file name holds this character.
_BETWEEN_NAMES = "\0"


@dataclass(frozen=True)
class ImageShard:
    """One shard; image ``i`` is ``pixels[offsets[i]:offsets[i + 1]].reshape(*sizes[i], 3)``.

    Attributes:
        pixels: uint8, RGB, the images one after another, row by row; memory-mapped, read-only.
        offsets: int64 [n + 1], positions in ``pixels``.
        sizes: int64 [n, 2], heights and widths.
        digests: uint64 [n], a hash of each image's size and pixels.
        names: the files they were read from, relative to the folder that was read.
    """

    pixels: np.ndarray
    offsets: np.ndarray
    sizes: np.ndarray
    digests: np.ndarray
    names: list[str]

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, number: int) -> np.ndarray:
        """One image, uint8 [H, W, 3]."""
        start, end = self.offsets[number], self.offsets[number + 1]
        return self.pixels[start:end].reshape(*self.sizes[number], 3)


@dataclass(frozen=True)
class ImageShards:
    """An opened folder of images; ``images[number]`` is one of them, and ``len`` says how many.

    Attributes:
        folder: where they lie.
        manifest: what ``manifest.json`` holds.
        shards: in order.
    """

    folder: Path
    manifest: dict[str, Any]
    shards: tuple[ImageShard, ...]

    @staticmethod
    def read(folder: str | Path, *, verify: bool = False) -> "ImageShards":
        """Open a folder of images without reading their pixels.

        Args:
            folder: what ``prepare_images`` wrote.
            verify: also compare every shard with its checksum, which reads all of it.

        Raises:
            UserError: the folder is missing, unfinished, of another format version, or a shard is
                missing, cut short or (with ``verify``) altered.
        """
        folder = Path(folder)
        manifest = read_image_manifest(folder)
        for entry in manifest["shards"]:
            damage = damage_of(folder, entry, verify=verify)
            if damage:
                raise UserError(f"{damage}: delete {folder} and read the images again")
        shards = tuple(_open(folder / entry["file"]) for entry in manifest["shards"])
        return ImageShards(folder, manifest, shards)

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, number: int) -> np.ndarray:
        """One image, uint8 [H, W, 3], a read-only view of the file.

        Raises:
            IndexError: there is no image of this number; negative ones do not count from the end.
        """
        if not 0 <= number < len(self):
            raise IndexError(f"image {number} of {len(self)}")
        index = bisect_right(self._ends, number)
        return self.shards[index][number - (self._ends[index - 1] if index else 0)]

    @cached_property
    def names(self) -> list[str]:
        """The file that each image was read from, relative to the folder that was read."""
        return [name for shard in self.shards for name in shard.names]

    @cached_property
    def sizes(self) -> np.ndarray:
        """Heights and widths, int64 [images, 2]."""
        return np.concatenate([shard.sizes for shard in self.shards])

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(map(len, self.shards)))


def read_image_manifest(folder: Path) -> dict[str, Any]:
    """Read ``manifest.json`` of a finished folder of images.

    Raises:
        UserError: there is none, it cannot be read, or it is of another format version.
    """
    return read_manifest_of(
        folder,
        FORMAT,
        FORMAT_VERSION,
        what="images",
        again="read the images",
        missing=_why_no_manifest,
    )


def write_image_shard(
    path: Path, images: Sequence[np.ndarray], digests: Sequence[int], names: Sequence[str]
) -> dict[str, Any]:
    """Write one shard.

    Args:
        path: its file.
        images: uint8 [H, W, 3] each.
        digests: of the images, 64 bits each.
        names: the files they were read from.

    Returns:
        The manifest's entry: file, bytes, sha256, images.

    Raises:
        UserError: the disk is full; nothing of the shard is left behind.
    """
    sizes = np.array([image.shape[:2] for image in images], "<i8").reshape(-1)
    offsets = np.array([0, *accumulate(image.size for image in images)], "<i8")
    text = _BETWEEN_NAMES.join(names).encode("utf-8", "surrogateescape")
    arrays = {
        "offsets": offsets,
        "sizes": sizes,
        "digests": np.array(digests, "<u8"),
        "names": np.frombuffer(text, np.uint8),
    }
    header = safetensors_header(
        {
            **{name: (array.dtype, len(array)) for name, array in arrays.items()},
            "pixels": (np.dtype(np.uint8), int(offsets[-1])),
        }
    )
    checksum = hashlib.sha256()
    size = 0
    with replacing(path) as file:
        for part in (header, *arrays.values(), *images):
            data = part if isinstance(part, bytes) else np.ascontiguousarray(part).tobytes()
            checksum.update(data)
            size += len(data)
            file.write(data)
    return {
        "file": path.name,
        "bytes": size,
        "sha256": checksum.hexdigest(),
        "images": len(images),
    }


def digests_of(folder: Path, entry: dict[str, Any]) -> np.ndarray:
    """The digests, uint64 [n], in the shard that a manifest's entry names."""
    return _open(folder / entry["file"]).digests


def _open(path: Path) -> ImageShard:
    arrays = map_safetensors(path)
    names = arrays["names"].tobytes().decode("utf-8", "surrogateescape")
    return ImageShard(
        arrays["pixels"],
        arrays["offsets"],
        arrays["sizes"].reshape(-1, 2),
        arrays["digests"],
        names.split(_BETWEEN_NAMES),
    )


def _why_no_manifest(folder: Path) -> str:
    if not folder.exists():
        return f"{folder}: no such folder: check the path"
    if (folder / PROGRESS_FILE).exists():
        return f"{folder}: reading was interrupted: run the same command again to finish it"
    return f"{folder}: holds no images as pixels (no manifest.json): name another folder"
