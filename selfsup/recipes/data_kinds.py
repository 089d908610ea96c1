"""What kind of data a source is that the user of ``selfsup pretrain`` names."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from selfsup.corpus.inputs import find_inputs
from selfsup.errors import UserError
from selfsup.images.folder import find_images
from selfsup.images.image_shards import FORMAT

Kind = Literal["text", "images"]

USUAL_ENCODER: dict[Kind, str] = {"text": "bert-mini", "images": "vit-tiny"}


def holds_text(source: str) -> bool:
    """Whether there is a file of text, or are several, at a path, a glob or a URL."""
    try:
        return bool(find_inputs([source]))
    except UserError:
        return False


def holds_images(source: str) -> bool:
    """Whether there is an image at a path, or are several, or decoded ones."""
    if is_image_shards(Path(source)):
        return True
    try:
        return bool(find_images(source))
    except UserError:
        return False


def is_image_shards(folder: Path) -> bool:
    """Whether decoded images lie there, all of them."""
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and manifest.get("format") == FORMAT


def of_other_kind(error: UserError, sources: Sequence[str], kind: Kind) -> UserError:
    """The error of sources that were read as of this kind; it says so if they are of the other."""
    other, holds_other = ("images", holds_images) if kind == "text" else ("text", holds_text)
    if not all(map(holds_other, sources)):
        return error
    return UserError(
        f"{error}; as it holds {other}, name an encoder for these, such as --encoder "
        f"{USUAL_ENCODER[other]}"
    )
