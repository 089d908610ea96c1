"""The last layer of a task's model."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.huggingface.names import NameTable, encoder_names
from selfsup.tasks.base import Losses
from selfsup.tasks.batches import FeatureBatch
from selfsup.tasks.classification.encoding import EncodedBatch
from selfsup.tasks.labels import Labels


class ScoreLayer(nn.Linear):
    """A linear layer that computes in float32, under autocast too.

    bfloat16 holds eight binary digits: years near 2000 would come out in steps of 8, and scores of
    different labels as ties. The layer is so small that precision costs nothing.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (as nn.Linear names it)
        """[…, D] → float32 […, C]."""
        with torch.autocast(input.device.type, enabled=False):
            return super().forward(input.float())


# The model of text classification: the pooled ``[CLS]`` → a score for every label (BERT §4.1).
#
# Shapes: B texts in a batch in W windows, T tokens in all, D width, C labels.


HEAD_NAMES: NameTable = {"classifier": ("classifier",)}


class SequenceClassifier(nn.Module):
    """An encoder and a linear layer over its pooled ``[CLS]``.

    Numbers are learnt as distances from their mean in standard deviations, whatever they count;
    the scores are the numbers themselves.
    """

    def __init__(self, encoder: BertEncoder, labels: Labels, dropout: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.classifier = ScoreLayer(encoder.config.hidden_size, len(labels))
        self.labels = labels

    def forward(self, batch: EncodedBatch) -> Losses:
        """Mean loss, right predictions, number of texts."""
        return classification_loss(self._head(self._pooled(batch)), batch, self.labels)

    def scores(self, batch: EncodedBatch) -> Tensor:
        """A score (logit) for each label, or the number, [W, C]."""
        return in_units(self._head(self._pooled(batch)), self.labels)

    def features(self, batch: EncodedBatch) -> Tensor:
        """What the frozen layers make of each window: the last state of its ``[CLS]``, [W, D]."""
        return self.encoder.first_states(batch.input_ids, batch.token_type_ids, batch.packing)

    def on_features(self, features: Tensor | None = None) -> "ClassifierOnFeatures":
        """What stands over the features, sharing this model's parameters."""
        return ClassifierOnFeatures(self)

    def saved_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """The parameters; the head's in the numbers' own units, as it is loaded again."""
        for name, parameter in self.named_parameters():
            if name == "classifier.weight":
                yield name, parameter * self.labels.std
            elif name == "classifier.bias":
                yield name, parameter * self.labels.std + self.labels.mean
            else:
                yield name, parameter

    def _pooled(self, batch: EncodedBatch) -> Tensor:
        return self.encoder.pooled_states(batch.input_ids, batch.token_type_ids, batch.packing)

    def _head(self, pooled: Tensor) -> Tensor:
        return self.classifier(self.dropout(pooled))


class ClassifierOnFeatures(nn.Module):
    """The pooler and the linear layer alone, over features computed beforehand."""

    def __init__(self, model: SequenceClassifier) -> None:
        super().__init__()
        self.pooler = model.encoder.pooler
        self.dropout = model.dropout
        self.classifier = model.classifier
        self.labels = model.labels

    def forward(self, batch: FeatureBatch) -> Losses:
        """As ``SequenceClassifier.forward``."""
        return classification_loss(self._head(batch), batch.batch, self.labels)

    def scores(self, batch: FeatureBatch) -> Tensor:
        """As ``SequenceClassifier.scores``."""
        return in_units(self._head(batch), self.labels)

    def _head(self, batch: FeatureBatch) -> Tensor:
        return self.classifier(self.dropout(torch.tanh(self.pooler(batch.features))))


def classification_loss(scores: Tensor, batch: EncodedBatch, labels: Labels) -> Losses:
    """The loss of the texts, whose scores are the means of their windows'.

    Cross-entropy for one label a text; for several the mean over the labels of their binary
    cross-entropies; for numbers the squared error in standard deviations of the numbers trained on.

    Args:
        scores: of the windows, [W, C]; numbers still in standard deviations.
        batch: with the labels of the texts.
        labels: their kind.
    """
    scores = mean_of_windows(scores.float(), batch.window_counts)
    given = batch.labels
    if labels.kind == "class":
        loss = F.cross_entropy(scores, given)
        right = (scores.detach().argmax(-1) == given).sum()
    elif labels.kind == "multi":
        loss = F.binary_cross_entropy_with_logits(scores, given)
        right = ((scores.detach() > 0) == (given > 0.5)).all(-1).sum()
    else:
        loss = F.mse_loss(scores.squeeze(-1), (given - labels.mean) / labels.std)
        right = torch.zeros((), dtype=torch.int64)
    return {"classification": (loss, right, len(given))}


def mean_of_windows(scores: Tensor, window_counts: Tensor) -> Tensor:
    """Scores of windows, [W, C], to those of texts, [B, C].

    Args:
        scores: those of a text's windows stand one after the other.
        window_counts: int64 [B], 1 or more each.
    """
    if len(scores) == len(window_counts):
        return scores
    return torch.segment_reduce(scores, "mean", lengths=window_counts, axis=0)


def in_units(scores: Tensor, labels: Labels) -> Tensor:
    """Numbers as they stand in the file; other scores as they are."""
    return scores if labels.kind != "number" else scores * labels.std + labels.mean


def parameter_names() -> NameTable:
    """What Hugging Face calls a ``SequenceClassifier``'s parameters."""
    return {**encoder_names("encoder."), **HEAD_NAMES}
