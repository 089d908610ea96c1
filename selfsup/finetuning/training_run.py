"""Fine-tuning with one seed: train epoch by epoch, validate after each, keep the best weights."""

import statistics
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from selfsup.finetuning.data import EpochBatches, FrozenFeatures, TaskData
from selfsup.finetuning.setup import prepare_finetuning
from selfsup.inference.scoring import score
from selfsup.progress import ProgressDisplay, seconds_left
from selfsup.runs.folder import MetricsFile
from selfsup.settings.finetune import ResolvedFinetuneSettings
from selfsup.tasks.base import Task, Units, Windows
from selfsup.tasks.labels import Labels
from selfsup.tasks.models import TaskModule
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
    """The result of an epoch (counted from 1).

    Attributes:
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
    """The best epoch, None if not even the first was completed, and whether the loss diverged."""

    best: EpochReport | None
    diverged: bool


class FinetuneLog:
    """Writes ``metrics.jsonl``, a line an epoch, and shows the progress over all seeds."""

    def __init__(self, metrics: MetricsFile, display: ProgressDisplay, seeds: range) -> None:
        self._metrics, self._display, self._seeds = metrics, display, seeds
        self._started = time.perf_counter()

    def after_step(self, seed: int, report: StepReport) -> None:
        """Show how far the run is."""
        share = (self._seeds.index(seed) + report.progress) / len(self._seeds)
        spent = time.perf_counter() - self._started
        fields = {"step": f"{report.state.step}", "loss": f"{sum(report.losses.values()):.3f}"}
        if len(self._seeds) > 1:
            fields = {"seed": f"{seed}", **fields}
        self._display.update(share, seconds_left(spent, share), fields)

    def after_epoch(self, seed: int, report: EpochReport) -> None:
        """Write and show the epoch's results."""
        self._metrics.write(
            {
                "seed": seed,
                "epoch": report.epoch,
                "step": report.step,
                "train_loss": report.train_loss,
                "validation": report.validation,
            }
        )
        metrics = ", ".join(
            f"{name.replace('_', ' ')} {value:.3f}" for name, value in report.validation.items()
        )
        self._display.message(f"seed {seed}, epoch {report.epoch}: {metrics}")


def train_with_seed(
    settings: ResolvedFinetuneSettings,
    task: Task,
    model: TaskModule,
    data: TaskData,
    units: Units,
    windows: Windows,
    seed: int,
    compute: Compute,
    log: FinetuneLog,
) -> SeedRun:
    """Train, validate after each epoch, and leave the model with the weights of the best epoch.

    Args:
        settings: how to train, with defaults filled in.
        task, data: for the metrics.
        model: trained in place.
        units, windows: of the training and the validation examples, as the model takes them.
        seed: determines batches and dropout.
        compute: device and precision.
        log: takes the result of each step and each epoch.
    """
    features = units.features if isinstance(units, FrozenFeatures) else None
    learner, optimizer, begin_epoch = prepare_finetuning(settings, model, features)
    batches = EpochBatches(units, settings.batch_size, seed)
    best: EpochReport | None = None
    best_weights: dict[str, Tensor] = {}
    losses: list[float] = []

    def end_of_step(step: StepReport) -> None:
        nonlocal best
        losses.append(sum(step.losses.values()))
        log.after_step(seed, step)
        epoch, rest = divmod(step.state.step, batches.steps_per_epoch)
        if rest:
            return
        scores = score(learner, windows, compute)
        if not np.isfinite(scores).all():  # the last step may diverge without a later loss
            raise NotFinite
        encoded, examples = data.validation.encoded, data.validation.examples
        labels = task.fit(scores, encoded, examples, data.labels)
        metrics = task.metrics(scores, encoded, examples, labels)
        loss = statistics.fmean(losses)
        losses.clear()
        report = EpochReport(epoch, step.state.step, loss, metrics, scores, labels)
        if best is None or selection_key(report, task) > selection_key(best, task):
            best = report
            # Copies of all: a parameter that is frozen now may learn in a later epoch.
            for name, weights in learner.named_parameters():
                best_weights[name] = weights.detach().clone()
        log.after_epoch(seed, report)
        if epoch < settings.epochs:
            begin_epoch(epoch + 1)

    extent = Extent(steps=settings.epochs * batches.steps_per_epoch)
    how = StepSettings("linear", settings.warmup, settings.gradient_clip, 1, seed)
    stages = [Stage(1.0, batches, {})]
    diverged = False
    try:
        train(learner, optimizer, stages, extent, how, compute, RunState(), end_of_step)
    except NotFinite:
        diverged = True
    if best_weights:
        with torch.no_grad():
            for name, weights in learner.named_parameters():
                weights.copy_(best_weights[name])
    return SeedRun(best, diverged)


def selection_key(report: EpochReport, task: Task) -> tuple[float, float]:
    """Larger is better: first the task's selection metric, then the lower loss."""
    metrics = report.validation
    return metrics[task.selection_metric(report.labels)], -metrics.get("loss", 0.0)
