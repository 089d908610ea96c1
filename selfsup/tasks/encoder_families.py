"""All families of encoders, and which one a model folder is of. A new family is a line here."""

from pathlib import Path

from selfsup.encoder.config_file import read_model_type
from selfsup.tasks import image_family, text_family
from selfsup.tasks.encoder_family import EncoderFamily

FAMILIES: tuple[EncoderFamily, ...] = (text_family, image_family)


def family_of_folder(folder: Path) -> EncoderFamily:
    """The family whose encoders have the ``model_type`` that ``config.json`` names.

    Of any other folder the first, whose ``read_config`` says what is wrong with it.

    Raises:
        UserError: the file is missing or damaged.
    """
    kind = read_model_type(folder)
    return next((family for family in FAMILIES if kind == family.MODEL_TYPE), FAMILIES[0])
