"""Fine-tuning with one seed: train epoch by epoch, validate after each, keep the best weights."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from selfsup.finetuning.batches import EpochBatches
from selfsup.finetuning.data import TaskData
from selfsup.finetuning.setup import FinetuningSetup
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
    """The result of an epoch.

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
    """The result of training with one seed.

    Attributes:
        best: the epoch with the best validation result; None if not even the first was completed.
        diverged: whether the loss became infinite or not a number.
    """

    best: EpochReport | None
    diverged: bool


def train_with_seed(
    setup: FinetuningSetup,
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
    """Train, validate after each epoch, and leave the model with the weights of the best epoch.

    Args:
        setup: the model, its optimizer, and what it unfreezes at the start of each epoch.
        task, data: for the metrics.
        units: of the training examples, as the model takes them.
        windows: of the validation examples, likewise.
        epochs, batch_size, settings, compute: how to train; ``settings`` has the seed.
        after_step, after_epoch: called after each step and each epoch.
    """
    model, optimizer, begin_epoch = setup
    batches = EpochBatches(units, batch_size, settings.seed)
    best: EpochReport | None = None
    best_weights: dict[str, Tensor] = {}
    losses: list[float] = []

    def validate(epoch: int, step: int, loss: float, scores: np.ndarray) -> EpochReport:
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
            scores = score(model, windows, compute)
            if not np.isfinite(scores).all():  # the last step may diverge without a later loss
                raise NotFinite
            report = validate(epoch, step.state.step, statistics.fmean(losses), scores)
            losses.clear()
            if best is None or selection_key(report, task) > selection_key(best, task):
                best, best_weights = report, _copy_weights(model)
            after_epoch(report)
            if epoch < epochs:
                begin_epoch(epoch + 1)

    extent = Extent(steps=epochs * batches.steps_per_epoch)
    stages = [Stage(1.0, batches, {})]
    diverged = False
    try:
        train(model, optimizer, stages, extent, settings, compute, RunState(), end_of_step)
    except NotFinite:
        diverged = True
    _restore_weights(model, best_weights)
    return SeedRun(best, diverged)


def selection_key(report: EpochReport, task: Task) -> tuple[float, float]:
    """Larger is better: first the task's selection metric, then the lower loss."""
    metrics = report.validation
    return metrics[task.selection_metric(report.labels)], -metrics.get("loss", 0.0)


def _copy_weights(model: nn.Module) -> dict[str, Tensor]:
    """A copy of all parameters; one that is frozen now may learn in a later epoch."""
    return {name: weights.detach().clone() for name, weights in model.named_parameters()}


@torch.no_grad()
def _restore_weights(model: nn.Module, weights: dict[str, Tensor]) -> None:
    parameters = dict(model.named_parameters())
    for name, tensor in weights.items():
        parameters[name].copy_(tensor)
