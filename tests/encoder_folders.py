"""Encoders alone, without heads, loaded from model folders and as weights to save."""

from pathlib import Path

from torch import Tensor

from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.families.bert import BERT
from selfsup.encoder.huggingface.config import read_config, read_vit_config
from selfsup.encoder.huggingface.folder import load_weights, read_weights
from selfsup.encoder.huggingface.names import to_hugging_face, vit_names
from selfsup.encoder.huggingface.vit_folder import read_vit_weights, with_image_size
from selfsup.encoder.vit import VitEncoder

Missing = tuple[str, ...]


def load_encoder(folder: str | Path, seed: int = 0) -> tuple[BertEncoder, Missing]:
    """The encoder of a BERT model folder, in evaluation mode; a missing pooler is drawn by seed."""
    config, _ = read_config(folder)
    encoder = BertEncoder(config)
    weights = read_weights(folder)
    missing = load_weights(
        encoder, weights, BERT.encoder_names(), config.initializer_range, seed, folder
    )
    return encoder.eval(), missing


def encoder_state(encoder: BertEncoder) -> dict[str, Tensor]:
    """The weights under Hugging Face's names, with the prefix ``bert.``."""
    return to_hugging_face(encoder.named_parameters(), BERT.encoder_names())


def load_vit(folder: str | Path, image_size: int | None = None) -> tuple[VitEncoder, Missing]:
    """The encoder of a ViT model folder, in evaluation mode, for images of ``image_size``."""
    config, _ = read_vit_config(folder)
    config, weights = with_image_size(config, read_vit_weights(folder), image_size)
    encoder = VitEncoder(config)
    missing = load_weights(encoder, weights, vit_names(), config.initializer_range, 0, folder)
    return encoder.eval(), missing


def vit_state(encoder: VitEncoder) -> dict[str, Tensor]:
    """The weights under Hugging Face's names, with the prefix ``vit.``."""
    return to_hugging_face(encoder.named_parameters(), vit_names())
