"""The families of encoders: BERTs read text with a tokenizer, ViTs look at images of one size.

A family knows how to read and write its model folders, and the preparation of examples that is
saved with each model. A new family is a subclass and an entry in ``FAMILIES``.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar

from tokenizers import Tokenizer
from torch import Tensor

from selfsup.corpus.tokenizer.folder import save_tokenizer
from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.config import BERT_SIZES, VIT_SIZES, EncoderConfig, VitConfig
from selfsup.encoder.huggingface.config import (
    config_of,
    read_config,
    read_model_type,
    read_vit_config,
)
from selfsup.encoder.huggingface.folder import read_weights, save_model, tokenizer_of_model
from selfsup.encoder.huggingface.names import NameTable, encoder_names, vit_names
from selfsup.encoder.huggingface.vit_folder import (
    ImagePreparation,
    read_image_preparation,
    read_vit_weights,
    save_vit,
)
from selfsup.encoder.vit import VitEncoder

LongText = Literal["truncate", "window"]

# As in BERT's own experiments on SQuAD.
DEFAULT_MAX_ANSWER_LENGTH = 30
_SHORTEST = 8  # as for --max-length


@dataclass(frozen=True)
class Limits:
    """The limits on a model's sequences, which are saved with the model.

    Attributes:
        max_length: most tokens of a sequence, ``[CLS]`` and ``[SEP]`` included.
        doc_stride: tokens that consecutive windows share.
        long_text: for tasks that allow both: "truncate" longer texts, or read them in windows.
        max_answer_length: for question answering: most tokens of an answer.
    """

    max_length: int
    doc_stride: int
    long_text: LongText = "truncate"
    max_answer_length: int = DEFAULT_MAX_ANSWER_LENGTH

    def config_entries(self) -> dict[str, Any]:
        """Entries of ``config.json``; ``transformers`` keeps entries that it does not know."""
        return {
            "selfsup_max_length": self.max_length,
            "selfsup_doc_stride": self.doc_stride,
            "selfsup_long_text": self.long_text,
            "selfsup_max_answer_length": self.max_answer_length,
        }

    @classmethod
    def of_config(cls, raw: Mapping[str, Any], max_positions: int) -> "Limits":
        """The limits in a ``config.json``.

        Where it has no usable length, the length is the number of positions.
        """
        length = raw.get("selfsup_max_length")
        if not isinstance(length, int) or not _SHORTEST <= length <= max_positions:
            length = max_positions
        stride = raw.get("selfsup_doc_stride")
        stride = stride if isinstance(stride, int) and stride >= 0 else default_doc_stride(length)
        answer = raw.get("selfsup_max_answer_length")
        return cls(
            length,
            stride,
            "window" if raw.get("selfsup_long_text") == "window" else "truncate",
            answer if isinstance(answer, int) and answer >= 1 else DEFAULT_MAX_ANSWER_LENGTH,
        )


def default_doc_stride(max_length: int) -> int:
    """A third of the length, as in the usual 128 of 384 tokens for questions on long texts."""
    return max_length // 3


@dataclass(frozen=True)
class TextPreparation:
    """How texts become token ids; it is saved with the model.

    Attributes:
        tokenizer: turns text into tokens.
        limits: how long a sequence may be, and how longer texts are handled.
        folder: where the tokenizer's files are; None if it was trained in this run.
    """

    tokenizer: Tokenizer
    limits: Limits
    folder: Path | None = None

    def settings(self) -> dict[str, Any]:
        """The fine-tuning settings that this fixes, by name, for ``run.yaml``."""
        return {"max_length": self.limits.max_length}


ConfigT = TypeVar("ConfigT", EncoderConfig, VitConfig)
PreparationT = TypeVar("PreparationT", TextPreparation, ImagePreparation)


class EncoderFamily(ABC, Generic[ConfigT, PreparationT]):
    """The encoders of one architecture.

    Attributes:
        takes: what they take, for messages: "text" or "images".
        model_type: their name in Hugging Face's ``config.json``.
        prefix: how Hugging Face's names of an encoder's weights begin.
        sizes: the names of encoders that start from random weights.
    """

    takes: ClassVar[str]
    model_type: ClassVar[str]
    prefix: ClassVar[str]
    sizes: ClassVar[tuple[str, ...]]

    @abstractmethod
    def read_config(self, folder: str | Path) -> tuple[ConfigT, dict[str, Any]]:
        """An encoder's sizes, and all entries of ``config.json``.

        Raises:
            UserError: there is no such file, or it describes another kind of model.
        """

    @abstractmethod
    def read_weights(self, folder: str | Path) -> dict[str, Tensor]:
        """All weights of a model folder under Hugging Face's names.

        Raises:
            UserError: they are missing or damaged.
        """

    @abstractmethod
    def build_encoder(self, config: ConfigT, *, pooled: bool) -> Any:
        """An encoder whose weights the caller sets.

        Args:
            config: its sizes.
            pooled: whether the task's head reads a pooler; not all encoders have one.
        """

    @abstractmethod
    def encoder_names(self, prefix: str = "") -> NameTable:
        """Hugging Face's names for the parameters that are named ``prefix + …`` here."""

    @abstractmethod
    def config_of(self, config: ConfigT, architecture: str) -> dict[str, Any]:
        """The entries of ``config.json`` for an encoder in Hugging Face's ``architecture``."""

    @abstractmethod
    def read_preparation(
        self, folder: Path, raw: Mapping[str, Any], config: ConfigT
    ) -> PreparationT:
        """How examples are prepared for the model of a folder.

        Args:
            folder: the model folder.
            raw: all entries of its ``config.json``.
            config: the encoder's sizes.

        Raises:
            UserError: it is missing or damaged, or asks for something unsupported.
        """

    @abstractmethod
    def save(
        self,
        folder: Path,
        state: Mapping[str, Tensor],
        config: Mapping[str, Any],
        preparation: PreparationT,
        model_card: str,
    ) -> None:
        """Write a model folder, with the files that prepare examples for the model.

        Raises:
            UserError: the disk is full, read-only or not writable.
        """


class TextEncoders(EncoderFamily[EncoderConfig, TextPreparation]):
    """BERTs, each with its tokenizer."""

    takes = "text"
    model_type = "bert"
    prefix = "bert."
    sizes = tuple(BERT_SIZES)

    def read_config(self, folder: str | Path) -> tuple[EncoderConfig, dict[str, Any]]:
        return read_config(folder)

    def read_weights(self, folder: str | Path) -> dict[str, Tensor]:
        return read_weights(folder)

    def build_encoder(self, config: EncoderConfig, *, pooled: bool) -> BertEncoder:
        return BertEncoder(config, pooled=pooled)

    def encoder_names(self, prefix: str = "") -> NameTable:
        return encoder_names(prefix)

    def config_of(self, config: EncoderConfig, architecture: str) -> dict[str, Any]:
        return config_of(config, architecture)

    def read_preparation(
        self, folder: Path, raw: Mapping[str, Any], config: EncoderConfig
    ) -> TextPreparation:
        limits = Limits.of_config(raw, config.max_position_embeddings)
        return TextPreparation(tokenizer_of_model(folder, config), limits, folder)

    def save(
        self,
        folder: Path,
        state: Mapping[str, Tensor],
        config: Mapping[str, Any],
        preparation: TextPreparation,
        model_card: str,
    ) -> None:
        tokenizer = preparation.folder
        if tokenizer is None:  # trained in this run: first write it beside the model folder
            tokenizer = folder.parent / "tokenizer"
            save_tokenizer(preparation.tokenizer, tokenizer)
        # transformers keeps entries that it does not know.
        config = {**config, **preparation.limits.config_entries()}
        save_model(folder, state, config, tokenizer, model_card)


class ImageEncoders(EncoderFamily[VitConfig, ImagePreparation]):
    """ViTs, which take square images of one size. They have no pooler."""

    takes = "images"
    model_type = "vit"
    prefix = "vit."
    sizes = tuple(VIT_SIZES)

    def read_config(self, folder: str | Path) -> tuple[VitConfig, dict[str, Any]]:
        return read_vit_config(folder)

    def read_weights(self, folder: str | Path) -> dict[str, Tensor]:
        return read_vit_weights(folder)

    def build_encoder(self, config: VitConfig, *, pooled: bool) -> VitEncoder:
        return VitEncoder(config)

    def encoder_names(self, prefix: str = "") -> NameTable:
        return vit_names(prefix)

    def config_of(self, config: VitConfig, architecture: str) -> dict[str, Any]:
        return config_of(config, architecture)

    def read_preparation(
        self, folder: Path, raw: Mapping[str, Any], config: VitConfig
    ) -> ImagePreparation:
        return read_image_preparation(folder, config)

    def save(
        self,
        folder: Path,
        state: Mapping[str, Tensor],
        config: Mapping[str, Any],
        preparation: ImagePreparation,
        model_card: str,
    ) -> None:
        save_vit(folder, state, config, model_card, mean=preparation.mean, std=preparation.std)


TEXT_ENCODERS = TextEncoders()
IMAGE_ENCODERS = ImageEncoders()
FAMILIES: tuple[EncoderFamily, ...] = (TEXT_ENCODERS, IMAGE_ENCODERS)


def family_of_folder(folder: Path) -> EncoderFamily:
    """The family of a model folder, by the ``model_type`` in its ``config.json``.

    For an unknown type it is the first family, whose ``read_config`` explains what is wrong.

    Raises:
        UserError: the file is missing or damaged.
    """
    model_type = read_model_type(folder)
    return next((family for family in FAMILIES if model_type == family.model_type), FAMILIES[0])
