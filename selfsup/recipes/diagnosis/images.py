"""What can be wrong with images: files that cannot be read, or decoded ones that are damaged."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from selfsup.corpus.manifest import damage_of
from selfsup.corpus.worker_pool import default_workers
from selfsup.errors import UserError
from selfsup.images.decoding import BadImage, ShorterSide, decode
from selfsup.images.folder import find_images, find_labelled_images
from selfsup.images.image_shards import read_image_manifest
from selfsup.recipes.diagnosis.problem import Fact, Finding, Problem

_FEWEST_IMAGES = 2  # one to train on, one to measure with
_LOOKED_AT = ShorterSide(64)


def image_problems(path: str) -> Iterator[Finding]:
    """Decode every image; in a folder with a folder for each class, count the classes.

    Raises:
        UserError: there is no image.
    """
    files = find_images(path)
    try:
        yield Fact("images", dict(Counter(find_labelled_images(path)[1])))
    except UserError:  # no classes: images to pre-train on
        yield Fact("images", len(files))
    with ThreadPoolExecutor(default_workers()) as threads:
        reasons = threads.map(_reason, files)
        bad = [(file, why) for file, why in zip(files, reasons, strict=True) if why]
    if bad:
        yield Problem(
            f"{len(bad):,} of {len(files):,} images cannot be read; the first: {bad[0][0]}: "
            f"{bad[0][1]}",
            "replace or delete them, or let --max-bad-fraction allow for them",
        )
    if len(files) - len(bad) < _FEWEST_IMAGES:
        yield Problem(
            f"{path}: pre-training needs {_FEWEST_IMAGES} images, one to train on and one to "
            "measure with",
            "give more images",
        )


def image_shards_problems(folder: Path) -> Iterator[Finding]:
    """Compare decoded images with their manifest.

    Raises:
        UserError: the folder is not finished.
    """
    manifest = read_image_manifest(folder)
    yield Fact("images", manifest["images"])
    for entry in manifest["shards"]:
        if damage := damage_of(folder, entry, verify=True):
            yield Problem(damage, f"delete {folder} and read the images again")
    if bad := manifest["bad_images"]:
        yield Problem(
            f"{bad:,} images could not be read and were left out",
            f"{folder / 'problems.jsonl'} names each",
        )


def _reason(file: Path) -> str:
    """Why an image cannot be read; nothing if it can."""
    try:
        decode(file, _LOOKED_AT)
    except BadImage as error:
        return str(error)
    return ""
