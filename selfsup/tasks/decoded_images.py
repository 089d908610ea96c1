"""Image files, decoded in several threads and kept, so that each is decoded once."""

import os
import tempfile
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np

from selfsup.errors import UserError
from selfsup.images.decoding import BadImage, Form, decode

_MOST_THREADS = 16


class DecodedImages:
    """The pixels of image files by number, decoded when they are first asked for.

    They are kept in a temporary file, not in memory: it has no name and goes with this object.
    """

    def __init__(self, files: Sequence[Path], form: Form, *, smallest: int, keep: bool) -> None:
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
