"""ModernBERT (Warner et al. 2024): pre-norm, rotary positions, gated feed-forward, no biases.

Most layers attend within a local window; every third one to the whole text.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import ClassVar, Literal, NotRequired, TypedDict

import torch
from torch import Tensor, nn

from selfsup.encoder.config import EncoderConfig
from selfsup.encoder.family import Head, MaskedLMHead, TextFamily
from selfsup.encoder.layers import ACTIVATIONS, Dropout, compute_dtype
from selfsup.encoder.packing import Packing, Queries
from selfsup.encoder.rotary import LocalAttention, RotaryAttention
from selfsup.encoder.text import TextEncoder
from selfsup.errors import UserError

_LOCAL = "sliding_attention"


class _Rope(TypedDict):
    rope_theta: NotRequired[float]
    rope_type: NotRequired[Literal["default"]]


class _RopeParameters(TypedDict):
    """The rotations of each kind of layer, as ``transformers`` 5 writes them."""

    full_attention: NotRequired[_Rope]
    sliding_attention: NotRequired[_Rope]


@dataclass(frozen=True)
class ModernBertConfig(EncoderConfig):
    """Sizes of a ModernBERT.

    ``layer_types`` and ``rope_parameters`` are how ``transformers`` 5 writes what
    ``global_attn_every_n_layers`` and the two ``…_rope_theta`` say; where they are given, they
    count.
    """

    model_type: ClassVar[str] = "modernbert"

    max_position_embeddings: int = 8192
    type_vocab_size: int = 1
    hidden_dropout_prob: float = 0.0
    attention_probs_dropout_prob: float = 0.0
    layer_norm_eps: float = 1e-5
    pad_token_id: int = 50283
    local_attention: int = 128
    global_attn_every_n_layers: int = 3
    global_rope_theta: float = 160_000.0
    local_rope_theta: float = 10_000.0
    layer_types: tuple[Literal["full_attention", "sliding_attention"], ...] | None = None
    rope_parameters: _RopeParameters | None = None
    embedding_dropout: float = 0.0
    classifier_activation: str = "gelu"
    classifier_pooling: Literal["cls", "mean"] = "cls"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden_size // self.num_attention_heads % 2:
            raise UserError(
                f"hidden_size {self.hidden_size} by num_attention_heads {self.num_attention_heads} "
                "is odd: pairs of values cannot be rotated"
            )
        if self.local_attention < 2:
            raise UserError(f"local_attention must be at least 2, not {self.local_attention}")
        if self.layer_types is not None and len(self.layer_types) != self.num_hidden_layers:
            raise UserError(
                f"layer_types names {len(self.layer_types)} layers, num_hidden_layers is "
                f"{self.num_hidden_layers}"
            )
        for is_local in (False, True):
            if not (0 < self.theta(is_local) < math.inf):
                raise UserError(f"rope_theta must be above 0, not {self.theta(is_local)}")
        if not 0 <= self.embedding_dropout < 1:
            raise UserError(f"embedding_dropout must be in [0, 1), not {self.embedding_dropout}")
        if self.classifier_activation not in ACTIVATIONS:
            raise UserError(f"classifier_activation must be one of {', '.join(ACTIVATIONS)}")

    def is_local(self, layer: int) -> bool:
        """Whether a layer, counted from 0, attends within a window."""
        if self.layer_types is not None:
            return self.layer_types[layer] == _LOCAL
        return layer % self.global_attn_every_n_layers != 0

    def theta(self, is_local: bool) -> float:
        """The base of the rotations' frequencies."""
        kind: Literal["full_attention", "sliding_attention"]
        kind = _LOCAL if is_local else "full_attention"
        old = self.local_rope_theta if is_local else self.global_rope_theta
        return (self.rope_parameters or {}).get(kind, {}).get("rope_theta", old)


class ModernBertEmbeddings(nn.Module):
    """Word embeddings, normalised; positions are up to the layers."""

    def __init__(self, config: ModernBertConfig) -> None:
        super().__init__()
        self.word = nn.Embedding(config.vocab_size, config.hidden_size)
        self.norm = _norm(config)
        self.dropout = Dropout(config.embedding_dropout)

    def forward(self, input_ids: Tensor, token_type_ids: Tensor, position_ids: Tensor) -> Tensor:
        """Three int64 [T], of which only the tokens count → [T, D]."""
        embedded = self.word(input_ids)
        return self.dropout(self.norm(embedded.to(compute_dtype(embedded))))


class ModernBertLayer(nn.Module):
    """Attention, then a gated feed-forward network; a norm before each (pre-norm)."""

    def __init__(self, config: ModernBertConfig, number: int) -> None:
        super().__init__()
        width, inner = config.hidden_size, config.intermediate_size
        dropout = config.attention_probs_dropout_prob
        is_local = config.is_local(number)
        common = width, config.num_attention_heads, dropout, config.theta(is_local)
        self.attention_norm = _norm(config) if number else nn.Identity()
        self.attention = (
            LocalAttention(*common, config.local_attention // 2)
            if is_local
            else RotaryAttention(*common)
        )
        self.attended_dropout = Dropout(dropout)
        self.feed_forward_norm = _norm(config)
        self.intermediate = nn.Linear(width, 2 * inner, bias=False)
        self.activation = ACTIVATIONS[config.hidden_act]
        self.dropout = Dropout(config.hidden_dropout_prob)
        self.output = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor, packing: Packing, queries: Queries | None = None) -> Tensor:
        """x [T, D] → [T, D], or [Q, D] of the queried tokens alone."""
        attended = self.attention(self.attention_norm(x), packing, queries)
        if queries is not None:
            x = x.index_select(0, queries.rows)
        x = x + self.attended_dropout(attended)
        inner, gate = self.intermediate(self.feed_forward_norm(x)).chunk(2, -1)  # [T, F]
        return x + self.output(self.dropout(self.activation(inner) * gate))


class MeanTextEncoder(TextEncoder):
    """An encoder whose classifier reads the mean over a sequence's tokens."""

    def sequence_states(
        self, input_ids: Tensor, token_type_ids: Tensor, packing: Packing
    ) -> Tensor:
        hidden = self.hidden_states(input_ids, token_type_ids, packing)
        lengths = packing.cu_seqlens.diff().long()
        numbers = torch.arange(len(lengths), device=hidden.device)
        sequences = numbers.repeat_interleave(lengths, output_size=len(hidden))
        sums = hidden.new_zeros(len(lengths), hidden.shape[1]).index_add(0, sequences, hidden)
        return sums / lengths[:, None]


def build_encoder(config: ModernBertConfig, *, pooled: bool) -> TextEncoder:
    """An encoder without a pooler, whatever is asked for."""
    kind = MeanTextEncoder if config.classifier_pooling == "mean" else TextEncoder
    layers = (ModernBertLayer(config, number) for number in range(config.num_hidden_layers))
    return kind(config, ModernBertEmbeddings(config), layers, norm=_norm(config))


def _norm(config: ModernBertConfig) -> nn.LayerNorm:
    return nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps, bias=False)


def _prediction_head(config: ModernBertConfig, dropout: float) -> nn.Sequential:
    dense = nn.Linear(config.hidden_size, config.hidden_size, bias=False)
    activation = ACTIVATIONS[config.classifier_activation]
    return nn.Sequential(OrderedDict(dense=dense, activation=activation, norm=_norm(config)))


def _span_head(config: ModernBertConfig, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict([*_prediction_head(config, dropout).named_children()]),
    ).append(nn.Dropout(dropout))


_HEAD_NAMES = {"dense": ("head.dense",), "norm": ("head.norm",)}
_WITHOUT_BIAS = {
    "attention_bias": False,
    "mlp_bias": False,
    "norm_bias": False,
    "classifier_bias": False,
    "decoder_bias": True,
}
_TOKENS = ("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id")
MODERNBERT = TextFamily(
    name="ModernBERT",
    classes="ModernBert",
    config=ModernBertConfig,
    build=build_encoder,
    prefix="model.",
    names={
        "embeddings.word": ("embeddings.tok_embeddings",),
        "embeddings.norm": ("embeddings.norm",),
        "layers.*.attention_norm": ("layers.*.attn_norm",),
        "layers.*.attention.query_key_value": ("layers.*.attn.Wqkv",),
        "layers.*.attention.output": ("layers.*.attn.Wo",),
        "layers.*.feed_forward_norm": ("layers.*.mlp_norm",),
        "layers.*.intermediate": ("layers.*.mlp.Wi",),
        "layers.*.output": ("layers.*.mlp.Wo",),
        "norm": ("final_norm",),
    },
    classification=Head("classifier", _prediction_head, _HEAD_NAMES),
    tokens=Head("classifier", _prediction_head, _HEAD_NAMES),
    spans=Head("classifier", _span_head, _HEAD_NAMES),
    masked_lm=MaskedLMHead(
        {**_HEAD_NAMES, "": ("decoder",)},
        decoder="decoder",
        activation=lambda config: config.classifier_activation,
        has_biases=False,
    ),
    supported=_WITHOUT_BIAS,
    # transformers would assume the ids of the first ModernBERT's vocabulary.
    written={**_WITHOUT_BIAS, **dict.fromkeys(_TOKENS), "tie_word_embeddings": True},
    config_names={
        "hidden_act": "hidden_activation",
        "hidden_dropout_prob": "mlp_dropout",
        "attention_probs_dropout_prob": "attention_dropout",
        "layer_norm_eps": "norm_eps",
        "type_vocab_size": None,
    },
)
