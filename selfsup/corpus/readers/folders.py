"""Walk through the folders of the user: links are followed, hidden folders are left out."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from selfsup.errors import UserError


def walk(folder: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """As ``os.walk``; a link to a folder that it lies in is not followed, as there is no end to it.

    Raises:
        UserError: a folder cannot be read.
    """
    above = {folder: (os.path.realpath(folder),)}  # the folders that each is in, without links
    for path, subfolders, names in os.walk(folder, onerror=refuse_unreadable, followlinks=True):
        here = above.pop(path)
        real = {name: os.path.realpath(f"{path}/{name}") for name in subfolders if name[0] != "."}
        subfolders[:] = [name for name in real if real[name] not in here]
        yield path, subfolders, names
        above |= {os.path.join(path, name): (*here, real[name]) for name in subfolders}  # noqa: PTH118


def refuse_unreadable(error: OSError) -> NoReturn:
    """Raise a ``UserError`` that names the file or folder that could not be read."""
    is_link = Path(error.filename).is_symlink()
    fix = "check what it links to" if is_link else "check who may read it"
    raise UserError(f"{error.filename}: cannot be read ({error.strerror}): {fix}")
