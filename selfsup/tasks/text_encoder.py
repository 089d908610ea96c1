"""What makes texts ready for a model: its tokenizer, and how long a text may be."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from torch import Tensor

from selfsup.corpus.tokenizer.folder import load_tokenizer, save_tokenizer
from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.config import BERT_SIZES, EncoderConfig
from selfsup.encoder.huggingface.config import config_of, read_config
from selfsup.encoder.huggingface.folder import read_weights, save_model, tokenizer_of_model
from selfsup.encoder.huggingface.names import encoder_names
from selfsup.tasks.labels import Limits, limits_of_config, limits_to_config


@dataclass(frozen=True)
class TextPreparation:
    """How texts become token ids; it is saved with the model.

    Attributes:
        tokenizer: from text to tokens.
        limits: how long a text may be, and what becomes of a longer one.
        folder: where the tokenizer's files lie; None if it was trained just now.
    """

    tokenizer: Tokenizer
    limits: Limits
    folder: Path | None = None

    def settings(self) -> dict[str, Any]:
        """What of it are settings of fine-tuning, by their names."""
        return {"max_length": self.limits.max_length}


def text_preparation(tokenizer_folder: Path, limits: Limits) -> TextPreparation:
    """With the tokenizer of a folder.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    return TextPreparation(load_tokenizer(tokenizer_folder), limits, tokenizer_folder)


# Encoders of text: BERTs, with the tokenizer that goes with each; see ``encoder_family``.


__all__ = [
    "MODEL_TYPE",
    "PREFIX",
    "SIZES",
    "TAKES",
    "build_encoder",
    "config_of",
    "encoder_names",
    "read_config",
    "read_preparation",
    "read_weights",
    "save",
]

TAKES = "text"
MODEL_TYPE = "bert"
PREFIX = "bert."
SIZES = tuple(BERT_SIZES)


def build_encoder(config: EncoderConfig, *, pooled: bool) -> BertEncoder:
    """An encoder whose weights are yet to be set."""
    return BertEncoder(config, pooled=pooled)


def read_preparation(
    folder: Path, raw: Mapping[str, Any], config: EncoderConfig
) -> TextPreparation:
    """The tokenizer and the limits of a model folder.

    Raises:
        UserError: as ``tokenizer_of_model``.
    """
    limits = limits_of_config(dict(raw), config.max_position_embeddings)
    return TextPreparation(tokenizer_of_model(folder, config), limits, folder)


def save(
    folder: Path,
    state: Mapping[str, Tensor],
    config: Mapping[str, Any],
    preparation: TextPreparation,
    model_card: str,
) -> None:
    """Write a model folder with the tokenizer's files; where texts were cut is in the config.

    A tokenizer that was trained just now is first written beside the folder.
    """
    tokenizer = preparation.folder
    if tokenizer is None:
        tokenizer = folder.parent / "tokenizer"
        save_tokenizer(preparation.tokenizer, tokenizer)
    # transformers keeps what it does not know.
    config = {**config, **limits_to_config(preparation.limits)}
    save_model(folder, state, config, tokenizer, model_card)
