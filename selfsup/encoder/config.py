"""The sizes of encoders, with the names in Hugging Face's ``config.json``."""

from dataclasses import dataclass, fields
from typing import ClassVar

from selfsup.errors import UserError


@dataclass(frozen=True)
class EncoderConfig:
    """Sizes and constants of a BERT encoder (Devlin et al. 2018, §3).

    Other text encoders have a subclass of their own, with their own ``model_type``.
    """

    model_type: ClassVar[str] = "bert"

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    layer_norm_eps: float = 1e-12
    initializer_range: float = 0.02
    pad_token_id: int = 0

    def __post_init__(self) -> None:
        _check_sizes(self)

    @property
    def longest_sequence(self) -> int:
        """The most tokens of a sequence."""
        return self.max_position_embeddings


# Layers and width of the compact models of Turc et al. 2019, "Well-Read Students Learn Better",
# Table 1, and of BERT's paper. A head is 64 wide, the feed-forward layer 4 times the width.
BERT_SIZES: dict[str, tuple[int, int]] = {
    "bert-tiny": (2, 128),
    "bert-mini": (4, 256),
    "bert-small": (4, 512),
    "bert-medium": (8, 512),
    "bert-base": (12, 768),
    "bert-large": (24, 1024),
}


def bert_config(name: str, vocab_size: int, dropout: float = 0.1) -> EncoderConfig:
    """The configuration of a BERT of a named size.

    Raises:
        UserError: the name is not one of ``BERT_SIZES``.
    """
    if name not in BERT_SIZES:
        raise UserError(f"no encoder is called {name!r}: choose one of {', '.join(BERT_SIZES)}")
    layers, width = BERT_SIZES[name]
    return EncoderConfig(
        vocab_size=vocab_size,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        intermediate_size=4 * width,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )


@dataclass(frozen=True)
class VitConfig:
    """Sizes and constants of a Vision Transformer (Dosovitskiy et al. 2020, §3.1)."""

    model_type: ClassVar[str] = "vit"

    image_size: int
    patch_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    num_channels: int = 3
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.0
    attention_probs_dropout_prob: float = 0.0
    layer_norm_eps: float = 1e-12
    initializer_range: float = 0.02
    qkv_bias: bool = True

    def __post_init__(self) -> None:
        _check_sizes(self)
        if self.image_size % self.patch_size:
            side = max(1, round(self.image_size / self.patch_size)) * self.patch_size
            raise UserError(
                f"an image size of {self.image_size} is not a multiple of the patch size "
                f"{self.patch_size}: take {side}, or another patch size"
            )
        if not self.qkv_bias:
            raise UserError("qkv_bias is False; only True can be computed")

    @property
    def grid(self) -> int:
        """Patches along a side of the image."""
        return self.image_size // self.patch_size

    @property
    def patch_count(self) -> int:
        """Patches of an image."""
        return self.grid**2

    @property
    def patch_values(self) -> int:
        """Numbers in a patch: its pixels times the channels."""
        return self.num_channels * self.patch_size**2


# Layers, width and heads. ViT-Base: Dosovitskiy et al. 2020, Table 1. ViT-Tiny and ViT-Small:
# Touvron et al. 2020 (DeiT), Table 1. ViT-Mini is our own, for two cores. The feed-forward layer is
# 4 times the width.
VIT_SIZES: dict[str, tuple[int, int, int]] = {
    "vit-mini": (6, 128, 4),
    "vit-tiny": (12, 192, 3),
    "vit-small": (12, 384, 6),
    "vit-base": (12, 768, 12),
}


def vit_config(name: str, image_size: int, patch_size: int, dropout: float = 0.0) -> VitConfig:
    """The configuration of a ViT of a named size, for square RGB images.

    Raises:
        UserError: the name is not one of ``VIT_SIZES``, or the patch size does not divide the image
            size.
    """
    if name not in VIT_SIZES:
        raise UserError(
            f"no image encoder is called {name!r}: choose one of {', '.join(VIT_SIZES)}"
        )
    layers, width, heads = VIT_SIZES[name]
    return VitConfig(
        image_size=image_size,
        patch_size=patch_size,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )


# More than any model that is known has; a file with a larger number is damaged.
_LARGEST = {
    "vocab_size": 1 << 23,
    "hidden_size": 1 << 15,
    "embedding_size": 1 << 15,
    "num_hidden_layers": 1000,
    "num_attention_heads": 1 << 10,
    "intermediate_size": 1 << 18,
    "max_position_embeddings": 1 << 20,
    "type_vocab_size": 1 << 16,
    "image_size": 1 << 14,
    "patch_size": 1 << 12,
    "initializer_range": 1000,
    "layer_norm_eps": 1,
}
_FROM_ZERO = ("pad_token_id", "initializer_range", "layer_norm_eps")


def _check_sizes(config: EncoderConfig | VitConfig) -> None:
    for field in fields(config):
        value, most = getattr(config, field.name), _LARGEST.get(field.name)
        least = 0 if field.name in _FROM_ZERO else 1
        # Written so that NaN is refused too.
        if field.type is int and not value >= least:
            raise UserError(f"{field.name} must be at least {least}, not {value}")
        if most is not None and not 0 <= value <= most:
            raise UserError(f"{field.name} must be between {least} and {most:,}, not {value}")
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
        if not 0 <= getattr(config, name) < 1:
            raise UserError(f"{name} must be in [0, 1), not {getattr(config, name)}")
    if getattr(config, "pad_token_id", 0) >= getattr(config, "vocab_size", 1):
        raise UserError("pad_token_id must be below vocab_size")
    if config.hidden_size % config.num_attention_heads:
        raise UserError(
            f"hidden_size {config.hidden_size} is not a multiple of "
            f"num_attention_heads {config.num_attention_heads}"
        )
