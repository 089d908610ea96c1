"""All families of encoders, and which one a model folder is of. A new family is a line here."""

import json
from pathlib import Path
from typing import Any

from selfsup.tasks import text_family
from selfsup.tasks.encoder_family import EncoderFamily

FAMILIES: tuple[EncoderFamily, ...] = (text_family,)


def family_of_folder(folder: Path) -> EncoderFamily:
    """The family whose encoders have the ``model_type`` that ``config.json`` names.

    Of any other folder the first, whose ``read_config`` says what is wrong with it.
    """
    kind = _model_type(folder / "config.json")
    return next((family for family in FAMILIES if kind == family.MODEL_TYPE), FAMILIES[0])


def _model_type(file: Path) -> Any:
    try:
        raw = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return None
    return raw.get("model_type") if isinstance(raw, dict) else None
