"""Regularised linear regression and logistic regression, with the ridge chosen by cross-validation.

Features are standardised before they are fitted, and the standardisation is folded into the
weights. Classes: multinomial logistic regression. Several labels: one logistic regression a label.
Numbers: ridge regression.

Shapes: M examples, D features, C outputs.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from selfsup.counter_random import permutation

_FOLDS, _SAMPLE = 0x464F4C44, 0x53414D50
# scikit-learn's C: the penalty is |weights|² / (2 C) beside the sum of the losses.
_STRENGTHS = tuple(10.0**power for power in range(-5, 2))
_MOST_FOLDS = 5
# The ridge is chosen on at most this many examples.
_MOST_TO_CHOOSE = 2000
_MOST_STEPS = 500


@dataclass(frozen=True)
class Examples:
    """What a regression is fitted to.

    Attributes:
        features: float32 [M, D].
        labels: one label: int64 [M]. Several: float32 [M, C]. Numbers: float32 [M].
        groups: int64 [M]; those of one group stay together in cross-validation.
    """

    features: np.ndarray
    labels: np.ndarray
    groups: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def at(self, rows: np.ndarray) -> "Examples":
        """Some of them, by a mask."""
        return replace(
            self,
            features=self.features[rows],
            labels=self.labels[rows],
            groups=self.groups[rows],
        )


@dataclass(frozen=True)
class Regression:
    """A linear layer: weight float64 [C, D] and bias float64 [C], for features as they are."""

    weight: np.ndarray
    bias: np.ndarray


def fit_regression(examples: Examples, outputs: int) -> Regression:
    """Fit a regression whose ridge has the lowest loss in cross-validation.

    Args:
        examples: at least one.
        outputs: C; some labels may have no example.
    """
    sample = _sampled(examples, _MOST_TO_CHOOSE)
    losses = cross_validated_losses(sample, outputs, _STRENGTHS)
    # The penalty of one example stays the same when more are fitted than were used to choose.
    strength = _STRENGTHS[int(np.argmin(losses))]
    return _fit(examples, outputs, [strength])[0]


def cross_validated_loss(examples: Examples) -> float:
    """The mean loss on examples that were not fitted, at the best ridge."""
    labels = examples.labels
    outputs = (
        int(labels.max()) + 1
        if labels.dtype == np.int64
        else labels.reshape(len(labels), -1).shape[1]
    )
    return float(cross_validated_losses(examples, outputs, _STRENGTHS).min())


def cross_validated_losses(
    examples: Examples, outputs: int, strengths: Sequence[float]
) -> np.ndarray:
    """The mean loss of each strength on folds that it was not fitted to, float64 [strengths]."""
    losses = np.zeros(len(strengths))
    folds = _folds(examples)
    for fold in range(int(folds.max()) + 1):
        outside = folds == fold
        x, true = examples.features[outside], torch.from_numpy(examples.labels[outside])
        for number, found in enumerate(_fit(examples.at(~outside), outputs, strengths)):
            scores = torch.from_numpy(x @ found.weight.T + found.bias)
            losses[number] += outside.sum() * float(_loss(scores, true))
    return losses / len(examples)


def _folds(examples: Examples) -> np.ndarray:
    """The fold of each example, int64 [M]. Groups stay together, classes are spread evenly."""
    groups, first = np.unique(examples.groups, return_index=True)
    order = permutation(len(groups), 0, _FOLDS)
    if examples.labels.dtype == np.int64 and len(groups) == len(examples):
        order = order[np.argsort(examples.labels[first][order], kind="stable")]
    of_group = np.empty(len(groups), np.int64)
    of_group[order] = np.arange(len(groups)) % min(_MOST_FOLDS, max(1, len(groups)))
    return of_group[np.searchsorted(groups, examples.groups)]


def _sampled(examples: Examples, most: int) -> Examples:
    """At most so many examples, drawn at random, whole groups but for the last."""
    if len(examples) <= most:
        return examples
    groups = np.unique(examples.groups)
    ranks = permutation(len(groups), 0, _SAMPLE)[np.searchsorted(groups, examples.groups)]
    chosen = np.zeros(len(examples), bool)
    chosen[np.argsort(ranks, kind="stable")[:most]] = True
    return examples.at(chosen)


def _fit(examples: Examples, outputs: int, strengths: Sequence[float]) -> list[Regression]:
    """A regression for each strength, in ascending order; each starts where the last one ended."""
    x, y = torch.from_numpy(examples.features).double(), torch.from_numpy(examples.labels)
    mean, std = x.mean(0), x.std(0, correction=0)
    # A feature that is constant but for rounding carries nothing.
    std = torch.where(std > 1e-6 * (1 + mean.abs()), std, math.inf)
    x = (x - mean) / std
    start, found = torch.zeros(outputs, x.shape[1] + 1, dtype=torch.float64), []
    for strength in strengths:
        is_number = y.dim() == 1 and y.dtype != torch.int64
        start = _ridge(x, y.double(), strength) if is_number else _logistic(x, y, strength, start)
        weight = start[:, :-1] / std
        found.append(Regression(weight.numpy(), (start[:, -1] - weight @ mean).numpy()))
    return found


def _ridge(x: Tensor, y: Tensor, strength: float) -> Tensor:
    """Ridge regression of y [M] on standardised x [M, D] → [1, D + 1], the bias last.

    It is solved for the features or for the examples, whichever are fewer.
    """
    (count, width), centred = x.shape, y - y.mean()
    if count >= width:
        gram = x.T @ x + torch.eye(width, dtype=x.dtype) / strength
        weight = torch.linalg.solve(gram, x.T @ centred)
    else:
        gram = x @ x.T + torch.eye(count, dtype=x.dtype) / strength
        weight = x.T @ torch.linalg.solve(gram, centred)
    return torch.cat([weight, y.mean()[None]])[None]


def _logistic(x: Tensor, y: Tensor, strength: float, start: Tensor) -> Tensor:
    """Logistic regression by L-BFGS, from ``start`` on: [C, D + 1], the bias last."""
    solution = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [solution], max_iter=_MOST_STEPS, line_search_fn="strong_wolfe",
        tolerance_grad=1e-6, tolerance_change=1e-10,
    )  # fmt: skip
    penalty = 0.5 / (strength * len(x))

    def objective() -> Tensor:
        optimizer.zero_grad()
        scores = x @ solution[:, :-1].T + solution[:, -1]
        loss = _loss(scores, y) + penalty * solution[:, :-1].square().sum()
        loss.backward()
        return loss

    with torch.inference_mode(False), torch.enable_grad():
        optimizer.step(objective)  # pyright: ignore[reportArgumentType]
    return solution.detach()


def _loss(scores: Tensor, labels: Tensor) -> Tensor:
    """The mean loss of scores, float64 [M, C]; that of several labels is summed over them."""
    if labels.dtype == torch.int64:
        return F.cross_entropy(scores, labels)
    if labels.dim() == 2:
        targets = labels.double()
        losses = F.binary_cross_entropy_with_logits(scores, targets, reduction="none")
        return losses.sum(1).mean()
    return F.mse_loss(scores[:, 0], labels.double())
