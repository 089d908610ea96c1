"""Write whole files, and lock folders.

A reader sees either the old file or the new one, complete, even after a loss of power. A folder is
locked so that no two processes write to it at the same time. A folder may come from somebody else:
a link in it is replaced or refused, and never leads a write to a file outside.
"""

import contextlib
import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from selfsup.errors import UserError
from selfsup.terminal import OutputLost

_FIXES = {
    errno.ENOSPC: "the disk is full: free some space and run the command again",
    errno.EDQUOT: "your disk quota is used up: free some space and run the command again",
    errno.EROFS: "the disk is read-only: choose another folder",
    errno.EACCES: "you may not write there: choose another folder",
    errno.EPERM: "you may not write there: choose another folder",
    errno.ENOTDIR: "a part of this path is a file: choose another folder",
    errno.EEXIST: "a file has the name of the folder that is needed: choose another folder",
    errno.EISDIR: "a folder has the name of a file that is needed: remove it",
    errno.ELOOP: "a link has this name: remove the link",
    errno.EFBIG: "a file may not grow so large there (ulimit -f): raise the limit and run the "
    "command again",
}

_DEVICES = ("/dev", "/dev/fd")  # /dev/stdout may be redirected to a file
_LONGEST_NAME = 60  # characters, of up to four bytes each
LOCK = ".lock"
_SAVING = ".saving"  # holds files that replace others together
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)  # Windows has no such flag


WRITTEN = "results are written to local folders only: write to one, then copy them there"


def refuse_address(name: str, why: str, flag: str = "") -> None:
    """Refuse an address such as ``s3://bucket/run`` or ``dbfs:/run`` where a path is needed.

    Args:
        name: what the user gave.
        why: the end of the message: why it is refused, and what to do.
        flag: what it was given with, if it is known.

    Raises:
        UserError: it is an address.
    """
    scheme, colon, rest = name.partition(":/")
    if not colon or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]+", scheme):
        return
    if scheme.lower() == "file":
        why = f"is an address, and a path is needed: write /{rest.lstrip('/')}"
    raise UserError(f"{flag} {name}: {why}".strip())


@contextlib.contextmanager
def writing_to(path: Path) -> Iterator[None]:
    """Turn errors such as a full or read-only disk into a ``UserError`` that names ``path``."""
    refuse_address(str(path), WRITTEN)
    try:
        yield
    except OSError as error:
        if error.errno not in _FIXES:
            raise
        raise UserError(f"cannot write {path}: {_FIXES[error.errno]}") from error


@contextlib.contextmanager
def replacing(path: Path, *, named_by_user: bool = False) -> Iterator[IO[bytes]]:
    """Open a temporary file that replaces ``path`` when the block ends without an error.

    The bytes are on the disk before the file is renamed. When the block fails, the temporary file
    is removed and the file at ``path`` stays. A link at ``path`` is replaced, not followed.

    Args:
        path: the file.
        named_by_user: the user gave this very path, as with ``--out``. Then a link stays a link, to
            the new file, and a device or a pipe is written to directly.

    Raises:
        UserError: the disk is full or read-only, or permission is denied.
        OutputLost: a pipe that the user gave has no reader any more.
    """
    if named_by_user:
        if path.exists() and (not path.is_file() or str(path.parent) in _DEVICES):
            with writing_to(path):
                try:
                    with path.open("wb") as file:
                        yield file
                except BrokenPipeError as error:
                    raise OutputLost(error) from None
            return
        path = Path(os.path.realpath(path))
    # The name of the file itself may already be as long as the system allows.
    name = f".{path.name[-_LONGEST_NAME:]}.{secrets.token_hex(4)}.tmp"
    temporary = path.with_name(name)
    with writing_to(path):
        try:
            with temporary.open("xb") as file:  # exclusive: an existing file or link is an error
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def write_bytes(path: Path, data: bytes, *, named_by_user: bool = False) -> None:
    """Write a whole file, as ``replacing`` does."""
    with replacing(path, named_by_user=named_by_user) as file:
        file.write(data)


def append_line(path: Path, line: str) -> None:
    """Append a line to a UTF-8 file, through no link; where there is room for a part only, nothing.

    Raises:
        UserError: a link has its name, or it cannot be written.
    """
    data = (line + "\n").encode(errors="backslashreplace")
    with writing_to(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _NO_FOLLOW, 0o666)
        try:
            before = os.fstat(descriptor).st_size
            try:
                while data:
                    data = data[os.write(descriptor, data) :]
            except OSError:
                os.ftruncate(descriptor, before)
                raise
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def replacing_together(folder: Path, last: str) -> Iterator[Path]:
    """Write files that belong together into a folder; other files in it stay.

    The block gets a temporary folder to write them to. When it ends without an error, the files are
    flushed to the disk and moved, the one called ``last`` at the end. If it fails, the old files
    are as they were. ``is_half_written`` tells of a process that was killed in between.

    Raises:
        UserError: the disk is full or read-only, or permission is denied.
    """
    saving = folder / _SAVING
    with writing_to(folder):
        remove_tree(saving)
        saving.mkdir(parents=True)
        try:
            yield saving
            paths = sorted(saving.iterdir(), key=lambda path: (path.name == last, path.name))
            for path in paths:
                sync_file(path)
        except BaseException:
            shutil.rmtree(saving, ignore_errors=True)
            raise
        for path in paths:
            path.replace(folder / path.name)
        sync_folder(folder)
        shutil.rmtree(saving, ignore_errors=True)


def remove_tree(path: Path) -> None:
    """Remove a folder with all that is in it, or a link to one; errors are ignored."""
    if path.is_symlink():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path, ignore_errors=True)


def is_half_written(folder: Path) -> bool:
    """Whether a process was killed in ``replacing_together``: some files may be moved already."""
    return (folder / _SAVING).exists()


def sync_file(path: Path) -> None:
    """Wait until a file's bytes are on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make renames inside ``folder`` survive a loss of power, if the system can sync folders."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder against other processes; make it if it does not exist.

    Temporary files of a process that was killed are removed. The system releases the lock when the
    process ends, however it ends. Where there are no such locks (Windows, some network drives), the
    folder is not locked.

    Raises:
        UserError: another process has locked the folder, it cannot be written, or it or a folder
            inside holds a link to a folder, through which files elsewhere would be written.
    """
    path = folder / LOCK
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = _acquire(path)
    try:
        for parent, folders, _ in os.walk(folder):
            for inside in (Path(parent, name) for name in folders):
                if inside.is_symlink():
                    raise UserError(f"{inside}: is a link to a folder elsewhere: remove the link")
        for left_behind in folder.glob(".*.tmp"):
            if not left_behind.is_dir():
                left_behind.unlink(missing_ok=True)
        yield
    finally:
        # Removed while it is locked. A process that has opened it meanwhile sees that it is gone.
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(lock)


def _acquire(path: Path) -> int:
    """The descriptor of a lock file that this process has locked and that is still there.

    Raises:
        UserError: another process has locked it.
    """
    while True:
        if path.is_symlink():
            path.unlink(missing_ok=True)
        lock = os.open(path, os.O_RDWR | os.O_CREAT | _NO_FOLLOW, 0o666)
        try:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise UserError(
                f"{path.parent}: another process is at work there: wait until it ends, or choose "
                "another --out"
            ) from None
        except (ImportError, OSError):
            return lock
        try:
            if os.path.samestat(os.fstat(lock), path.lstat()):
                return lock
        except FileNotFoundError:
            pass  # the process that held the lock has removed the file
        os.close(lock)
