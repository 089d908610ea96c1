"""What kind of data a source is that the user of ``selfsup pretrain`` names."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from selfsup.corpus.readers.inputs import find_inputs
from selfsup.encoder.config import BERT_SIZES, VIT_SIZES
from selfsup.encoder.huggingface.config import read_model_type
from selfsup.encoder.huggingface.folder import resolve_model_folder
from selfsup.errors import UserError
from selfsup.images.files import find_images
from selfsup.settings import PretrainSettings
from selfsup.settings.fields import flag_name
from selfsup.settings.pretrain import FLAGS_FOR_IMAGES, FLAGS_FOR_TEXT, IMAGE_OBJECTIVES
from selfsup.shards.folder import MANIFEST_FILE, PROGRESS_FILE
from selfsup.shards.images import IMAGE_SHARDS
from selfsup.shards.tokens import TOKEN_SHARDS, TokenResumeState

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
    return _format_of(folder) == IMAGE_SHARDS.name


def is_token_shards(folder: Path) -> bool:
    """Whether ``prepare`` wrote there, even if it has not come to its end or its files suffered."""
    known = _format_of(folder)
    if known is not None:
        return known == TOKEN_SHARDS.name
    # Files of the user's own may be called so too, but not beside a tokenizer.
    has_tokenizer = (folder / "tokenizer" / "tokenizer.json").exists()
    made = (MANIFEST_FILE, PROGRESS_FILE)
    return TokenResumeState.load(folder) is not None or (
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


# Whether a pre-training is one on text or on images: by its flags, else by its data.


def kind_of_pretraining(settings: PretrainSettings) -> Kind:
    """What the objectives are learnt from, else what the encoder or --init takes, else the data.

    Raises:
        UserError: these do not go together, or a flag is one for the other kind.
    """
    if settings.init is not None and settings.encoder is not None:
        raise UserError(
            f"--encoder {settings.encoder}: leave it out with --init {settings.init}, which is one"
        )
    learnt = kind_of_objectives(settings)
    taken = _kind_of_encoder(settings)
    if learnt is not None and taken is not None and learnt != taken:
        assert settings.objectives is not None
        named = f"--init {settings.init}" if settings.init else f"--encoder {settings.encoder}"
        raise UserError(
            f"{named}: takes {taken}, but --objectives {' '.join(settings.objectives)} is learnt "
            f"from {learnt}: leave one of the flags out, or take --encoder {USUAL_ENCODER[learnt]}"
        )
    kind = learnt or taken or _kind_of_data(settings.data)
    _refuse_flags_of_the_other_kind(settings, kind)
    return kind


def _kind_of_data(sources: Sequence[str]) -> Kind:
    """What all of the data are.

    Raises:
        UserError: some of it holds both.
    """
    of_images = [source for source in sources if holds_images(source)]
    both = next((source for source in of_images if holds_text(source)), None)
    if both is not None:
        raise UserError(
            f"{both}: holds images and text: say which to learn from, --encoder "
            f"{USUAL_ENCODER['images']} or --encoder {USUAL_ENCODER['text']}"
        )
    return "images" if of_images and len(of_images) == len(sources) else "text"


def kind_of_objectives(settings: PretrainSettings) -> Kind | None:
    """What the objectives are learnt from; None if none are named.

    Raises:
        UserError: some are learnt from text, some from images.
    """
    if settings.objectives is None:
        return None
    of_images = [name for name in settings.objectives if name in IMAGE_OBJECTIVES]
    of_text = [name for name in settings.objectives if name not in IMAGE_OBJECTIVES]
    if of_images and of_text:
        raise UserError(
            f"--objectives {' '.join(settings.objectives)}: {' and '.join(of_text)} is learnt from "
            f"text, {' and '.join(of_images)} from images: name objectives of one kind"
        )
    return "images" if of_images else "text"


def _kind_of_encoder(settings: PretrainSettings) -> Kind | None:
    if settings.init is not None:
        model_type = read_model_type(resolve_model_folder(settings.init))
        return "images" if model_type == "vit" else "text"
    if settings.encoder is None:
        return None
    if settings.encoder not in BERT_SIZES and settings.encoder not in VIT_SIZES:
        raise UserError(
            f"--encoder {settings.encoder}: no encoder is called so: for text there are "
            f"{', '.join(BERT_SIZES)}, for images {', '.join(VIT_SIZES)}"
        )
    return "images" if settings.encoder in VIT_SIZES else "text"


def _refuse_flags_of_the_other_kind(settings: PretrainSettings, kind: Kind) -> None:
    names = FLAGS_FOR_IMAGES if kind == "text" else FLAGS_FOR_TEXT
    for field in dataclasses.fields(settings):
        if field.name in names and getattr(settings, field.name) != field.default:
            other = "images" if kind == "text" else "text"
            raise UserError(
                f"{flag_name(field)} is for {other}, and this run learns from {kind}: leave it out"
            )
