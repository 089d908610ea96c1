"""Decode image files once, in threads, and write their pixels to shards in the order of the files.

Pillow releases the interpreter lock while it decodes, so threads run in parallel. The result does
not depend on their number.
"""

import contextlib
import hashlib
import json
import struct
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from selfsup.atomic_files import locked
from selfsup.corpus.readers.documents import DEFAULT_MAX_BAD_FRACTION, BadRecord, BadRecordCounter
from selfsup.corpus.workers import default_workers
from selfsup.errors import UserError
from selfsup.images.pixels import BadImage, Resize, ResizeShorterSide, ResizeSquare, decode
from selfsup.progress import ProgressDisplay, seconds_left
from selfsup.shards.arrays import open_safetensors
from selfsup.shards.folder import (
    begin_or_resume,
    finish,
    finished_manifest,
    remove_traces,
    report_problem,
    saying_how_to_resume,
)
from selfsup.shards.images import IMAGE_SHARDS, ImageResumeState, write_image_shard

# Images decoded ahead for each thread, so that no thread waits for another's large image.
_IMAGES_AHEAD = 4
# What manifests call the ways to resize; changing a name would make finished folders unusable.
_NAMES_IN_MANIFEST = {ResizeSquare: "Square", ResizeShorterSide: "ShorterSide"}


def prepare_images(
    files: Sequence[Path],
    root: str | Path,
    out: str | Path,
    resize: Resize,
    *,
    workers: int | None = None,
    max_bad_fraction: float = DEFAULT_MAX_BAD_FRACTION,
    shard_bytes: int = 1 << 27,
    show_progress: bool = True,
) -> dict[str, Any]:
    """Write image shards; resume an interrupted call; do nothing if all shards are there.

    The shards are the same, byte for byte, for any number of workers and interruptions.

    Args:
        files: image files, such as ``find_images`` returns.
        root: a folder that contains them; their names are relative to it.
        resize: the size to bring images to.
        workers: decoding threads; by default as many as there are cores, at most 16.
        max_bad_fraction: the fraction of the files that may be unreadable. They are skipped and
            listed in ``problems.jsonl``. ``BadRecordCounter`` says when the fraction is checked.
        shard_bytes: a shard ends with the image that brings it to at least this many bytes of
            pixels; it is held in memory until then.

    Returns:
        The manifest, as in ``manifest.json``; ``images``, ``bad_images`` and ``duplicate_images``
        add up to the number of files.

    Raises:
        UserError: too many files are unreadable, none is an image, ``out`` holds other shards, or
            the disk is full. Finished shards stay.
    """
    root, out = Path(root), Path(out)
    workers = workers or default_workers()
    names = [file.relative_to(root).as_posix() for file in files]
    identity = {
        "inputs_sha256": _files_sha256(files, names),
        "settings": {
            "form": {"name": _NAMES_IN_MANIFEST[type(resize)], **asdict(resize)},
            "drop_duplicates": True,
            "shard_bytes": shard_bytes,
        },
    }
    display = ProgressDisplay("images", shown=show_progress, starts_with_line=False)

    def say(message: str) -> None:
        display.message(f"images: {message}")

    with display, locked(out):
        finished = finished_manifest(out, IMAGE_SHARDS, identity, say)
        if finished:
            return finished
        state = begin_or_resume(out, IMAGE_SHARDS, ImageResumeState(identity), say)
        first = state.files_read
        counter = BadRecordCounter(
            max_bad_fraction,
            records=first,
            bad=state.bad_images,
            first_bad=state.first_bad,
            what="images",
        )
        writer = ImageWriter(out, state, shard_bytes)
        with saying_how_to_resume(state):
            for number, image in enumerate(_decoded(files[first:], resize, workers), first):
                state.files_read = number + 1
                if isinstance(image, BadImage):
                    problem = BadRecord(str(files[number]), None, str(image))
                    report_problem(out, problem.source, None, problem.reason)
                    counter.count(problem)
                    state.bad_images, state.first_bad = counter.bad, counter.first_bad
                else:
                    counter.records += 1
                    writer.add(names[number], *image)
                _show_progress(display, number + 1, len(files), first)
            counter.check_fraction()
            writer.finish()
        if not state.shards:
            remove_traces(out)
            raise UserError(
                f"{root}: none of its {len(files)} images can be read: name other images"
            )
        totals = {
            "source": str(root),
            "images": sum(entry["images"] for entry in state.shards),
            "bad_images": state.bad_images,
            "duplicate_images": state.duplicate_images,
        }
        return finish(out, IMAGE_SHARDS, state, totals)


def _show_progress(display: ProgressDisplay, done: int, files: int, first: int) -> None:
    rate = (done - first) / display.seconds
    fields = {"decoded": f"{done} of {files}", "speed": f"{rate:.0f} images/s"}
    display.update(done / files, seconds_left(display.seconds, done / files), fields)


class ImageWriter:
    """Drops duplicates, writes shards and, after each of them, the state to resume from.

    Duplicates are images with the same decoded pixels; the first one stays.
    """

    def __init__(self, folder: Path, state: ImageResumeState, shard_bytes: int) -> None:
        """Begin at a state, whose shards and duplicates are kept up to date."""
        self._folder = folder
        self._state = state
        self._shard_bytes = shard_bytes
        self._seen: set[int] = set()
        for entry in state.shards:
            arrays = open_safetensors(folder / entry["file"], f"delete {folder} and begin again")
            self._seen.update(arrays["digests"][:].tolist())
        self._images: list[tuple[np.ndarray, int, str]] = []
        self._size = 0

    def add(self, name: str, pixels: np.ndarray, digest: int) -> None:
        """Append one image, uint8 [H, W, 3], of a file; images come in the order of the files."""
        if digest in self._seen:
            self._state.duplicate_images += 1
            return
        self._seen.add(digest)
        self._images.append((pixels, digest, name))
        self._size += pixels.size
        if self._size >= self._shard_bytes:
            self.finish()

    def finish(self) -> None:
        """Write the last shard."""
        if self._images:
            path = self._folder / f"shard-{len(self._state.shards):05d}.safetensors"
            self._state.shards.append(write_image_shard(path, *zip(*self._images, strict=True)))
            self._state.save(self._folder)
            self._images, self._size = [], 0


def _digest(pixels: np.ndarray) -> int:
    """A 64-bit hash of the size and pixels of an image."""
    digest = hashlib.blake2b(struct.pack("<2Q", *pixels.shape[:2]), digest_size=8)
    digest.update(np.ascontiguousarray(pixels).data)
    return int.from_bytes(digest.digest(), "little")


def _decoded(
    files: Sequence[Path], resize: Resize, workers: int
) -> Iterator[tuple[np.ndarray, int] | BadImage]:
    """Decode files in threads, a few ahead; yields pixels and digest of each, in order."""

    def decode_one(file: Path) -> tuple[np.ndarray, int] | BadImage:
        try:
            pixels = decode(file, resize)
        except BadImage as error:
            return error
        return pixels, _digest(pixels)

    pending: deque[Future[tuple[np.ndarray, int] | BadImage]] = deque()
    threads = ThreadPoolExecutor(workers, "images")
    try:
        for file in files:
            pending.append(threads.submit(decode_one, file))
            if len(pending) > _IMAGES_AHEAD * workers:
                yield pending.popleft().result()
        for future in pending:
            yield future.result()
    finally:
        threads.shutdown(cancel_futures=True)


def _files_sha256(files: Sequence[Path], names: list[str]) -> str:
    """A hash of the files' names, sizes and modification times."""
    digest = hashlib.sha256()
    for file, name in zip(files, names, strict=True):
        line = [name]
        with contextlib.suppress(OSError):  # Decoding reports it as a bad image.
            status = file.stat()
            line += [status.st_size, status.st_mtime_ns]
        digest.update((json.dumps(line) + "\n").encode())
    return digest.hexdigest()
