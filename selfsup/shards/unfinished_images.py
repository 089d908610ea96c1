"""What ``prepare_images`` did so far, so that the same call can go on after an interruption.

After each finished shard ``progress.json`` says with which file the next one begins.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from selfsup.atomic_files import write_bytes
from selfsup.errors import UserError
from selfsup.shards.folder import damage_of
from selfsup.shards.images import PROGRESS_FILE, read_image_manifest


@dataclass
class ImageProgress:
    """How far the files were read, and what became of them.

    Attributes:
        identity: what the shards are made from and how.
        shards: the manifest's entries of the finished shards.
        files_read: the number of the file to go on with.
        bad_images: files that could not be read.
        duplicate_images: files dropped, as an earlier one held the same pixels.
        first_bad: the first bad one, in words; empty if there is none.
    """

    identity: dict[str, Any]
    shards: list[dict[str, Any]] = field(default_factory=list)
    files_read: int = 0
    bad_images: int = 0
    duplicate_images: int = 0
    first_bad: str = ""

    def save(self, folder: Path) -> None:
        """Write ``progress.json``; only the state after a finished shard can be gone on from."""
        write_bytes(folder / PROGRESS_FILE, (json.dumps(asdict(self), indent=2) + "\n").encode())


def is_unfinished(folder: Path) -> bool:
    """Whether an interrupted call left its progress there."""
    return _read_progress(folder) is not None


def load_progress(folder: Path, identity: dict[str, Any]) -> ImageProgress | None:
    """What an interrupted call left; None where that is no finished shard.

    Raises:
        UserError: it was making other shards.
    """
    progress = _read_progress(folder)
    if progress is None or not progress.shards:
        return None
    _refuse_other(folder, progress.identity, identity)
    return progress


def load_finished(folder: Path, identity: dict[str, Any]) -> dict[str, Any] | None:
    """The manifest of a finished folder; None where there is none.

    Raises:
        UserError: it is a folder of other shards.
    """
    if not (folder / "manifest.json").exists():
        return None
    manifest = read_image_manifest(folder)
    _refuse_other(folder, manifest, identity)
    return manifest


def first_damage(folder: Path, entries: list[dict[str, Any]]) -> str | None:
    """Say what is wrong with the first damaged shard of a manifest's entries, or None."""
    damages = (damage_of(folder, entry, verify=True) for entry in entries)
    return next(filter(None, damages), None)


def _read_progress(folder: Path) -> ImageProgress | None:
    try:
        return ImageProgress(**json.loads((folder / PROGRESS_FILE).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _refuse_other(folder: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    what = {"inputs_sha256": "files", "settings": "settings"}
    different = [words for key, words in what.items() if found.get(key) != wanted[key]]
    if different:
        raise UserError(
            f"{folder}: holds images read with other {' and '.join(different)}: "
            "choose another --out, or delete that folder"
        )
