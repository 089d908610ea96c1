"""Image files, decoded in several threads and kept, so that each is decoded once."""

import hashlib
import os
import tempfile
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from selfsup.corpus.readers.documents import BadRecordCounter
from selfsup.errors import UserError
from selfsup.images.decoding import BadImage, Resize, ResizeShorterSide, decode
from selfsup.images.files import check_name, find_images, find_labelled_images

_MOST_THREADS = 16


class DecodedImages:
    """The pixels of image files by number, decoded when they are first asked for.

    They are kept in a temporary file, not in memory: it has no name and goes with this object.
    """

    def __init__(self, files: Sequence[Path], form: Resize, *, smallest: int, keep: bool) -> None:
        """Nothing is decoded yet.

        Args:
            files: the images.
            form: the size they are brought to.
            smallest: as for ``decode``.
            keep: whether they will be asked for more than once.
        """
        self._files, self._form, self._smallest = files, form, smallest
        self._kept: dict[int, tuple[int, tuple[int, ...]]] = {}  # where each begins, its shape
        self._end = 0
        self._lock = threading.Lock()
        self._kept_in = self._nameless_file() if keep else None  # a file descriptor

    def __getitem__(self, number: int) -> np.ndarray:
        """One image, uint8 [H, W, 3].

        Raises:
            UserError: it can no longer be read, or the disk of temporary files is full.
        """
        if number not in self._kept:
            return self._decoded(number)
        assert self._kept_in is not None
        start, shape = self._kept[number]
        pixels = os.pread(self._kept_in, int(np.prod(shape)), start)
        return np.frombuffer(pixels, np.uint8).reshape(shape)

    def several(self, numbers: np.ndarray) -> list[np.ndarray]:
        """Those at ``numbers``, int64 [B], as ``[]`` gives each."""
        return list(threads().map(self.__getitem__, numbers.tolist()))

    def _decoded(self, number: int) -> np.ndarray:
        try:
            pixels = decode(self._files[number], self._form, smallest=self._smallest)
        except BadImage as error:
            raise UserError(
                f"{self._files[number]}: {error}: mend the image or take it away"
            ) from None
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

    def _nameless_file(self) -> int:
        file, name = tempfile.mkstemp(prefix="selfsup-images-")
        Path(name).unlink()
        weakref.finalize(self, os.close, file)
        return file


@cache
def threads() -> ThreadPoolExecutor:
    """What images are decoded and scaled in: Pillow keeps no other thread waiting."""
    return ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1), "images")


# Images from a folder, with the classes that its folders stand for.


# The fewest pixels that a side of an image may have.
SMALLEST_SIDE = 8
# To see whether an image can be decoded; small, so that a JPEG is decoded at an eighth of its size.
_GLANCE = ResizeShorterSide(SMALLEST_SIDE)


@dataclass(frozen=True)
class LabelledImages:
    """N images.

    Attributes:
        source: the folder, or the file.
        files: the images.
        digests: of what each file holds: equal only in copies of the same file.
        labels: the class of each, or None where only images were read.
        notes: what the user should know of how they were read, a sentence each.
    """

    source: str
    files: list[Path]
    digests: list[bytes]
    labels: list[str] | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.files)

    def without_empty(self) -> "LabelledImages":
        """The images themselves: what holds nothing was left out when they were read."""
        return self


def read_images(path: str, *, labelled: bool, max_bad_fraction: float) -> LabelledImages:
    """Find the images of a folder, and see whether they can be decoded.

    Those that cannot are left out, and a note says how many they are.

    Args:
        path: with one folder in it for each class if ``labelled``; else of any form, or a file.
        labelled: whether the classes are wanted.
        max_bad_fraction: the part of them that may be left out.

    Raises:
        UserError: there are no images, too many or all of them cannot be decoded, or they are not
            in folders.
    """
    labels = None
    if labelled:
        files, labels = find_labelled_images(path)
    else:
        files = find_images(path)
        for file in files:
            check_name(file)
    return _readable(LabelledImages(path, files, [], labels), max_bad_fraction)


def given_images(paths: Sequence[str]) -> LabelledImages:
    """Images without labels, of which each must be one that can be decoded.

    Raises:
        UserError: one of them is not.
    """
    files = [file for path in paths for file in [Path(path)]]
    for file in files:
        if file.is_dir():
            raise UserError(f"{file}: a folder: give it with --data, or name one image")
        if not file.is_file():
            raise UserError(f"{file}: no such file: this model takes an image")
    images = _readable(LabelledImages(", ".join(paths), files, []), max_bad_fraction=1)
    if images.notes:
        raise UserError(images.notes[0])
    return images


def _readable(images: LabelledImages, max_bad_fraction: float) -> LabelledImages:
    """With the digests, and without those that cannot be decoded."""
    glances = list(threads().map(_glance, images.files))
    bad = [place for place, seen in enumerate(glances) if isinstance(seen, str)]
    kept = [place for place, seen in enumerate(glances) if isinstance(seen, bytes)]
    found = replace(images, digests=[seen for seen in glances if isinstance(seen, bytes)])
    if not bad:
        return found
    first = f"{images.files[bad[0]]}: {glances[bad[0]]}"
    if len(images) == 1:
        raise UserError(first)
    if not kept:
        raise UserError(f"{images.source}: none of its images can be read (the first is {first})")
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
        files=[images.files[place] for place in kept],
        labels=None if images.labels is None else [images.labels[place] for place in kept],
        notes=(note,),
    )


def _glance(file: Path) -> bytes | str:
    """A digest of the file, or why it is no image that can be used."""
    try:
        decode(file, _GLANCE, smallest=SMALLEST_SIDE)
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "blake2b").digest()
    except BadImage as error:
        return str(error)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
