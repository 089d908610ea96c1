"""The model of question answering: each token's scores as an answer's start and end (BERT §4.2).

Shapes: B windows in a batch, T tokens in all, L length of the longest window, D width.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from selfsup.encoder.attention import pad
from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.huggingface.names import NameTable, encoder_names
from selfsup.tasks.base import Losses
from selfsup.tasks.batches import FeatureBatch
from selfsup.tasks.classification.encoding import IGNORE_INDEX
from selfsup.tasks.classification.model import ScoreLayer
from selfsup.tasks.question_answering.windows import AnswerBatch

HEAD_NAMES: NameTable = {"qa_outputs": ("qa_outputs",)}


class SpanModel(nn.Module):
    """An encoder and a linear layer over every token. There is no dropout before the layer."""

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
        """What the encoder makes of each token, [T, D]."""
        return self.encoder.hidden_states(batch.input_ids, batch.token_type_ids, batch.packing)

    def on_features(self, features: Tensor | None = None) -> "SpansOnFeatures":
        """What stands over the features, sharing this model's parameters."""
        return SpansOnFeatures(self)

    def saved_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """The parameters as they are."""
        return self.named_parameters()


class SpansOnFeatures(nn.Module):
    """The linear layer alone, over features computed beforehand."""

    def __init__(self, model: SpanModel) -> None:
        super().__init__()
        self.qa_outputs = model.qa_outputs

    def forward(self, batch: FeatureBatch) -> Losses:
        """As ``SpanModel.forward``."""
        return span_loss(self.scores(batch), batch.batch)

    def scores(self, batch: FeatureBatch) -> Tensor:
        """As ``SpanModel.scores``."""
        return self.qa_outputs(batch.features)


def span_loss(scores: Tensor, batch: AnswerBatch) -> Losses:
    """The mean of two cross-entropies over the tokens of each window: of the start, of the end.

    Windows whose answer is unknown are left out.

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
    """What Hugging Face calls a ``SpanModel``'s parameters; it has no pooler."""
    names = {**encoder_names("encoder."), **HEAD_NAMES}
    return {ours: theirs for ours, theirs in names.items() if ours != "encoder.pooler"}


def mean_loss(scores: Tensor, lengths: Tensor, labels: Tensor) -> float:
    """The loss over many windows, from scores computed before.

    Args:
        scores: float [T, 2], of all windows laid end to end.
        lengths: int64 [W], tokens in each window.
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
