"""Write decoded images to shards of a given size, without duplicates."""

import hashlib
import struct
from pathlib import Path

import numpy as np

from selfsup.images.image_progress import ImageProgress
from selfsup.images.image_shards import digests_of, write_image_shard


class ImageWriter:
    """Takes images in order; after each finished shard it saves the progress."""

    def __init__(
        self, folder: Path, progress: ImageProgress, *, shard_bytes: int, drop_duplicates: bool
    ) -> None:
        """Args:
        folder: where the shards lie.
        progress: where to go on from; its shards and duplicates are kept up to date.
        shard_bytes: a shard ends with the image that brings it to so many bytes of pixels.
        drop_duplicates: leave out what was written before.
        """
        self._folder = folder
        self._progress = progress
        self._shard_bytes = shard_bytes
        self._drop_duplicates = drop_duplicates
        self._seen: set[int] = set()
        for entry in progress.shards:
            self._seen.update(digests_of(folder, entry).tolist())
        self._clear()

    def add(self, name: str, pixels: np.ndarray, digest: int) -> None:
        """Append one image.

        Args:
            name: of the file it was read from.
            pixels: uint8 [H, W, 3].
            digest: what ``digest_of`` says of it.

        Raises:
            UserError: the disk is full; finished shards stay.
        """
        if self._drop_duplicates and digest in self._seen:
            self._progress.duplicate_images += 1
            return
        self._seen.add(digest)
        self._images.append(pixels)
        self._digests.append(digest)
        self._names.append(name)
        self._size += pixels.size
        if self._size >= self._shard_bytes:
            self.finish()

    def finish(self) -> None:
        """Write the last shard."""
        if self._images:
            path = self._folder / f"shard-{len(self._progress.shards):05d}.safetensors"
            entry = write_image_shard(path, self._images, self._digests, self._names)
            self._progress.shards.append(entry)
            self._progress.save(self._folder)
            self._clear()

    def _clear(self) -> None:
        self._images: list[np.ndarray] = []
        self._digests: list[int] = []
        self._names: list[str] = []
        self._size = 0


def digest_of(pixels: np.ndarray) -> int:
    """A hash of 64 bits of an image's size and pixels, uint8 [H, W, 3]."""
    digest = hashlib.blake2b(struct.pack("<2Q", *pixels.shape[:2]), digest_size=8)
    digest.update(np.ascontiguousarray(pixels).data)
    return int.from_bytes(digest.digest(), "little")
