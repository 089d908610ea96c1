"""Walk through the folders of the user: links are followed, hidden folders are left out.

Pipes, devices and sockets among the files are no data: reading one may never end.
"""

import os
import stat
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


_SPECIAL = {
    stat.S_IFIFO: "pipe",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
    stat.S_IFSOCK: "socket",
}


def special_kind(path: str | Path) -> str | None:
    """What a path is if it, or what it links to, is no file or folder: such as ``"pipe"``."""
    try:
        return _SPECIAL.get(stat.S_IFMT(Path(path).stat().st_mode))
    except (OSError, ValueError):  # is not there, or no path at all
        return None


def refuse_special(path: str | Path) -> None:
    """Raise a ``UserError`` for a pipe, a device or a socket."""
    if kind := special_kind(path):
        raise UserError(
            f"{path}: a {kind}, not a file: give a file (save what comes out of it to one first)"
        )


def refuse_unreadable(error: OSError) -> NoReturn:
    """Raise a ``UserError`` that names the file or folder that could not be read."""
    is_link = Path(error.filename).is_symlink()
    fix = "check what it links to" if is_link else "check who may read it"
    raise UserError(f"{error.filename}: cannot be read ({error.strerror}): {fix}")
