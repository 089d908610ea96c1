"""DistilBERT (Sanh et al. 2019): BERT's layers, without segments and without a pooler."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from selfsup.encoder.bert import BertLayer
from selfsup.encoder.config import EncoderConfig
from selfsup.encoder.family import Head, MaskedLMHead, TextFamily
from selfsup.encoder.layers import Dropout, compute_dtype
from selfsup.encoder.text import TextEncoder


@dataclass(frozen=True)
class DistilBertConfig(EncoderConfig):
    """Sizes of a DistilBERT."""

    model_type: ClassVar[str] = "distilbert"

    type_vocab_size: int = 1


class DistilBertEmbeddings(nn.Module):
    """The sum of word and position embeddings, normalised."""

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__()
        self.word = nn.Embedding(config.vocab_size, config.hidden_size)
        self.position = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout_prob)

    def forward(self, input_ids: Tensor, token_type_ids: Tensor, position_ids: Tensor) -> Tensor:
        """Three int64 [T], of which the segments do not count → [T, D]."""
        embedded = self.word(input_ids) + self.position(position_ids)
        return self.dropout(self.norm(embedded.to(compute_dtype(embedded))))


def build_encoder(config: DistilBertConfig, *, pooled: bool) -> TextEncoder:
    """An encoder without a pooler, whatever is asked for; dropout only after feed-forward."""
    layers = (BertLayer(config, drop_attended=False) for _ in range(config.num_hidden_layers))
    return TextEncoder(config, DistilBertEmbeddings(config), layers)


def _classifier_layers(config: DistilBertConfig, dropout: float) -> nn.Sequential:
    width = config.hidden_size
    return nn.Sequential(OrderedDict(dense=nn.Linear(width, width), activation=nn.ReLU()))


def _dropout(config: DistilBertConfig, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Dropout(dropout))


_LAYER, _ATTENTION = "transformer.layer.*", "transformer.layer.*.attention"
DISTILBERT = TextFamily(
    name="DistilBERT",
    classes="DistilBert",
    config=DistilBertConfig,
    build=build_encoder,
    prefix="distilbert.",
    names={
        "embeddings.word": ("embeddings.word_embeddings",),
        "embeddings.position": ("embeddings.position_embeddings",),
        "embeddings.norm": ("embeddings.LayerNorm",),
        "layers.*.attention.query_key_value": (
            f"{_ATTENTION}.q_lin",
            f"{_ATTENTION}.k_lin",
            f"{_ATTENTION}.v_lin",
        ),
        "layers.*.attention.output": (f"{_ATTENTION}.out_lin",),
        "layers.*.attention_norm": (f"{_LAYER}.sa_layer_norm",),
        "layers.*.intermediate": (f"{_LAYER}.ffn.lin1",),
        "layers.*.output": (f"{_LAYER}.ffn.lin2",),
        "layers.*.output_norm": (f"{_LAYER}.output_layer_norm",),
    },
    classification=Head("classifier", _classifier_layers, {"dense": ("pre_classifier",)}),
    tokens=Head("classifier"),
    spans=Head("qa_outputs", _dropout),
    masked_lm=MaskedLMHead(
        {"dense": ("vocab_transform",), "norm": ("vocab_layer_norm",), "": ("vocab_projector",)},
        decoder="vocab_projector",
    ),
    written={"tie_word_embeddings": True},
    config_names={
        "hidden_size": "dim",
        "num_hidden_layers": "n_layers",
        "num_attention_heads": "n_heads",
        "intermediate_size": "hidden_dim",
        "hidden_act": "activation",
        "hidden_dropout_prob": "dropout",
        "attention_probs_dropout_prob": "attention_dropout",
        "type_vocab_size": None,
        "layer_norm_eps": None,
    },
)
