"""Pipes, devices and sockets among files: reading one may never end, so none is read as a file."""

import stat
from pathlib import Path

from selfsup.errors import UserError

_KINDS = {
    stat.S_IFIFO: "pipe",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
    stat.S_IFSOCK: "socket",
}


def special_kind(path: str | Path) -> str | None:
    """What a path is if it, or what it links to, is no file or folder: such as ``"pipe"``."""
    try:
        return _KINDS.get(stat.S_IFMT(Path(path).stat().st_mode))
    except (OSError, ValueError):  # is not there, or no path at all
        return None


def refuse_special(path: str | Path, allowed: str | None = None) -> None:
    """Raise a ``UserError`` for a pipe, a device or a socket, but not for the kind ``allowed``.

    A pipe such as that of ``--config <(…)`` is useful where what is read of it is bounded.
    """
    kind = special_kind(path)
    if kind is not None and kind != allowed:
        raise UserError(
            f"{path}: a {kind}, not a file: give a file (save what comes out of it to one first)"
        )
