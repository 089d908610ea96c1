"""From the sources that the user names to decoded images.

They are decoded once, into the run's folder. The folder of images that another run decoded may be
named as a source too.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from selfsup.errors import UserError
from selfsup.images.files import FoundImages, median_shorter_side, refuse_remote, search_images
from selfsup.images.pixels import ResizeShorterSide
from selfsup.images.prepare import prepare_images
from selfsup.pretraining.modality import (
    add_modality_hint,
    is_image_shards,
    refuse_runs,
    shards_folder,
)
from selfsup.settings.pretrain import PretrainSettings, ResolvedImageSettings
from selfsup.shards.images import ImageShards
from selfsup.terminal import say

IMAGES = "images"

# Images are decoded to a little more than the encoder's size, so that crops are not enlarged much.
_ROOM = 1.25


def check_images(settings: PretrainSettings) -> None:
    """Check the images before anything is written.

    Raises:
        UserError: as ``pretraining_images``, as far as is known without decoding.
    """
    shards = shards_folder(settings.data, "images")
    if shards is not None:
        if settings.max_bad_fraction != PretrainSettings.max_bad_fraction:
            raise UserError(
                f"--max-bad-fraction: is for image files: those in {shards} are already decoded"
            )
        _check_count(len(ImageShards.read(shards)), str(shards))
        return
    refuse_runs(settings.data, IMAGES, "its images, decoded, are", is_image_shards)
    _check_count(len(_files(settings)), ", ".join(settings.data))


def pretraining_images(settings: ResolvedImageSettings, run: Path, is_resumed: bool) -> ImageShards:
    """Open the decoded images that the settings name, or decode them into the run's folder.

    Arguments are those of ``Pretraining``.

    Raises:
        UserError: there are none, too many are broken, or the decoded images are damaged.
    """
    folder, is_new = shards_folder(settings.data, "images"), False
    if folder is None:
        folder = run / IMAGES
        is_new = not (is_resumed and is_image_shards(folder))
        # The files themselves are not needed once all of them are decoded.
        if is_new:
            found = _found(settings)
            files = [file for each in found for file in each.files]
            for note in (note for each in found for note in each.notes()):
                say(note)
            say(f"Decoding {len(files):,} images into {folder}")
            prepare_images(
                files,
                _common_folder(settings.data),
                folder,
                ResizeShorterSide(round(_ROOM * settings.image_size)),
                workers=settings.workers,
                max_bad_fraction=settings.max_bad_fraction,
            )
    images = ImageShards.read(folder, verify=not is_new)
    _check_count(len(images), ", ".join(settings.data))
    return images


def usual_side(settings: PretrainSettings) -> int:
    """The median of the images' shorter sides, in pixels, of up to 1,000 of them.

    Raises:
        UserError: there are no images, or none can be read.
    """
    folder = shards_folder(settings.data, "images")
    if folder is not None:
        return int(np.median(ImageShards.read(folder).sizes.min(axis=1)))
    return median_shorter_side(_files(settings))


def _files(settings: PretrainSettings) -> list[Path]:
    return [file for found in _found(settings) for file in found.files]


def _found(settings: PretrainSettings) -> list[FoundImages]:
    try:
        return [search_images(path) for path in _paths(settings.data)]
    except UserError as error:
        raise add_modality_hint(error, settings.data, "images") from None


def _common_folder(sources: Sequence[str]) -> Path:
    """The only source, or the folder that all of the sources are in."""
    folders = [path if path.is_dir() else path.parent for path in _paths(sources)]
    return Path(os.path.commonpath(folders)) if len(folders) > 1 else folders[0]


def _paths(sources: Sequence[str]) -> list[Path]:
    """The sources' paths, absolute if there are several, so that a common folder can be found."""
    for source in sources:
        refuse_remote(source)
    return [Path(source).absolute() if len(sources) > 1 else Path(source) for source in sources]


def _check_count(count: int, named: str) -> None:
    if count < 2:
        raise UserError(
            f"{named}: {count} image{'' if count == 1 else 's'}, and pre-training needs 2: one to "
            "train on and one to measure with; give more images"
        )
