"""Write files so that a reader, even after a loss of power, sees the old or the new one whole."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from selfsup.errors import UserError

_MENDS = {
    errno.ENOSPC: "the disk is full: free some space and run the command again",
    errno.EDQUOT: "your disk quota is used up: free some space and run the command again",
    errno.EROFS: "the disk is read-only: choose another folder",
    errno.EACCES: "you may not write there: choose another folder",
    errno.EPERM: "you may not write there: choose another folder",
    errno.ENOTDIR: "a part of this path is a file: choose another folder",
    errno.EEXIST: "a file of this name stands where a folder must go: choose another folder",
}


_DEVICES = ("/dev", "/dev/fd")  # /dev/stdout may well be a file
_LONGEST_NAME = 60  # characters, of up to four bytes each


@contextlib.contextmanager
def writing_to(path: Path) -> Iterator[None]:
    """Turn a disk's refusal (full, read-only, not yours) into a ``UserError`` naming ``path``."""
    try:
        yield
    except OSError as error:
        if error.errno not in _MENDS:
            raise
        raise UserError(f"cannot write {path}: {_MENDS[error.errno]}") from error


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file that takes the name ``path`` when the block ends well.

    The bytes are on the disk before the name is. When the block fails, the temporary file is
    removed and what was at ``path`` stays. A link stays one, to the new file; a device or a pipe
    is written to as it is.

    Raises:
        UserError: the disk is full, read-only or not yours.
    """
    if path.exists() and (not path.is_file() or str(path.parent) in _DEVICES):
        with writing_to(path), path.open("wb") as file:
            yield file
        return
    path = Path(os.path.realpath(path))
    # No longer than a name may be, where that of the file itself only just is none too long.
    temporary = path.with_name(f".{path.name[-_LONGEST_NAME:]}.tmp")
    with writing_to(path):
        try:
            with temporary.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a whole file at once, atomically."""
    with replacing(path) as file:
        file.write(data)


def sync_folder(folder: Path) -> None:
    """Make renames inside ``folder`` survive a loss of power, where folders can be synced."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


# Keep two processes from writing to one folder at a time.


LOCK = ".lock"


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep every other process off a folder, which is made if need be.

    The system forgets the lock when the process ends, however it ends. Where it has no such locks
    (Windows, some network drives) nothing is kept off.

    Raises:
        UserError: another process is at work there, or the folder cannot be written.
    """
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("w")
    with lock:
        try:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{folder}: another process is at work there: wait until it ends, or choose "
                "another --out"
            ) from None
        except (ImportError, OSError):
            pass
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                (folder / LOCK).unlink()
