"""Whether a pre-training is one on text or on images: by its flags, else by its data."""

import dataclasses
from collections.abc import Sequence

from selfsup.encoder.config import BERT_SIZES
from selfsup.encoder.config_file import read_model_type
from selfsup.encoder.model_location import resolve_model_folder
from selfsup.encoder.vit_config import VIT_SIZES
from selfsup.errors import UserError
from selfsup.recipes.data_kinds import USUAL_ENCODER, Kind, holds_images, holds_text
from selfsup.settings import PretrainSettings
from selfsup.settings.flag import flag_name
from selfsup.settings.pretrain import FLAGS_FOR_IMAGES, FLAGS_FOR_TEXT, IMAGE_OBJECTIVES


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
