"""Encoders of one form, and what makes examples ready for them.

A family is a module like this: BERTs read text, with a tokenizer; ViTs look at images of one size.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from selfsup.encoder.huggingface.config import read_model_type
from selfsup.encoder.huggingface.names import NameTable
from selfsup.tasks import image_encoder as image_family
from selfsup.tasks import text_encoder as text_family


class Preparation(Protocol):
    """How examples are made ready for one model; it is saved with the model."""

    def settings(self) -> dict[str, Any]:
        """What of it are settings of fine-tuning, by their names, for ``run.yaml``."""
        ...


class EncoderFamily(Protocol):
    """Encoders of one form.

    Attributes:
        TAKES: what they take, for messages: "text" or "images".
        MODEL_TYPE: what Hugging Face's ``config.json`` calls them.
        PREFIX: how Hugging Face's names of an encoder's weights begin.
        SIZES: the names of encoders that start from random weights.
    """

    @property
    def TAKES(self) -> str: ...
    @property
    def MODEL_TYPE(self) -> str: ...
    @property
    def PREFIX(self) -> str: ...
    @property
    def SIZES(self) -> tuple[str, ...]: ...

    def read_config(self, folder: str | Path, /) -> tuple[Any, dict[str, Any]]:
        """An encoder's sizes, and all that ``config.json`` says.

        Raises:
            UserError: there is no such file, or it describes another kind of model.
        """
        ...

    def read_weights(self, folder: str | Path, /) -> dict[str, Tensor]:
        """All weights of a model folder under Hugging Face's names.

        Raises:
            UserError: they are missing or damaged.
        """
        ...

    def build_encoder(self, config: Any, *, pooled: bool) -> Any:
        """An encoder whose weights are yet to be set.

        Args:
            config: its sizes.
            pooled: whether the task's head stands on a pooler; not all encoders have one.
        """
        ...

    def encoder_names(self, prefix: str = "") -> NameTable:
        """What Hugging Face calls the parameters of an encoder named ``prefix + …`` here."""
        ...

    def config_of(self, config: Any, architecture: str) -> dict[str, Any]:
        """What ``config.json`` says of an encoder in a model of Hugging Face's ``architecture``."""
        ...

    def read_preparation(self, folder: Path, raw: Mapping[str, Any], config: Any) -> Any:
        """What makes examples ready for the model of a folder, a ``Preparation``.

        Args:
            folder: the model folder.
            raw: all that its ``config.json`` says.
            config: the encoder's sizes.

        Raises:
            UserError: it is missing or damaged, or does what is not done here.
        """
        ...

    def save(
        self,
        folder: Path,
        state: Mapping[str, Tensor],
        config: Mapping[str, Any],
        preparation: Any,
        model_card: str,
    ) -> None:
        """Write a model folder with all that makes examples ready for the model.

        Raises:
            UserError: the disk is full, read-only or not yours.
        """
        ...


# All families of encoders, and which one a model folder is of. A new family is a line here.


FAMILIES: tuple[EncoderFamily, ...] = (text_family, image_family)


def family_of_folder(folder: Path) -> EncoderFamily:
    """The family whose encoders have the ``model_type`` that ``config.json`` names.

    Of any other folder the first, whose ``read_config`` says what is wrong with it.

    Raises:
        UserError: the file is missing or damaged.
    """
    kind = read_model_type(folder)
    return next((family for family in FAMILIES if kind == family.MODEL_TYPE), FAMILIES[0])
