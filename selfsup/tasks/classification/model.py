"""The model of text classification: the pooled ``[CLS]`` → a score for every label (BERT §4.1).

Shapes: B texts in a batch in W windows, T tokens in all, D width, C labels.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.huggingface.names import NameTable, encoder_names
from selfsup.tasks.base import Losses
from selfsup.tasks.batches import HeadOnFeatures
from selfsup.tasks.classification.encoding import TextBatch
from selfsup.tasks.labels import Labels


class ScoreLayer(nn.Linear):
    """The last layer of a task's model: linear, in float32 even under autocast.

    bfloat16 has eight significant bits: years near 2000 would be rounded to multiples of 8, and
    the scores of different labels would be equal. The layer is so small that float32 costs nothing.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (as nn.Linear names it)
        """[…, D] → float32 […, C]."""
        with torch.autocast(input.device.type, enabled=False):
            return super().forward(input.float())


def cross_entropy_loss(name: str, scores: Tensor, labels: Tensor) -> Losses:
    """The mean cross-entropy in nats, right predictions and their number, as the loss ``name``.

    Args:
        name: of the loss.
        scores: [B, C].
        labels: int64 [B].
    """
    scores = scores.float()
    right = (scores.detach().argmax(-1) == labels).sum()
    return {name: (F.cross_entropy(scores, labels), right, len(labels))}


class SequenceClassifier(nn.Module):
    """An encoder and a linear layer over its pooled ``[CLS]``.

    Numbers are learned as standardized values, whatever their range; ``scores`` gives the numbers
    themselves.
    """

    def __init__(self, encoder: BertEncoder, labels: Labels, dropout: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.classifier = ScoreLayer(encoder.config.hidden_size, len(labels))
        self.labels = labels

    def forward(self, batch: TextBatch) -> Losses:
        """Mean loss, right predictions, number of texts."""
        return self._loss(self._head(batch), batch)

    def scores(self, batch: TextBatch) -> Tensor:
        """A score (logit) for each label, or the number, [W, C]."""
        return self._destandardized(self._head(batch))

    def features(self, batch: TextBatch) -> Tensor:
        """The frozen layers' output for each window: the last state of its ``[CLS]``, [W, D]."""
        return self.encoder.first_states(batch.input_ids, batch.token_type_ids, batch.packing)

    def on_features(self, features: Tensor | None = None) -> HeadOnFeatures:
        """The pooler and the linear layer alone, sharing this model's parameters."""
        head = nn.Sequential(self.encoder.pooler, nn.Tanh(), self.dropout, self.classifier)
        return HeadOnFeatures(head, self._loss, self._destandardized)

    def saved_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """The parameters; the head's are saved so that it predicts numbers in their own units."""
        for name, parameter in self.named_parameters():
            if name == "classifier.weight":
                yield name, parameter * self.labels.std
            elif name == "classifier.bias":
                yield name, parameter * self.labels.std + self.labels.mean
            else:
                yield name, parameter

    def _head(self, batch: TextBatch) -> Tensor:
        pooled = self.encoder.pooled_states(batch.input_ids, batch.token_type_ids, batch.packing)
        return self.classifier(self.dropout(pooled))

    def _loss(self, scores: Tensor, batch: TextBatch) -> Losses:
        return classification_loss(scores, batch, self.labels)

    def _destandardized(self, scores: Tensor) -> Tensor:
        """Numbers in the units of the file; other scores unchanged."""
        labels = self.labels
        return scores if labels.kind != "number" else scores * labels.std + labels.mean


def classification_loss(scores: Tensor, batch: TextBatch, labels: Labels) -> Losses:
    """The loss of the texts. A text's scores are the means over its windows.

    One label a text: cross-entropy. Several labels: the mean over the labels of their binary
    cross-entropies. Numbers: the squared error in standard deviations of the training numbers.

    Args:
        scores: of the windows, [W, C]; numbers standardized.
        batch: with the labels of the texts.
        labels: of the model.
    """
    scores = mean_of_windows(scores.float(), batch.window_counts)
    true = batch.labels
    if labels.kind == "class":
        return cross_entropy_loss("classification", scores, true)
    if labels.kind == "multi":
        loss = F.binary_cross_entropy_with_logits(scores, true)
        right = ((scores.detach() > 0) == (true > 0.5)).all(-1).sum()
    else:
        loss = F.mse_loss(scores.squeeze(-1), (true - labels.mean) / labels.std)
        right = torch.zeros((), dtype=torch.int64)
    return {"classification": (loss, right, len(true))}


def mean_of_windows(scores: Tensor, window_counts: Tensor) -> Tensor:
    """Average the scores of windows, [W, C], to those of texts, [B, C].

    Args:
        scores: the windows of a text follow each other.
        window_counts: int64 [B], 1 or more each.
    """
    if len(scores) == len(window_counts):
        return scores
    return torch.segment_reduce(scores, "mean", lengths=window_counts, axis=0)


def parameter_names() -> NameTable:
    """Hugging Face's names for a ``SequenceClassifier``'s parameters."""
    return {**encoder_names("encoder."), "classifier": ("classifier",)}
