"""Encoders of text, which have a tokenizer, and of images, which have one size (ViTs).

A family knows how to read and write its model folders, and the preparation of examples that is
saved with each model. A new family is one more of ``FAMILIES``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from tokenizers import Tokenizer
from torch import Tensor

from selfsup.corpus.tokenizer.folder import save_tokenizer
from selfsup.encoder.config import BERT_SIZES, VIT_SIZES, EncoderConfig, VitConfig
from selfsup.encoder.families import TEXT_FAMILIES, text_family
from selfsup.encoder.huggingface.config import (
    config_of,
    read_config,
    read_model_type,
    read_vit_config,
)
from selfsup.encoder.huggingface.folder import read_weights, save_model, tokenizer_of_model
from selfsup.encoder.huggingface.names import NameTable, vit_names
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


@dataclass(frozen=True)
class EncoderFamily(Generic[ConfigT, PreparationT]):
    """The encoders of one kind of input.

    The functions raise UserError where a folder lacks something, is damaged or not writable.

    Attributes:
        takes: what they take, for messages: "text" or "images".
        model_types: their names in Hugging Face's ``config.json``.
        prefix: sizes → how Hugging Face's names of an encoder's weights begin.
        sizes: the names of encoders that start from random weights.
        read_config: a folder → an encoder's sizes, and all entries of ``config.json``.
        read_weights: a folder → all weights of its model under Hugging Face's names.
        build_encoder: sizes, and ``pooled``: whether the task's head reads a pooler, which not all
            encoders have → an encoder whose weights the caller sets.
        encoder_names: sizes → Hugging Face's names for an encoder's parameters.
        config_of: sizes and Hugging Face's class → the entries of ``config.json``.
        read_preparation: a folder, all entries of its ``config.json`` and the encoder's sizes → how
            examples are prepared for its model.
        save: writes a model folder with the files that prepare examples for the model, from the
            folder, its weights, the entries of ``config.json``, the preparation, the model card.
    """

    takes: str
    model_types: tuple[str, ...]
    prefix: Callable[[ConfigT], str]
    sizes: tuple[str, ...]
    read_config: Callable[[str | Path], tuple[ConfigT, dict[str, Any]]]
    read_weights: Callable[[str | Path], dict[str, Tensor]]
    build_encoder: Callable[..., Any]
    encoder_names: Callable[[ConfigT], NameTable]
    config_of: Callable[[ConfigT, str], dict[str, Any]]
    read_preparation: Callable[[Path, Mapping[str, Any], ConfigT], PreparationT]
    save: Callable[[Path, Mapping[str, Tensor], Mapping[str, Any], PreparationT, str], None]


def _read_text_preparation(
    folder: Path, raw: Mapping[str, Any], config: EncoderConfig
) -> TextPreparation:
    limits = Limits.of_config(raw, config.longest_sequence)
    return TextPreparation(tokenizer_of_model(folder, config), limits, folder)


def _save_text_model(
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


TEXT_ENCODERS = EncoderFamily(
    takes="text",
    model_types=tuple(TEXT_FAMILIES),
    prefix=lambda config: text_family(config).prefix,
    sizes=tuple(BERT_SIZES),
    read_config=read_config,
    read_weights=read_weights,
    build_encoder=lambda config, *, pooled: text_family(config).build(config, pooled=pooled),
    encoder_names=lambda config: text_family(config).encoder_names(),
    config_of=config_of,
    read_preparation=_read_text_preparation,
    save=_save_text_model,
)
IMAGE_ENCODERS = EncoderFamily(
    takes="images",
    model_types=("vit",),
    prefix=lambda config: "vit.",
    sizes=tuple(VIT_SIZES),
    read_config=read_vit_config,
    read_weights=read_vit_weights,
    build_encoder=lambda config, *, pooled: VitEncoder(config),
    encoder_names=lambda config: vit_names(),
    config_of=config_of,
    read_preparation=lambda folder, raw, config: read_image_preparation(folder, config),
    save=lambda folder, state, config, preparation, model_card: save_vit(
        folder, state, config, model_card, mean=preparation.mean, std=preparation.std
    ),
)
FAMILIES: tuple[EncoderFamily, ...] = (TEXT_ENCODERS, IMAGE_ENCODERS)


def family_of_folder(folder: Path) -> EncoderFamily:
    """The family of a model folder, by the ``model_type`` in its ``config.json``.

    For an unknown type it is the first family, whose ``read_config`` explains what is wrong.

    Raises:
        UserError: the file is missing or damaged.
    """
    model_type = read_model_type(folder)
    return next((family for family in FAMILIES if model_type in family.model_types), FAMILIES[0])
