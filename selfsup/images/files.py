"""Find the images at a path, the classes that their folders name, and their typical size."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from selfsup.atomic_files import refuse_address
from selfsup.corpus.readers.documents import is_encodable
from selfsup.corpus.readers.folders import refuse_unreadable, walk
from selfsup.errors import UserError
from selfsup.images.formats import is_image
from selfsup.images.pixels import BadImage, image_size
from selfsup.special_files import refuse_special, special_kind

# Folders with only these names are parts of a data set, not classes.
_PARTS = {"train", "training", "val", "valid", "validation", "dev", "test"}
# What operating systems leave in folders, beside hidden files.
_JUNK = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "$recycle.bin"}
_MOST_NAMED = 5


class ClassWithoutImages(UserError):
    """A class's folder holds files, and none of them is an image."""


@dataclass(frozen=True)
class FoundImages:
    """The images of a folder and its subfolders, or one image.

    Attributes:
        path: the folder, or the file.
        files: the images, sorted by name, also those of formats that are not decoded.
        others: the other files, sorted; junk and hidden files are not among them.
        empty: the folder's own subfolders without any file, sorted.
        special: pipes, devices and sockets, and links to such, sorted; they are not read.
    """

    path: Path
    files: list[Path]
    others: list[Path]
    empty: list[str]
    special: list[Path] = field(default_factory=list)

    def labels(self) -> list[str]:
        """The class of each image: the subfolder that it is in, in Unicode's form NFC.

        Folders inside a class's folder belong to the class.

        Raises:
            ClassWithoutImages: a subfolder has files and no image.
            UserError: an image is in no subfolder, or the subfolders are named like the parts of a
                data set.
        """
        path = self.path
        outside = next((file for file in self.files if path in (file, file.parent)), None)
        if outside is not None:
            raise UserError(
                f"{outside}: lies in no class's folder: {path} must hold a folder for each class, "
                "with its images in it"
            )
        classes = _tops(path, self.files)
        if _PARTS.issuperset(name.lower() for name in classes):
            raise UserError(
                f"{path}: holds {' and '.join(classes)}, which are no classes: name one of these"
            )
        for name in _tops(path, self.others):
            if name not in classes:
                inside = [file for file in self.others if file.is_relative_to(path / name)]
                raise ClassWithoutImages(
                    f"{path / name}: a class without images, it holds {by_suffix(inside)}: give it "
                    f"images, or take the folder out of {path}"
                )
        return [unicodedata.normalize("NFC", _top(path, file)) for file in self.files]

    def notes(self) -> tuple[str, ...]:
        """What is passed over, in sentences for the user."""
        notes = []
        if self.others:
            what = by_suffix(self.others)
            notes.append(f"{self.path}: passed over files that are no images: {what}")
        if self.empty:
            notes.append(f"{self.path}: passed over folders without files: {listed(self.empty)}")
        if self.special:
            names = listed([str(file.relative_to(self.path)) for file in self.special])
            notes.append(f"{self.path}: passed over pipes, devices and sockets: {names}")
        return tuple(notes)


def _top(path: Path, file: Path) -> str:
    """The name of the folder's own subfolder, or file, on the way to a file."""
    return file.relative_to(path).parts[0]


def _tops(path: Path, files: Iterable[Path]) -> list[str]:
    """The folder's own subfolders that files are in, sorted."""
    return sorted({_top(path, file) for file in files if file.parent != path})


def by_suffix(files: Iterable[Path]) -> str:
    """``8 .txt, 4 .json``: how many files there are with each suffix, the most frequent first."""
    counts = Counter(file.suffix.lower() or "without suffix" for file in files)
    return listed([f"{count:,} {suffix}" for suffix, count in counts.most_common()])


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def find_images(path: str | Path) -> list[Path]:
    """The images that ``search_images`` finds."""
    return search_images(path).files


def search_images(path: str | Path) -> FoundImages:
    """All images in a folder and its subfolders; for a file, the file itself.

    Images are recognised by their suffix, or else by their content. Links are followed. Hidden
    files and folders, those that operating systems make, and run folders (which contain pictures)
    are skipped.

    Raises:
        UserError: there is no such path, no image in it, or a file in it cannot be read.
    """
    refuse_remote(path)
    path = Path(path)
    if path.is_file():
        if not _is_image(path):
            raise UserError(f"{path}: no image, by its name or by its content")
        return FoundImages(path, [path], [], [])
    refuse_special(path)
    if not path.is_dir():
        raise UserError(f"{path}: no such file or folder: check the path")
    found, others, special, runs, folders = [], [], [], [], []
    for folder, subfolders, names in walk(str(path)):
        if "run.yaml" in names and Path(folder) != path:
            runs.append(Path(folder, "run.yaml"))
            subfolders.clear()
            continue
        subfolders[:] = [name for name in subfolders if not _is_junk(name)]
        folders = folders or subfolders[:]
        for file in (Path(folder, name) for name in names if not _is_junk(name)):
            if special_kind(file):
                special.append(file)
            else:
                (found if _is_image(file) else others).append(file)
    if not found:
        held = f" (it holds {by_suffix(others)})" if others else " (it holds no file)"
        raise UserError(f"{path}: no image in it{held}: name a folder with images")
    empty = sorted({*folders} - {*_tops(path, [*found, *others, *special, *runs])})
    files, others, special = (sorted(each, key=_parts) for each in (found, others, special))
    return FoundImages(path, files, others, empty, special)


def _parts(file: Path) -> list[str]:
    """What files are sorted by: an order that is the same however their names are composed."""
    return [unicodedata.normalize("NFC", part) for part in file.parts]


def refuse_remote(path: str | Path) -> None:
    """Raise a ``UserError`` for an address of images, such as ``s3://bucket/images``."""
    refuse_address(str(path), "images are read from local folders only: copy them to one")


def _is_junk(name: str) -> bool:
    is_hidden = name.startswith(".") and not name.endswith(".icloud")  # stands for a file of iCloud
    return is_hidden or name.lower() in _JUNK


def _is_image(file: Path) -> bool:
    try:
        return is_image(file)
    except OSError as error:
        refuse_unreadable(error)


def check_name(file: Path) -> None:
    """Raise a ``UserError`` for a path that is not UTF-8: it cannot be written to a text file."""
    if not is_encodable(str(file)):
        shown = str(file).encode(errors="backslashreplace").decode()
        raise UserError(f"{shown}: its name is not UTF-8: rename it, or its folder")


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
