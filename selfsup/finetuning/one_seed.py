"""One fine-tuning run: its epochs, and the best of them by validation."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from selfsup.finetuning.batches import EpochBatches
from selfsup.finetuning.data import TaskData
from selfsup.finetuning.plan import LearningPlan
from selfsup.inference.scoring import score
from selfsup.tasks.base import Task, Units, Windows
from selfsup.tasks.labels import Labels
from selfsup.training.compute import Compute
from selfsup.training.loop import (
    Extent,
    NotFinite,
    RunState,
    Stage,
    StepReport,
    StepSettings,
    train,
)


@dataclass(frozen=True)
class EpochReport:
    """What an epoch came to.

    Attributes:
        epoch: from 1.
        step: steps taken so far.
        train_loss: mean over the epoch's steps.
        validation: metrics.
        scores: of the validation examples' windows, float32 [R, C].
        labels: with what was fitted on the validation examples.
    """

    epoch: int
    step: int
    train_loss: float
    validation: dict[str, float]
    scores: np.ndarray
    labels: Labels


@dataclass(frozen=True)
class SeedRun:
    """A run's end.

    Attributes:
        best: the epoch that did best in validation; None if the first one did not come to its end.
        diverged: whether the loss ceased to be a number.
    """

    best: EpochReport | None
    diverged: bool


def train_one_seed(
    plan: LearningPlan,
    task: Task,
    data: TaskData,
    units: Units,
    windows: Windows,
    epochs: int,
    batch_size: int,
    settings: StepSettings,
    compute: Compute,
    after_step: Callable[[StepReport], None],
    after_epoch: Callable[[EpochReport], None],
) -> SeedRun:
    """Train, measure after each epoch, and leave the learner as it was after the best one.

    Args:
        plan: what learns, and how.
        task, data: for the metrics.
        units: of the training examples, as the learner takes them.
        windows: of the validation examples, likewise.
        epochs, batch_size, settings, compute: how.
        after_step, after_epoch: told of each.
    """
    learner, optimizer, begin_epoch = plan
    batches = EpochBatches(units, batch_size, settings.seed)
    best: EpochReport | None = None
    best_weights: dict[str, Tensor] = {}
    losses: list[float] = []

    def measure(epoch: int, step: int, loss: float, scores: np.ndarray) -> EpochReport:
        encoded, examples = data.validation.encoded, data.validation.examples
        fitted = task.fit(scores, encoded, examples, data.labels)
        metrics = task.metrics(scores, encoded, examples, fitted)
        return EpochReport(epoch, step, loss, metrics, scores, fitted)

    def end_of_step(step: StepReport) -> None:
        nonlocal best, best_weights
        losses.append(sum(step.losses.values()))
        after_step(step)
        if step.state.step % batches.steps_per_epoch == 0:
            epoch = step.state.step // batches.steps_per_epoch
            scores = score(learner, windows, compute)
            if not np.isfinite(scores).all():  # after its last step, which no loss tells of
                raise NotFinite
            report = measure(epoch, step.state.step, statistics.fmean(losses), scores)
            losses.clear()
            if best is None or merit(report, task) > merit(best, task):
                best, best_weights = report, _copy_weights(learner)
            after_epoch(report)
            if epoch < epochs:
                begin_epoch(epoch + 1)

    extent = Extent(steps=epochs * batches.steps_per_epoch)
    stages = [Stage(1.0, batches, {})]
    diverged = False
    try:
        train(learner, optimizer, stages, extent, settings, compute, RunState(), end_of_step)
    except NotFinite:
        diverged = True
    _restore(learner, best_weights)
    return SeedRun(best, diverged)


def merit(report: EpochReport, task: Task) -> tuple[float, float]:
    """What is better is larger: the task's metric, and among equals the lower loss."""
    metrics = report.validation
    return metrics[task.selection_metric(report.labels)], -metrics.get("loss", 0.0)


def _copy_weights(learner: nn.Module) -> dict[str, Tensor]:
    """Of all parameters: one that is frozen now may learn from the next epoch on."""
    return {name: weights.detach().clone() for name, weights in learner.named_parameters()}


@torch.no_grad()
def _restore(learner: nn.Module, weights: dict[str, Tensor]) -> None:
    parameters = dict(learner.named_parameters())
    for name, tensor in weights.items():
        parameters[name].copy_(tensor)
