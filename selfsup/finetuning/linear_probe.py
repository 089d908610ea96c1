"""The head of a task, fitted to convergence over the output of a frozen encoder.

The encoder's output for each example is computed once. A regression on it is a convex problem, so
nothing depends on a learning rate or on a number of epochs (``regression.py``). The result is the
task's own model: the regression is its last, linear layer.

What the regression sees of a text is chosen inside the training examples as well: the mean over
the tokens of one of the highest layers, or ``[CLS]`` (``selfsup.encoder.pooling``).

Shapes: U units, W windows, R rows of features, P poolings, D width.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from selfsup.counter_random import permutation
from selfsup.encoder.pooling import Pooling, mean_poolings, with_pooling
from selfsup.finetuning.data import EncodedPart, FrozenFeatures, TaskData
from selfsup.finetuning.progress import EpochReport
from selfsup.finetuning.regression import (
    Examples,
    cross_validated_loss,
    fit_regression,
)
from selfsup.finetuning.starting_point import StartingPoint
from selfsup.inference.scoring import map_batches, score
from selfsup.tasks.base import Task
from selfsup.tasks.classification.task import mean_of_windows
from selfsup.tasks.models import TaskModule
from selfsup.training.compute import Compute

_SAMPLE = 0x53414D50
# A pooling is chosen on at most this many examples, among the means of so many layers.
_MOST_TO_COMPARE, _MOST_LAYERS = 600, 4
# With fewer examples, cross-validation cannot tell `[CLS]` from means (docs/log.md).
_LEAST_TO_TRY_CLS = 200


def choose_pooling(model: TaskModule, data: TaskData, compute: Compute) -> Pooling:
    """The pooling whose regression has the lowest loss in cross-validation on training examples.

    Candidates are the means of the highest layers and, with enough examples, ``[CLS]``.

    Args:
        model: for single texts or pairs, with the encoder as it was loaded.
        data: of the run; only the training examples are used.
        compute: device and precision.
    """
    encoder, encoded, layers = model.encoder, data.train.encoded, len(model.encoder.layers)
    candidates = mean_poolings(layers, _MOST_LAYERS)
    if len(encoded) >= _LEAST_TO_TRY_CLS:
        candidates.append(Pooling(False))
    texts = np.sort(permutation(len(encoded), 0, _SAMPLE)[:_MOST_TO_COMPARE])
    windows = _SomeTexts(encoded.units, texts)

    def pooled(batch: Any) -> Tensor:
        """float32 [W, P, D]"""
        states = encoder.layer_states(batch.input_ids, batch.token_type_ids, batch.packing)
        states = list(states)
        vectors = [
            pooling.pool(states[(pooling.layer or layers) - 1], batch.packing)
            for pooling in candidates
        ]
        return torch.stack(vectors, 1)

    vectors = map_batches(model, pooled, windows, compute)
    vectors = mean_of_windows(vectors, torch.from_numpy(windows.row_counts))
    targets = model.linear_targets(encoded)
    assert targets is not None
    losses = [
        cross_validated_loss(Examples(vectors[:, number].numpy(), targets.labels[texts], texts))
        for number in range(len(candidates))
    ]
    return candidates[int(np.argmin(losses))]


def with_chosen_pooling(start: StartingPoint, pooling: Pooling) -> StartingPoint:
    """A pre-trained encoder with this pooling in place of its own pooler."""
    assert start.weights is not None
    config, weights = with_pooling(start.config, start.weights, pooling)
    return replace(start, config=config, weights=weights)


def fit_head(model: TaskModule, part: EncodedPart, features: Tensor) -> None:
    """Fit the head's last layer to training examples.

    Args:
        model: changed in place.
        part: the training examples.
        features: the encoder's output for their windows, float32 [R, D].
    """
    targets = model.linear_targets(part.encoded)
    assert targets is not None
    with torch.inference_mode():
        model.standardize_by(features)
        device = next(model.parameters()).device
        inputs = model.linear_input(features.to(device)).float().cpu()
        x = mean_of_windows(inputs, torch.from_numpy(targets.row_counts)).numpy()
    found = fit_regression(Examples(x, targets.labels, targets.groups), targets.outputs)
    model.set_linear(torch.from_numpy(found.weight), torch.from_numpy(found.bias))


def report_of_head(
    model: TaskModule, task: Task, data: TaskData, windows: FrozenFeatures, compute: Compute
) -> EpochReport:
    """How the model does on validation examples before its first epoch, as epoch 0.

    Args:
        windows: of the validation examples, with their features.
    """
    scores = score(model.on_features(), windows, compute)
    encoded, examples = data.validation.encoded, data.validation.examples
    labels = task.fit(scores, encoded, examples, data.labels)
    metrics = task.metrics(scores, encoded, examples, labels)
    return EpochReport(0, 0, None, metrics, scores, labels)


@dataclass(frozen=True)
class _SomeTexts:
    """Some of the units, by their indices."""

    units: Any
    chosen: np.ndarray

    def __len__(self) -> int:
        return len(self.chosen)

    @property
    def lengths(self) -> np.ndarray:
        return self.units.lengths[self.chosen]

    @property
    def row_counts(self) -> np.ndarray:
        return self.units.row_counts[self.chosen]

    def batch(self, indices: np.ndarray) -> Any:
        return self.units.batch(self.chosen[indices])

    def windows_of(self, indices: np.ndarray) -> np.ndarray:
        return self.units.windows_of(self.chosen[indices])
