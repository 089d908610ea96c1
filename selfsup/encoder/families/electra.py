"""ELECTRA (Clark et al. 2020): BERT's layers over narrower embeddings, which are projected.

A discriminator's folder has no head for masked tokens; a generator's has. There is no pooler.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from selfsup.encoder.bert import BertEmbeddings, BertLayer
from selfsup.encoder.config import EncoderConfig
from selfsup.encoder.families.bert import BERT, BERT_NAMES
from selfsup.encoder.family import Head, MaskedLMHead, TextFamily, dense_before_scores
from selfsup.encoder.text import TextEncoder


@dataclass(frozen=True)
class ElectraConfig(EncoderConfig):
    """Sizes of an ELECTRA; ``embedding_size`` is the width of its embeddings."""

    model_type: ClassVar[str] = "electra"

    embedding_size: int = 128


class ElectraEmbeddings(BertEmbeddings):
    """BERT's embeddings of ``embedding_size``, projected to the layers' width if that differs."""

    def __init__(self, config: ElectraConfig) -> None:
        super().__init__(config, config.embedding_size)
        self.projection = nn.Identity()
        if config.embedding_size != config.hidden_size:
            self.projection = nn.Linear(config.embedding_size, config.hidden_size)

    def forward(self, input_ids: Tensor, token_type_ids: Tensor, position_ids: Tensor) -> Tensor:
        return self.projection(super().forward(input_ids, token_type_ids, position_ids))


def build_encoder(config: ElectraConfig, *, pooled: bool) -> TextEncoder:
    """An encoder without a pooler, whatever is asked for."""
    layers = (BertLayer(config) for _ in range(config.num_hidden_layers))
    return TextEncoder(config, ElectraEmbeddings(config), layers)


ELECTRA = TextFamily(
    name="ELECTRA",
    classes="Electra",
    config=ElectraConfig,
    build=build_encoder,
    prefix="electra.",
    names={
        **{ours: theirs for ours, theirs in BERT_NAMES.items() if ours != "pooler"},
        "embeddings.projection": ("embeddings_project",),
    },
    classification=Head(
        "classifier.out_proj", dense_before_scores(nn.GELU), {"dense": ("classifier.dense",)}
    ),
    tokens=BERT.tokens,
    spans=BERT.spans,
    masked_lm=MaskedLMHead(
        {
            "dense": ("generator_predictions.dense",),
            "norm": ("generator_predictions.LayerNorm",),
            "": ("generator_lm_head",),
        },
        decoder="generator_lm_head",
        activation=lambda config: "gelu",
    ),
    supported=BERT.supported,
    written=BERT.written,
    needs_segments=True,
)
