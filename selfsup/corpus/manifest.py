"""The manifest of a folder of shards: which files belong to it, and whether these are whole."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selfsup.errors import UserError


def read_manifest_of(
    folder: Path, form: str, version: int, *, what: str, again: str, missing: Callable[[Path], str]
) -> dict[str, Any]:
    """Read the manifest of a finished folder.

    Args:
        form: what the manifest calls its ``format``.
        version: the only ``format_version`` that can be read.
        what: the shards hold, for messages.
        again: what to do to make the folder anew, for messages.
        missing: says why a folder has no manifest.

    Raises:
        UserError: there is none, it cannot be read, or it is of another format or version.
    """
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(missing(folder)) from None
    except (ValueError, OSError) as error:
        raise UserError(
            f"{path}: cannot be read ({error}): delete {folder} and {again} again"
        ) from None
    if not isinstance(manifest, dict) or manifest.get("format") != form:
        raise UserError(f"{path}: not a manifest of {what}: name another folder")
    if manifest.get("format_version") != version:
        raise UserError(
            f"{path}: format version {manifest.get('format_version')}, this selfsup reads "
            f"{version}: {again} again into another folder"
        )
    return manifest


def damage_of(folder: Path, entry: dict[str, Any], *, verify: bool) -> str | None:
    """Say what is wrong with the shard that a manifest's entry names, or None.

    Args:
        folder: the shards folder.
        entry: one of the manifest's ``shards``: ``file``, ``bytes``, ``sha256``.
        verify: also compare the checksum.
    """
    path = folder / entry["file"]
    try:
        size = path.stat().st_size
    except OSError:
        return f"{path}: missing"
    if size != entry["bytes"]:
        return f"{path}: {size} bytes where the manifest says {entry['bytes']} (cut short?)"
    if verify:
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != entry["sha256"]:
                return f"{path}: its checksum is not the manifest's (altered or damaged)"
    return None


def shards_sha256(manifest: dict[str, Any]) -> str:
    """A hash of what is in the shards of a finished folder, and of the tokenizer of token shards.

    Args:
        manifest: as ``read_manifest_of`` gives it.
    """
    content = [manifest.get("tokenizer_sha256"), *(entry["sha256"] for entry in manifest["shards"])]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
