"""What kind of data a source is that the user of ``selfsup pretrain`` names."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from selfsup.corpus.inputs import find_inputs
from selfsup.corpus.shards import FORMAT as TOKENS
from selfsup.corpus.unfinished import PROGRESS_FILE, load_unfinished
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
    return _format_of(folder) == FORMAT


def is_token_shards(folder: Path) -> bool:
    """Whether ``prepare`` wrote there, even if it has not come to its end or its files suffered."""
    known = _format_of(folder)
    if known is not None:
        return known == TOKENS
    # Files of the user's own may be called so too, but not beside a tokenizer.
    has_tokenizer = (folder / "tokenizer" / "tokenizer.json").exists()
    made = ("manifest.json", PROGRESS_FILE)
    return load_unfinished(folder) is not None or (
        has_tokenizer and any((folder / name).exists() for name in made)
    )


def _format_of(folder: Path) -> str | None:
    """What the manifest in a folder says that it is of; None where none can be read."""
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
    except (OSError, ValueError):
        return None
    return str(manifest.get("format", "")) if isinstance(manifest, dict) else ""


def refuse_runs(
    sources: Sequence[str], made: str, what: str, is_there: Callable[[Path], bool]
) -> None:
    """A run is no data; what it made of its own may be.

    Args:
        sources: what the user names as data.
        made: the folder in a run that holds what was made of its data.
        what: says what lies there.
        is_there: whether it lies in a folder.

    Raises:
        UserError: one of the sources is a run.
    """
    run = next((Path(source) for source in sources if (Path(source) / "run.yaml").exists()), None)
    if run is not None:
        mend = f"--init {run} goes on from its model"
        if is_there(run / made):
            mend += f"; {what} {run / made}"
        raise UserError(f"{run}: is a run, and no data: {mend}")


def of_other_kind(error: UserError, sources: Sequence[str], kind: Kind) -> UserError:
    """The error of sources that were read as of this kind; it says so if they are of the other."""
    other, holds_other = ("images", holds_images) if kind == "text" else ("text", holds_text)
    if not all(map(holds_other, sources)):
        return error
    return UserError(
        f"{error}; as it holds {other}, name an encoder for these, such as --encoder "
        f"{USUAL_ENCODER[other]}"
    )
