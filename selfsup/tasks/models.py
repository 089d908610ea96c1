"""What the tasks' models have in common: an encoder, a head over its output, and losses.

Shapes: B examples in a batch, R rows of features and scores in all, M examples for a linear
layer, D width, C scores in a row.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from selfsup.tasks.batches import FeatureBatch


@dataclass(frozen=True)
class LinearTargets:
    """What a task's last, linear layer should give while its encoder is frozen.

    Attributes:
        labels: one label: int64 [M]. Several: float32 [M, C]. Numbers: float32 [M], standardised.
        row_counts: int64 [M], how many consecutive rows of features are averaged for each.
        groups: int64 [M]; those of one group, such as the words of a sentence, stay together in
            cross-validation.
        outputs: C.
    """

    labels: np.ndarray
    row_counts: np.ndarray
    groups: np.ndarray
    outputs: int


# By name: the mean loss, how many predictions are right, of how many.
Losses = dict[str, tuple[Tensor, Tensor, int]]


class TaskModule(nn.Module, ABC):
    """A task's model: a head over the output of a pre-trained encoder.

    Attributes:
        encoder: its parameters are named ``encoder.…``.
        contrast: the weight of a contrast between examples beside the loss, if the task has one.
        class_weights: float32 [C], how much the loss of an example of each label counts; of several
            labels, that of an example that has the label, beside one that lacks it. None: equal.
    """

    encoder: Any
    contrast: float = 0.0
    class_weights: Tensor | None = None

    @abstractmethod
    def features(self, batch: Any) -> Tensor:
        """The encoder's output for a batch, [R, D]."""

    @property
    @abstractmethod
    def head(self) -> nn.Module:
        """Features → the head's output, [R, C]."""

    @abstractmethod
    def loss(self, output: Tensor, batch: Any) -> Losses:
        """The losses, from the head's output, [R, C]."""

    def final(self, output: Tensor) -> Tensor:
        """From the head's output to the scores, [R, C]."""
        return output

    def forward(self, batch: Any) -> Losses:
        """The losses of a batch, by name."""
        return self.loss(self.head(self.features(batch)), batch)

    def scores(self, batch: Any) -> Tensor:
        """Scores of a batch's windows, [R, C], in the order of the windows."""
        return self.final(self.head(self.features(batch)))

    def standardize_by(self, features: Tensor) -> None:
        """Standardise the last layer's inputs by those of training windows, [R, D], if possible."""

    def linear_input(self, features: Tensor) -> Tensor:
        """The input of the head's last, linear layer without dropout: [R, D] → [R, D]."""
        return features

    def linear_targets(self, encoded: Any) -> LinearTargets | None:
        """What training examples ask of the last layer; None if the head has to be trained."""
        return None

    def set_linear(self, weight: Tensor, bias: Tensor) -> None:
        """Give the head's last layer its weights, [C, D], and its bias, [C]."""
        layer = [module for module in self.modules() if isinstance(module, ScoreLayer)][-1]
        with torch.no_grad():
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)

    def on_features(self, features: Tensor | None = None) -> "HeadOnFeatures":
        """The head alone, which shares this model's parameters.

        Args:
            features: of all training windows, [R, D], for heads that standardize by them.
        """
        return HeadOnFeatures(self)

    def saved_head(self) -> dict[str, Tensor]:
        """The parameters of the head that are saved with other values than they have."""
        return {}

    def saved_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Names and values to save: the parameters in the form that ``transformers`` loads."""
        head = self.saved_head()
        for name, parameter in self.named_parameters():
            yield name, head.get(name, parameter)


class HeadOnFeatures(nn.Module):
    """The head of a task's model alone, over the output of its frozen encoder."""

    def __init__(self, model: TaskModule) -> None:
        super().__init__()
        self.head, self._loss, self._final = model.head, model.loss, model.final

    def forward(self, batch: FeatureBatch) -> Losses:
        """The losses of the whole model."""
        return self._loss(self.head(batch.features), batch.batch)

    def scores(self, batch: FeatureBatch) -> Tensor:
        """The scores of the whole model, [R, C]."""
        return self._final(self.head(batch.features))


class ScoreLayer(nn.Linear):
    """The last layer of a task's model: linear, in float32 even under autocast.

    bfloat16 has eight significant bits: years near 2000 would be rounded to multiples of 8, and
    the scores of different labels would be equal. The layer is so small that float32 costs nothing.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (as nn.Linear names it)
        """[…, D] → float32 […, C]."""
        with torch.autocast(input.device.type, enabled=False):
            return super().forward(input.float())


def cross_entropy_loss(
    name: str, scores: Tensor, labels: Tensor, weights: Tensor | None = None
) -> Losses:
    """The mean cross-entropy in nats, right predictions and their number, as the loss ``name``.

    With weights, the sum of the weighted losses is divided by B, not by the sum of the weights: an
    example counts the same in whichever batch it is.

    Args:
        name: of the loss.
        scores: [B, C].
        labels: int64 [B].
        weights: of each label, float32 [C].
    """
    scores = scores.float()
    right = (scores.detach().argmax(-1) == labels).sum()
    if weights is None:
        return {name: (F.cross_entropy(scores, labels), right, len(labels))}
    loss = F.cross_entropy(scores, labels, weights, reduction="sum") / len(labels)
    return {name: (loss, right, len(labels))}
