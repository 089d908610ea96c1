"""Keep two processes from writing to one folder at a time."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from selfsup.atomic_files import writing_to
from selfsup.errors import UserError

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
