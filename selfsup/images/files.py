"""Find the images at a path, the classes that their folders name, and their typical size."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from selfsup.corpus.readers.documents import is_encodable
from selfsup.errors import UserError
from selfsup.images.pixels import BadImage, image_size

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
_ENDINGS = ", ".join(SUFFIXES)
# Folders with only these names are parts of a data set, not classes.
_PARTS = {"train", "training", "val", "valid", "validation", "dev", "test"}


def find_images(path: str | Path) -> list[Path]:
    """All images in a folder and its subfolders, sorted by name; for a file, the file itself.

    Images are recognised by their suffix, in upper or lower case. Hidden files and folders, links
    to folders, and run folders (which contain pictures) are skipped.

    Raises:
        UserError: there is no such path, or no image in it.
    """
    path = Path(path)
    if path.is_file():
        if path.suffix.lower() not in SUFFIXES:
            raise UserError(f"{path}: no image by its name, which must end in {_ENDINGS}")
        return [path]
    if not path.is_dir():
        raise UserError(f"{path}: no such file or folder: check the path")
    found, other = [], []
    for folder, subfolders, names in os.walk(path, onerror=_refuse):
        if "run.yaml" in names and Path(folder) != path:
            subfolders.clear()
            continue
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for name in names:
            if not name.startswith("."):
                file = Path(folder, name)
                (found if file.suffix.lower() in SUFFIXES else other).append(file)
    if not found:
        held = f" (it holds {min(other).relative_to(path)})" if other else " (it holds no file)"
        raise UserError(f"{path}: no image in it{held}: images end in {_ENDINGS}")
    return sorted(found)


def find_labelled_images(path: str | Path) -> tuple[list[Path], list[str]]:
    """The images of a folder with one subfolder for each class, sorted, and the class of each.

    Folders inside a class's folder belong to the class; folders without images are not classes.

    Raises:
        UserError: as ``find_images``, or an image is outside the classes' folders, or the folders
            are named like the parts of a data set.
    """
    path = Path(path)
    if path.is_file():
        raise UserError(f"{path}: a file: name a folder that holds a folder for each class")
    files = find_images(path)
    for file in files:
        check_name(file)
    labels = [file.relative_to(path).parts[0] for file in files]
    outside = next((file for file in files if file.parent == path), None)
    if outside is not None:
        raise UserError(
            f"{outside}: lies in no class's folder: {path} must hold a folder for each class, "
            "with its images in it"
        )
    classes = sorted(set(labels))
    if _PARTS.issuperset(name.lower() for name in classes):
        raise UserError(
            f"{path}: holds {' and '.join(classes)}, which are no classes: name one of these"
        )
    return files, labels


def check_name(file: Path) -> None:
    """Raise a ``UserError`` for a path that is not UTF-8: it cannot be written to a text file."""
    if not is_encodable(str(file)):
        shown = str(file).encode(errors="backslashreplace").decode()
        raise UserError(f"{shown}: its name is not UTF-8: rename it, or its folder")


def _refuse(error: OSError) -> None:
    raise UserError(f"{error.filename}: cannot be read ({error.strerror}): check who may read it")


_MOST_SAMPLED = 1000


def median_shorter_side(files: Sequence[Path]) -> int:
    """The median of the shorter sides, in pixels, of up to 1,000 evenly spaced images.

    Raises:
        UserError: none of these images can be read.
    """
    sides, problem = [], ""
    positions = np.linspace(0, len(files) - 1, min(len(files), _MOST_SAMPLED))
    for index in np.unique(positions.astype(int)).tolist():
        try:
            sides.append(min(image_size(files[index])))
        except BadImage as error:
            problem = problem or f"{files[index]}: {error}"
    if not sides:
        raise UserError(f"{problem}; and no other of the images can be read: fix or replace them")
    return int(np.median(sides))
