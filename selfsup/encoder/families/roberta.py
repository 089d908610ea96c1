"""RoBERTa (Liu et al. 2019), XLM-RoBERTa (Conneau et al. 2019) and CamemBERT (Martin et al. 2019).

BERT's layers. Positions are counted from the one after ``pad_token_id``, there is no pooler, and a
classifier has a dense layer of its own.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from selfsup.encoder.bert import BertEmbeddings, BertLayer
from selfsup.encoder.config import EncoderConfig
from selfsup.encoder.families.bert import BERT, BERT_NAMES
from selfsup.encoder.family import Head, MaskedLMHead, TextFamily, dense_before_scores
from selfsup.encoder.text import TextEncoder
from selfsup.errors import UserError


@dataclass(frozen=True)
class RobertaConfig(EncoderConfig):
    """Sizes of a RoBERTa; the first positions, up to ``pad_token_id``, belong to no token."""

    model_type: ClassVar[str] = "roberta"

    pad_token_id: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.longest_sequence < 1:
            raise UserError(
                f"max_position_embeddings is {self.max_position_embeddings}, but the first "
                f"{self.pad_token_id + 1} positions belong to no token"
            )

    @property
    def longest_sequence(self) -> int:
        return self.max_position_embeddings - self.pad_token_id - 1


@dataclass(frozen=True)
class XlmRobertaConfig(RobertaConfig):
    """Sizes of an XLM-RoBERTa."""

    model_type: ClassVar[str] = "xlm-roberta"


@dataclass(frozen=True)
class CamembertConfig(RobertaConfig):
    """Sizes of a CamemBERT."""

    model_type: ClassVar[str] = "camembert"


class RobertaEmbeddings(BertEmbeddings):
    """As BERT's, with positions from ``pad_token_id + 1`` on.

    A tokenizer may tell more segments apart than the model, as that of KLUE's RoBERTa does: the
    model's last segment stands for those that it lacks.
    """

    def __init__(self, config: RobertaConfig) -> None:
        super().__init__(config)
        self.first_position = config.pad_token_id + 1
        self.last_segment = config.type_vocab_size - 1

    def forward(self, input_ids: Tensor, token_type_ids: Tensor, position_ids: Tensor) -> Tensor:
        segments = token_type_ids.clamp(max=self.last_segment)
        return super().forward(input_ids, segments, position_ids + self.first_position)


def build_encoder(config: RobertaConfig, *, pooled: bool) -> TextEncoder:
    """An encoder without a pooler, whatever is asked for."""
    layers = (BertLayer(config) for _ in range(config.num_hidden_layers))
    return TextEncoder(config, RobertaEmbeddings(config), layers)


def _family(name: str, classes: str, config: type[RobertaConfig]) -> TextFamily:
    return TextFamily(
        name=name,
        classes=classes,
        config=config,
        build=build_encoder,
        prefix="roberta.",
        names={ours: theirs for ours, theirs in BERT_NAMES.items() if ours != "pooler"},
        classification=Head(
            "classifier.out_proj", dense_before_scores(nn.Tanh), {"dense": ("classifier.dense",)}
        ),
        tokens=BERT.tokens,
        spans=BERT.spans,
        masked_lm=MaskedLMHead(
            {"dense": ("lm_head.dense",), "norm": ("lm_head.layer_norm",), "": ("lm_head",)},
            decoder="lm_head.decoder",
            activation=lambda config: "gelu",
        ),
        supported=BERT.supported,
        written=BERT.written,
    )


ROBERTA = _family("RoBERTa", "Roberta", RobertaConfig)
XLM_ROBERTA = _family("XLM-RoBERTa", "XLMRoberta", XlmRobertaConfig)
CAMEMBERT = _family("CamemBERT", "Camembert", CamembertConfig)
