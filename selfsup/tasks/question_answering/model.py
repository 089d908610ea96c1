"""The model of question answering: each token's scores as an answer's start and end (BERT §4.2).

Shapes: B windows in a batch, W in all, T tokens in all, L length of the longest window, D width.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from selfsup.encoder.attention import pad
from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.huggingface.names import NameTable, encoder_names
from selfsup.tasks.base import Losses
from selfsup.tasks.batches import HeadOnFeatures
from selfsup.tasks.classification.model import ScoreLayer
from selfsup.tasks.question_answering.windows import AnswerBatch
from selfsup.tasks.text_windows import IGNORE_INDEX


class SpanModel(nn.Module):
    """An encoder and a linear layer over every token, without dropout before the layer."""

    def __init__(self, encoder: BertEncoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.qa_outputs = ScoreLayer(encoder.config.hidden_size, 2)

    def forward(self, batch: AnswerBatch) -> Losses:
        """Mean loss in nats, windows with both ends right, number of windows."""
        return span_loss(self.scores(batch), batch)

    def scores(self, batch: AnswerBatch) -> Tensor:
        """Scores (logits) of each token as a start and as an end, [T, 2]."""
        return self.qa_outputs(self.features(batch))

    def features(self, batch: AnswerBatch) -> Tensor:
        """The encoder's output for each token, [T, D]."""
        return self.encoder.hidden_states(batch.input_ids, batch.token_type_ids, batch.packing)

    def on_features(self, features: Tensor | None = None) -> HeadOnFeatures:
        """The linear layer alone, sharing this model's parameters."""
        return HeadOnFeatures(self.qa_outputs, span_loss)

    def saved_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """The parameters as they are."""
        return self.named_parameters()


def span_loss(scores: Tensor, batch: AnswerBatch) -> Losses:
    """The mean of two cross-entropies over the tokens of each window: of the start and of the end.

    Windows with an unknown answer are left out.

    Args:
        scores: [T, 2].
        batch: its windows and their labels.
    """
    padded = pad(scores.float(), batch.packing).transpose(1, 2)  # [B, 2, L]
    if batch.packing.padding_bias is not None:
        padded = padded + batch.packing.padding_bias[:, 0]  # [B, 1, L]
    labels = batch.labels
    summed = F.cross_entropy(
        padded.flatten(0, 1), labels.flatten(), ignore_index=IGNORE_INDEX, reduction="sum"
    )
    known = (labels != IGNORE_INDEX).sum()
    right = (padded.detach().argmax(-1) == labels).all(-1).sum()
    return {"answer": (summed / known.clamp(min=1), right, len(labels))}


def parameter_names() -> NameTable:
    """Hugging Face's names for a ``SpanModel``'s parameters; it has no pooler."""
    names = {**encoder_names("encoder."), "qa_outputs": ("qa_outputs",)}
    return {ours: theirs for ours, theirs in names.items() if ours != "encoder.pooler"}


def mean_loss(scores: Tensor, lengths: Tensor, labels: Tensor) -> float:
    """The loss of many windows, from their scores.

    Args:
        scores: float [T, 2], of all windows, concatenated.
        lengths: int64 [W], tokens of each window.
        labels: int64 [W, 2].
    """
    scores = scores.double()
    first_rows = lengths.cumsum(0) - lengths
    top = torch.segment_reduce(scores, "max", lengths=lengths, axis=0)  # [W, 2]
    rest = torch.exp(scores - top.repeat_interleave(lengths, 0))
    logarithm = top + torch.segment_reduce(rest, "sum", lengths=lengths, axis=0).log()
    known = labels[:, 0] != IGNORE_INDEX
    if not known.any():
        return 0.0
    rows = (first_rows[:, None] + labels)[known]
    return float((logarithm[known] - scores.gather(0, rows)).mean())
