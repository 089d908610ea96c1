"""How far a fine-tuning run is: the seed that is being trained, and those that have ended."""

from dataclasses import dataclass, field

import numpy as np
from torch import Tensor, nn

from selfsup.tasks.base import Task
from selfsup.tasks.labels import Labels
from selfsup.tasks.models import TaskModule
from selfsup.training.loop import RunState


@dataclass(frozen=True)
class EpochReport:
    """The result of an epoch, counted from 1; epoch 0 is a fitted head over the encoder as it was.

    Attributes:
        step: steps taken so far.
        train_loss: mean over the epoch's steps; None for epoch 0.
        validation: metrics.
        scores: of the validation examples' windows, float32 [R, C].
        labels: with what was fitted on the validation examples.
    """

    epoch: int
    step: int
    train_loss: float | None
    validation: dict[str, float]
    scores: np.ndarray
    labels: Labels


def selection_key(report: EpochReport, task: Task) -> tuple[float, float]:
    """Larger is better: first the task's selection metric, then the lower loss."""
    metrics = report.validation
    return metrics[task.selection_metric(report.labels)], -metrics.get("loss", 0.0)


@dataclass
class SeedProgress:
    """The training with one seed, up to a step.

    Attributes:
        state: the steps and batches so far.
        losses: of the steps of an epoch that has not ended.
        best: the best epoch so far, None before the first has ended.
        best_weights: the parameters at its end, by name.
    """

    state: RunState = field(default_factory=RunState)
    losses: list[float] = field(default_factory=list)
    best: EpochReport | None = None
    best_weights: dict[str, Tensor] = field(default_factory=dict)

    def keep(self, report: EpochReport, model: nn.Module) -> None:
        """Keep an epoch as the best so far, with copies of all parameters.

        A parameter that is frozen now may learn in a later epoch.
        """
        self.best = report
        for name, weights in model.named_parameters():
            self.best_weights[name] = weights.detach().clone()


@dataclass(frozen=True)
class SeedRun:
    """The best epoch, None if not even the first was completed, and whether the loss diverged."""

    best: EpochReport | None
    diverged: bool


@dataclass
class EndedSeeds:
    """The seeds whose training has ended.

    Attributes:
        runs: by seed. After a run was resumed, only the best one has its scores.
        kept: the best model and its best epoch; None as long as no seed has completed an epoch.
    """

    runs: dict[int, SeedRun] = field(default_factory=dict)
    kept: tuple[TaskModule, EpochReport] | None = None

    def add(self, seed: int, run: SeedRun, model: TaskModule, task: Task) -> None:
        """Add a seed, with the model in its best epoch."""
        self.runs[seed] = run
        if run.best is not None and (
            self.kept is None or selection_key(run.best, task) > selection_key(self.kept[1], task)
        ):
            self.kept = model, run.best
