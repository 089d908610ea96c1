"""Labelled images: find them in a folder with one for each class, and decode each only once."""

import hashlib
import os
import tempfile
import threading
import weakref
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from selfsup.corpus.readers.documents import BadRecordCounter
from selfsup.errors import UserError
from selfsup.images.files import check_name, refuse_remote, search_images
from selfsup.images.pixels import BadImage, Resize, ResizeShorterSide, decode
from selfsup.special_files import refuse_special
from selfsup.tasks.labels import composed

_MOST_THREADS = 16


class DecodedImages:
    """The pixels of image files by number, decoded at first use by several threads.

    They are kept in a temporary file, not in memory. The file is deleted with this object.
    """

    def __init__(self, files: Sequence[Path], form: Resize, *, smallest: int, keep: bool) -> None:
        """Decode nothing yet.

        Args:
            files: the images.
            form: the size that they are scaled to.
            smallest: as for ``decode``.
            keep: whether they will be used more than once.
        """
        self._files, self._form, self._smallest = files, form, smallest
        self._kept: dict[int, tuple[int, tuple[int, ...]]] = {}  # offset and shape
        self._end = 0
        self._lock = threading.Lock()
        self._kept_in = self._temporary_file() if keep else None  # a file descriptor

    def __getitem__(self, number: int) -> np.ndarray:
        """One image, uint8 [H, W, 3].

        Raises:
            UserError: it can no longer be read, or the disk for temporary files is full.
        """
        if number not in self._kept:
            return self._decoded(number)
        assert self._kept_in is not None
        start, shape = self._kept[number]
        pixels = os.pread(self._kept_in, int(np.prod(shape)), start)
        return np.frombuffer(pixels, np.uint8).reshape(shape)

    def several(self, numbers: np.ndarray) -> list[np.ndarray]:
        """Several images at once: those at ``numbers``, int64 [B]."""
        return list(threads().map(self.__getitem__, numbers.tolist()))

    def _decoded(self, number: int) -> np.ndarray:
        try:
            pixels = decode(self._files[number], self._form, smallest=self._smallest)
        except BadImage as error:
            raise UserError(f"{self._files[number]}: {error}: fix the image or remove it") from None
        if self._kept_in is not None:
            with self._lock:
                start, self._end = self._end, self._end + pixels.nbytes
            try:
                written = os.pwrite(self._kept_in, pixels.tobytes(), start)
            except OSError:
                written = 0
            if written < pixels.nbytes:
                raise UserError(
                    f"{tempfile.gettempdir()}: too full to keep decoded images in: make room, or "
                    "name another folder with TMPDIR"
                )
            self._kept[number] = start, pixels.shape
        return pixels

    def _temporary_file(self) -> int:
        file, name = tempfile.mkstemp(prefix="selfsup-images-")
        Path(name).unlink()
        weakref.finalize(self, os.close, file)
        return file


@cache
def threads() -> ThreadPoolExecutor:
    """The pool that decodes and scales images: Pillow releases the interpreter lock."""
    return ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1), "images")


# The smallest side of an image, in pixels.
SMALLEST_SIDE = 8
# For a test whether an image can be decoded; so small that a JPEG is decoded at 1/8 of its size.
_TEST_SIZE = ResizeShorterSide(SMALLEST_SIDE)


@dataclass(frozen=True)
class LabelledImages:
    """N images.

    Attributes:
        source: the folder, or the file.
        files: the images.
        digests: of the files' contents; equal only for copies of the same file.
        labels: the class of each, or None where only images were read.
        notes: sentences for the user on how they were read.
    """

    source: str
    files: list[Path]
    digests: list[bytes]
    labels: list[str] | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.files)

    def keys(self) -> list[tuple[str, ...]]:
        """The digest of each image."""
        return [(digest.hex(),) for digest in self.digests]

    def without(self, indices: Collection[int], *notes: str) -> "LabelledImages":
        """The others, with notes on why these are left out."""
        kept = sorted(set(range(len(self))).difference(indices))
        return replace(
            self,
            files=[self.files[index] for index in kept],
            digests=[self.digests[index] for index in kept],
            labels=None if self.labels is None else [self.labels[index] for index in kept],
            notes=(*self.notes, *notes),
        )

    def drop_empty(self) -> "LabelledImages":
        """The images themselves: unreadable ones were left out when the folder was read."""
        return self


def read_images(path: str, *, labelled: bool, max_bad_fraction: float) -> LabelledImages:
    """Find the images of a folder, with one folder for each class if ``labelled``, or one image.

    Those that cannot be decoded are left out, at most ``max_bad_fraction`` of all, with a note.

    Raises:
        UserError: there are no images, they are not in folders, or too many cannot be decoded, or
            all those of a class.
    """
    if labelled and Path(path).is_file():
        raise UserError(f"{path}: a file: name a folder that holds a folder for each class")
    found = search_images(path)
    labels = [composed(label) for label in found.labels()] if labelled else None
    for file in found.files:
        check_name(file)
    images = LabelledImages(path, found.files, [], labels, found.notes())
    return _readable(images, max_bad_fraction)


def images_from_paths(paths: Sequence[str]) -> LabelledImages:
    """Images without labels.

    Raises:
        UserError: one of them cannot be decoded.
    """
    files = [Path(path) for path in paths]
    for path, file in zip(paths, files, strict=True):
        refuse_remote(path)
        if file.is_dir():
            raise UserError(f"{file}: a folder: give it with --data, or name one image")
        refuse_special(file)
        if not file.is_file():
            raise UserError(f"{file}: no such file: this model takes an image")
    results = list(threads().map(_test, files))
    for file, result in zip(files, results, strict=True):
        if isinstance(result, str):
            raise UserError(f"{file}: {result}")
    digests = [result for result in results if isinstance(result, bytes)]
    return LabelledImages(", ".join(paths), files, digests)


def _readable(images: LabelledImages, max_bad_fraction: float) -> LabelledImages:
    """Add the digests, and leave out what cannot be decoded."""
    results = list(threads().map(_test, images.files))
    bad = [index for index, result in enumerate(results) if isinstance(result, str)]
    kept = [index for index, result in enumerate(results) if isinstance(result, bytes)]
    found = replace(images, digests=[result for result in results if isinstance(result, bytes)])
    if not bad:
        return found
    first = f"{images.files[bad[0]]}: {results[bad[0]]}"
    if len(images) == 1:
        raise UserError(first)
    if not kept:
        raise UserError(f"{images.source}: none of its images can be read (the first is {first})")
    labels = images.labels or []
    with_images = {labels[index] for index in kept if labels}
    for index in bad:
        if labels and labels[index] not in with_images:
            raise UserError(
                f"{images.files[index]}: {results[index]} — and so are all images of this class: "
                "replace them, or take the folder away"
            )
    counter = BadRecordCounter(
        max_bad_fraction, records=len(images), bad=len(bad), first_bad=first, what="images"
    )
    counter.check_fraction()
    note = (
        f"{images.source}: {len(bad):,} of {len(images):,} images cannot be read and are left out "
        f"(the first is {first})"
    )
    return replace(
        found,
        files=[images.files[index] for index in kept],
        labels=None if images.labels is None else [images.labels[index] for index in kept],
        notes=(*images.notes, note),
    )


def _test(file: Path) -> bytes | str:
    """The digest of a file, or why it cannot be used as an image."""
    try:
        decode(file, _TEST_SIZE, smallest=SMALLEST_SIDE)
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "blake2b").digest()
    except BadImage as error:
        return str(error)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
