"""Write decoded images to shards of a given size, without duplicates."""

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

from selfsup.atomic_files import alone_in, write_bytes
from selfsup.corpus.blocks import keep_first_problems, report_problem
from selfsup.corpus.readers.documents import (
    DEFAULT_MAX_BAD_FRACTION,
    BadRecord,
    BadRecordTally,
    check_max_bad_fraction,
)
from selfsup.corpus.workers import default_workers
from selfsup.errors import UserError
from selfsup.images.decoding import BadImage, Form, decode
from selfsup.progress import ProgressDisplay
from selfsup.shards.images import (
    FORMAT,
    FORMAT_VERSION,
    PROGRESS_FILE,
    digests_of,
    write_image_shard,
)
from selfsup.shards.unfinished_images import (
    ImageProgress,
    first_damage,
    load_finished,
    load_progress,
)


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


# Decode image files once, in parallel, and write their pixels to shards in the order of the files.
#
# Threads decode (Pillow lets go of Python's lock meanwhile), this thread writes. How many there
# are
# leaves no trace in the result.


# A shard waits in memory until it is written.
DEFAULT_SHARD_BYTES = 1 << 27
PROBLEMS_FILE = "problems.jsonl"
# Images on their way for each thread, so that none waits for another's large image.
_IMAGES_AHEAD = 4


def prepare_images(
    files: Sequence[Path],
    root: str | Path,
    out: str | Path,
    form: Form,
    *,
    workers: int | None = None,
    max_bad_fraction: float = DEFAULT_MAX_BAD_FRACTION,
    drop_duplicates: bool = True,
    shard_bytes: int = DEFAULT_SHARD_BYTES,
    show_progress: bool = True,
) -> dict[str, Any]:
    """Write image shards; go on where an interrupted call stopped; do nothing if all is there.

    The shards are the same, byte for byte, for any number of workers and interruptions.

    Args:
        files: image files, such as ``find_images`` gives.
        root: a folder that they lie in; their names are relative to it.
        out: the folder of the shards.
        form: the size that images are brought to.
        workers: threads that decode; as many as there are cores, at most 16, unless given.
        max_bad_fraction: the part of the files that may be unreadable; these are skipped and named
            in ``problems.jsonl``. Judged as ``BadRecordTally`` says.
        drop_duplicates: keep only the first of several files whose decoded pixels are the same.
        shard_bytes: a shard ends with the image that brings it to so many bytes of pixels.
        show_progress: show progress on stderr.

    Returns:
        The manifest, as in ``manifest.json``; ``images``, ``bad_images`` and ``duplicate_images``
        add up to the number of files.

    Raises:
        UserError: a setting is wrong, too many files are unreadable, none is an image, ``out``
            holds other shards, or the disk is full. Finished shards stay.
    """
    root, out = Path(root), Path(out)
    workers = default_workers() if workers is None else workers
    if workers < 1:
        raise UserError(f"--workers {workers}: must be at least 1")
    check_max_bad_fraction(max_bad_fraction)
    names = [file.relative_to(root).as_posix() for file in files]
    identity = {
        "inputs_sha256": _files_sha256(files, names),
        "settings": {
            "form": {"name": type(form).__name__, **asdict(form)},
            "drop_duplicates": drop_duplicates,
            "shard_bytes": shard_bytes,
        },
    }
    with ProgressDisplay("images", len(files), shown=show_progress) as display, alone_in(out):
        finished = _finished_manifest(out, identity, display)
        if finished:
            return finished
        progress = _progress_to_go_on_from(out, identity, display)
        progress.save(out)
        first = progress.files_read
        tally = BadRecordTally(
            max_bad_fraction,
            records=first,
            bad=progress.bad_images,
            first_bad=progress.first_bad,
            what="images",
        )
        writer = ImageWriter(
            out, progress, shard_bytes=shard_bytes, drop_duplicates=drop_duplicates
        )
        try:
            for number, image in enumerate(_decoded(files[first:], form, workers), first):
                progress.files_read = number + 1
                if isinstance(image, BadImage):
                    problem = BadRecord(str(files[number]), None, str(image))
                    report_problem(problem, out / PROBLEMS_FILE)
                    tally.count(problem)
                    progress.bad_images, progress.first_bad = tally.bad, tally.first_bad
                else:
                    tally.count_good(1)
                    writer.add(names[number], *image)
                rate = (number + 1 - first) / display.seconds
                display.update(number + 1, f"{number + 1} of {len(files)}, {rate:.0f} images/s")
            tally.judge_all()
            writer.finish()
        except KeyboardInterrupt:
            display.say(
                f"interrupted after {len(progress.shards)} shards; the same command goes on"
            )
            raise
    if not progress.shards:
        (out / PROGRESS_FILE).unlink()
        raise UserError(f"{root}: none of its {len(files)} images can be read: name other images")
    manifest = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "source": str(root),
        "images": sum(entry["images"] for entry in progress.shards),
        "bad_images": progress.bad_images,
        "duplicate_images": progress.duplicate_images,
        **identity,
        "shards": progress.shards,
    }
    write_bytes(out / "manifest.json", (json.dumps(manifest, indent=2) + "\n").encode())
    (out / PROGRESS_FILE).unlink()
    return manifest


def _decoded(
    files: Sequence[Path], form: Form, workers: int
) -> Iterator[tuple[np.ndarray, int] | BadImage]:
    """What the files hold, one after another, a few of them decoded ahead."""

    def decode_one(file: Path) -> tuple[np.ndarray, int] | BadImage:
        try:
            pixels = decode(file, form)
        except BadImage as error:
            return error
        return pixels, digest_of(pixels)

    pending: deque[Future[tuple[np.ndarray, int] | BadImage]] = deque()
    threads = ThreadPoolExecutor(workers, "images")
    try:
        for file in files:
            pending.append(threads.submit(decode_one, file))
            if len(pending) > _IMAGES_AHEAD * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        threads.shutdown(cancel_futures=True)


def _files_sha256(files: Sequence[Path], names: list[str]) -> str:
    """A hash of what the files are called, how long they are, and when they changed."""
    digest = hashlib.sha256()
    for file, name in zip(files, names, strict=True):
        try:
            status = file.stat()
            line = [name, status.st_size, status.st_mtime_ns]
        except OSError:  # It will be a bad image.
            line = [name]
        digest.update((json.dumps(line) + "\n").encode())
    return digest.hexdigest()


def _finished_manifest(
    out: Path, identity: dict[str, Any], display: ProgressDisplay
) -> dict[str, Any] | None:
    """The manifest, if all shards are there and whole; without it, they are made again."""
    manifest = load_finished(out, identity)
    if manifest is None:
        return None
    damage = first_damage(out, manifest["shards"])
    if damage is None:
        display.say(f"{out} is complete: {manifest['images']} images; nothing to do")
        return manifest
    display.say(f"{damage}: reading the images again")
    (out / "manifest.json").unlink()
    return None


def _progress_to_go_on_from(
    out: Path, identity: dict[str, Any], display: ProgressDisplay
) -> ImageProgress:
    """What an interrupted call left, or a new beginning."""
    progress = load_progress(out, identity)
    if progress is not None:
        damage = first_damage(out, progress.shards)
        if damage is None:
            display.say(f"going on after {progress.files_read} files")
            keep_first_problems(out / PROBLEMS_FILE, progress.bad_images)
            return progress
        display.say(f"{damage}: beginning again")
    (out / PROBLEMS_FILE).unlink(missing_ok=True)
    return ImageProgress(identity)
