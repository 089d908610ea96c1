"""Fine-tuning with one seed: train epoch by epoch, validate, keep the best weights."""

import math
import statistics
import time

import numpy as np
import torch

from selfsup.finetuning.checkpoints import FinetuneCheckpoints
from selfsup.finetuning.data import EpochBatches, FrozenFeatures, TaskData
from selfsup.finetuning.progress import EpochReport, SeedRun, selection_key
from selfsup.finetuning.setup import prepare_finetuning
from selfsup.inference.scoring import score
from selfsup.progress import ProgressDisplay, seconds_left
from selfsup.runs.folder import MetricsFile
from selfsup.settings.finetune import ResolvedFinetuneSettings
from selfsup.tasks.base import Task, Units, Windows
from selfsup.tasks.models import TaskModule
from selfsup.training.compute import Compute
from selfsup.training.loop import (
    Extent,
    NotFinite,
    Stage,
    StepReport,
    StepSettings,
    StopOnSignal,
    train,
)

# After a head was fitted to few examples, so many epochs at most are validated.
_MOST_VALIDATIONS = 20


class FinetuneLog:
    """Writes ``metrics.jsonl``, a line an epoch, and shows the progress over all seeds."""

    def __init__(
        self,
        metrics: MetricsFile,
        display: ProgressDisplay,
        seeds: range,
        seconds_before: float = 0.0,
    ) -> None:
        self._metrics, self._display, self._seeds = metrics, display, seeds
        self._started = time.perf_counter() - seconds_before

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
    checkpoints: FinetuneCheckpoints,
    first: EpochReport | None = None,
) -> SeedRun:
    """Train, validate after epochs, and leave the model with the weights of the best epoch.

    If a checkpoint was saved with this seed, go on from there.

    Args:
        settings: how to train, with defaults filled in.
        task, data: for the metrics.
        model: trained in place.
        units, windows: of the training and the validation examples, as the model takes them.
        seed: determines batches and dropout.
        compute: device and precision.
        log: takes the result of each step and each epoch.
        checkpoints: of the run.
        first: how the model does as it is given, if its head was fitted; no epoch that is worse
            replaces it.

    Raises:
        Interrupted: a signal came; the run is saved.
    """
    features = units.features if isinstance(units, FrozenFeatures) else None
    setup = prepare_finetuning(settings, model, features)
    learner, optimizer, begin_epoch = setup
    batches = EpochBatches(units, settings.batch_size, seed, data.balance.strata)
    steps, per_epoch = settings.epochs * batches.steps_per_epoch, batches.steps_per_epoch
    # Of few examples an epoch is a step or two: validating after each would take longer than these.
    every = 1 if first is None else math.ceil(settings.epochs / _MOST_VALIDATIONS)
    progress = checkpoints.restore(
        seed, setup, per_epoch, settings.epochs, every, has_first=first is not None
    )
    if first is not None and progress.best is None:
        log.after_epoch(seed, first)
        progress.keep(first, learner)
    steps_before = (seed - settings.seed) * steps

    def end_of_step(step: StepReport) -> None:
        progress.losses.append(sum(step.losses.values()))
        log.after_step(seed, step)
        epoch, rest = divmod(step.state.step, per_epoch)
        if not rest:
            if epoch % every == 0 or epoch == settings.epochs:
                validate(epoch, step.state.step)
            if epoch < settings.epochs:
                begin_epoch(epoch + 1)
        if steps_before + step.state.step < settings.seeds * steps:
            checkpoints.save_if_due(seed, steps_before + step.state.step, setup, progress)

    def validate(epoch: int, step: int) -> None:
        scores = score(learner, windows, compute)
        if not np.isfinite(scores).all():  # the last step may diverge without a later loss
            raise NotFinite
        encoded, examples = data.validation.encoded, data.validation.examples
        labels = task.fit(scores, encoded, examples, data.labels)
        metrics = task.metrics(scores, encoded, examples, labels)
        loss = statistics.fmean(progress.losses)
        progress.losses.clear()
        report = EpochReport(epoch, step, loss, metrics, scores, labels)
        best = progress.best
        if best is None or selection_key(report, task) > selection_key(best, task):
            progress.keep(report, learner)
        log.after_epoch(seed, report)

    extent = Extent(steps=steps)
    how = StepSettings("linear", settings.warmup, settings.gradient_clip, 1, seed)
    stages = [Stage(1.0, batches, {})]
    state, diverged = progress.state, False
    with StopOnSignal() as stop:

        def should_stop() -> bool:
            return stop.requested

        try:
            train(
                learner, optimizer, stages, extent, how, compute, state, end_of_step,
                should_stop=should_stop,
            )  # fmt: skip
        except NotFinite:
            diverged = True
        if stop.requested and not diverged:
            checkpoints.save(seed, steps_before + state.step, setup, progress)
            raise stop.interruption(
                f"stopped at step {state.step} of seed {seed}. To go on: selfsup resume "
                f"{checkpoints.run}"
            )
    if stop.requested:
        raise stop.interruption("")
    if progress.best_weights:
        with torch.no_grad():
            for name, weights in learner.named_parameters():
                weights.copy_(progress.best_weights[name])
    return SeedRun(progress.best, diverged)
