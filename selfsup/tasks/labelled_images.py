"""Images from a folder, with the classes that its folders stand for."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from selfsup.corpus.bad_records import BadRecordTally
from selfsup.errors import UserError
from selfsup.images.decoding import BadImage, ShorterSide, decode
from selfsup.images.folder import check_name, find_images, find_labelled_images
from selfsup.tasks.decoded_images import threads

# The fewest pixels that a side of an image may have.
SMALLEST_SIDE = 8
# To see whether an image can be decoded; small, so that a JPEG is decoded at an eighth of its size.
_GLANCE = ShorterSide(SMALLEST_SIDE)


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
    tally = BadRecordTally(
        max_bad_fraction, records=len(images), bad=len(bad), first_bad=first, what="images"
    )
    tally.judge_all()
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
