"""The checkpoints of a fine-tuning run, which ``selfsup resume`` goes on from.

A checkpoint holds the training with one seed: weights, optimizer, counters and, in
``best.safetensors``, the weights and scores of its best epoch. Of the seeds that have ended it
holds the results and, in ``kept.safetensors``, the weights and scores of the best.
"""

import hashlib
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypedDict

import numpy as np
import torch
from msgspec import Meta
from torch import Tensor, nn

from selfsup.encoder.huggingface.weights import read_tensors
from selfsup.errors import UserError
from selfsup.finetuning.data import TaskData
from selfsup.finetuning.progress import EndedSeeds, EpochReport, SeedProgress, SeedRun
from selfsup.finetuning.setup import FinetuningSetup
from selfsup.finetuning.starting_point import StartingPoint
from selfsup.runs import CHECKPOINTS
from selfsup.settings.finetune import ResolvedFinetuneSettings
from selfsup.structured_files import Count, WholeNumber, check
from selfsup.tasks.base import Task
from selfsup.tasks.encoders import TextPreparation
from selfsup.tasks.models import ScoreLayer
from selfsup.training.checkpoint import (
    START_AGAIN,
    CheckpointClock,
    latest_checkpoint,
    load_checkpoint,
    read_state,
    save_checkpoint,
    set_tensors,
    unshared_state,
)
from selfsup.training.loop import RunState, Seconds

_BEST, _KEPT = "best", "kept"
_SCORES, _WEIGHTS = "scores", "weights."


class _Report(TypedDict):
    """The result of an epoch; see ``EpochReport``."""

    epoch: Count
    step: Count
    train_loss: float | None
    validation: dict[str, float]
    fitted: dict[str, float]


class _EndedSeed(TypedDict):
    """A seed whose training has ended."""

    best: _Report | None
    diverged: bool


class _Saved(TypedDict):
    """The content of ``state.json``.

    Attributes:
        state: is that of the training with the seed.
        ended: by the seed, as text.
        kept: the seed with the best model among those that have ended.
    """

    step: Count
    data_sha256: str
    seconds: Seconds
    seed: WholeNumber
    state: RunState
    losses: list[float]
    best: _Report | None
    ended: dict[Annotated[str, Meta(pattern="^-?[0-9]{1,10}$")], _EndedSeed]
    kept: WholeNumber | None


class FinetuneCheckpoints:
    """Saves a run now and then, and gives back what was saved.

    Attributes:
        run: the run's folder.
        ended: the seeds that have ended.
        seconds_before: how long the run took up to the checkpoint that it goes on from.
    """

    def __init__(
        self,
        run: Path,
        settings: ResolvedFinetuneSettings,
        task: Task,
        start: StartingPoint,
        data: TaskData,
        started: float,
    ) -> None:
        """Open the last checkpoint, if there is one.

        Args:
            run: the run's folder.
            settings, task, start, data: of the run.
            started: when the command began, as ``time.perf_counter`` tells it.

        Raises:
            UserError: the checkpoint is damaged, or the data or the encoder are others than when
                it was saved.
        """
        self.run, self.ended, self.seconds_before = run, EndedSeeds(), 0.0
        self._folder, self._started = run / CHECKPOINTS, started
        self._clock = CheckpointClock(settings.checkpoint_every)
        self._inputs_sha256 = cache(lambda: inputs_sha256(data, start))
        self._checkpoint = latest_checkpoint(self._folder)
        self._task, self._data = task, data
        self._saved: dict[str, Any] = {}
        if self._checkpoint is None:
            return
        self._saved = check(
            read_state(self._checkpoint), _Saved, self._checkpoint / "state.json", START_AGAIN
        )
        if self._saved["data_sha256"] != self._inputs_sha256():
            raise UserError(
                f"{run}: its data ({settings.train} {settings.validation}) or its encoder "
                f"({settings.encoder}) are others than when it began: put them back, or give the "
                "finetune command again with another --out"
            )
        # With defaults for what is missing.
        self._state = check(self._saved["state"], RunState, self._checkpoint, START_AGAIN)
        seeds = range(settings.seed, settings.seed + settings.seeds)
        if not {self._saved["seed"], *map(int, self._saved["ended"])} <= {*seeds}:
            raise self._damaged(f"it names a seed that is none of the run's {len(seeds)}")
        self.seconds_before = self._saved["seconds"]
        self._restore_ended(start)

    @property
    def place(self) -> str:
        """The step and the seed that were saved; empty if nothing was."""
        if not self._saved:
            return ""
        return f"step {self._state.step} of seed {self._saved['seed']}"

    def is_logged(self, line: Mapping[str, Any]) -> bool:
        """Whether a line of ``metrics.jsonl`` was written before the checkpoint."""
        if not self._saved:
            return False
        seed = line.get("seed", 0)
        here = (self._saved["seed"], self._state.step)
        return isinstance(seed, int) and (seed, line["step"]) <= here

    def restore(
        self,
        seed: int,
        setup: FinetuningSetup,
        steps_per_epoch: int,
        epochs: int,
        every: int = 1,
        *,
        has_first: bool = False,
    ) -> SeedProgress:
        """Bring model and optimizer to where they were saved, if they were with this seed.

        Args:
            seed: the one that is trained next.
            setup: model and optimizer.
            steps_per_epoch, epochs: of the training.
            every: how many epochs are trained between two that are validated.
            has_first: whether there is a best model before the first epoch.

        Raises:
            UserError: the checkpoint is damaged.
        """
        if self._saved.get("seed") != seed:
            return SeedProgress()
        assert self._checkpoint is not None
        progress = SeedProgress(self._state, self._saved["losses"])
        step, has_best = progress.state.step, self._saved[_BEST] is not None
        # Each step takes one batch and leaves one loss, until an epoch is validated.
        if (
            step > epochs * steps_per_epoch
            or progress.state.batches_taken != [step]
            or len(progress.losses) != step % (every * steps_per_epoch)
            or has_best != (has_first or step >= steps_per_epoch)
        ):
            raise self._damaged("its counts contradict each other")
        # In the order in which they were added to the optimizer, which numbers them.
        for epoch in range(2, min(epochs, progress.state.step // steps_per_epoch + 1) + 1):
            setup.begin_epoch(epoch)
        load_checkpoint(self._checkpoint, setup.model, setup.optimizer)
        if has_best:
            weights, scores = self._read(_BEST, setup.model)
            own = {name: weight.detach() for name, weight in setup.model.named_parameters()}
            progress.best_weights = {name: torch.empty_like(own[name]) for name in own}
            set_tensors(progress.best_weights, weights, self._checkpoint)
            progress.best = self._report(self._saved[_BEST], scores)
        return progress

    def save_if_due(
        self, seed: int, step_of_run: int, setup: FinetuningSetup, progress: SeedProgress
    ) -> None:
        """Save after this step if it is time to."""
        if self._clock.is_due(progress.state.step):
            self.save(seed, step_of_run, setup, progress)

    def save(
        self, seed: int, step_of_run: int, setup: FinetuningSetup, progress: SeedProgress
    ) -> None:
        """Save now.

        Args:
            seed: the one that is being trained.
            step_of_run: the number of steps with all seeds, of which this one is.
            setup: model and optimizer.
            progress: of the training with this seed.

        Raises:
            UserError: the disk is full or not writable; the previous checkpoint stays.
        """
        begun = time.monotonic()
        others = {}
        if progress.best is not None:
            others[_BEST] = _tensors(progress.best_weights, progress.best.scores)
        if self.ended.kept is not None:
            model, report = self.ended.kept
            others[_KEPT] = _tensors(unshared_state(model), report.scores)
        ended = self.ended.runs
        kept = [s for s, run in ended.items() if self.ended.kept and run.best is self.ended.kept[1]]
        state = {
            "data_sha256": self._inputs_sha256(),
            "seconds": self.seconds_before + time.perf_counter() - self._started,
            "seed": seed,
            "state": asdict(progress.state),
            "losses": progress.losses,
            _BEST: _report_to_json(progress.best),
            "ended": {
                str(number): {"best": _report_to_json(run.best), "diverged": run.diverged}
                for number, run in ended.items()
            },
            _KEPT: kept[0] if kept else None,
        }
        save_checkpoint(self._folder, step_of_run, setup.model, setup.optimizer, state, others)
        self._clock.saved(time.monotonic() - begun)

    def _restore_ended(self, start: StartingPoint) -> None:
        assert self._checkpoint is not None
        ended, kept = self._saved["ended"], self._saved[_KEPT]
        completed = {int(seed): run["best"] for seed, run in ended.items() if run["best"]}
        if (kept is None and completed) or (kept is not None and kept not in completed):
            raise self._damaged(f"kept is {kept}, which is not the best of the ended seeds")
        if kept is not None:
            model = start.build_model(self._task, self._data.labels, kept)
            weights, scores = self._read(_KEPT, model)
            set_tensors(unshared_state(model), weights, self._checkpoint)
            self.ended.kept = model, self._report(completed[kept], scores)
        for seed, run in ended.items():
            best = run["best"] and self._report(run["best"], None)
            if self.ended.kept and int(seed) == kept:
                best = self.ended.kept[1]
            self.ended.runs[int(seed)] = SeedRun(best, run["diverged"])

    def _read(self, name: str, model: nn.Module) -> tuple[dict[str, Tensor], np.ndarray]:
        """Weights, and scores; copies, since the next checkpoint removes the file.

        Raises:
            UserError: it is damaged, or the scores are not those of all validation examples.
        """
        assert self._checkpoint is not None
        path = self._checkpoint / f"{name}.safetensors"
        tensors = read_tensors(path)
        scores = tensors.pop(_SCORES, torch.empty(0))
        last = [layer for layer in model.modules() if isinstance(layer, ScoreLayer)][-1]
        rows = int(np.sum(self._data.validation.encoded.windows.row_counts))
        if (
            scores.shape != (rows, last.out_features)
            or scores.dtype != torch.float32
            or not scores.isfinite().all()
        ):
            raise UserError(
                f"{path}: its scores are not those of {rows} rows (damaged?): {START_AGAIN}"
            )
        weights = {key.removeprefix(_WEIGHTS): value for key, value in tensors.items()}
        return weights, scores.numpy().copy()

    def _report(self, saved: _Report, scores: np.ndarray | None) -> EpochReport:
        """The result of an epoch; what follows from its scores is computed again.

        Raises:
            UserError: without scores, it has other metrics than the best of the ended seeds.
        """
        labels, metrics = self._data.labels, saved["validation"]
        if scores is not None:
            encoded, examples = self._data.validation.encoded, self._data.validation.examples
            labels = self._task.fit(scores, encoded, examples, labels)
            metrics = self._task.metrics(scores, encoded, examples, labels)
        elif self.ended.kept and metrics.keys() != self.ended.kept[1].validation.keys():
            raise self._damaged("it has not the metrics of this task")
        else:
            labels = replace(labels, fitted=saved["fitted"])
        scores = np.empty(0) if scores is None else scores
        epoch, step, loss = saved["epoch"], saved["step"], saved["train_loss"]
        return EpochReport(epoch, step, loss, metrics, scores, labels)

    def _damaged(self, what: str) -> UserError:
        assert self._checkpoint is not None
        return UserError(f"{self._checkpoint / 'state.json'}: damaged ({what}): {START_AGAIN}")


def inputs_sha256(data: TaskData, start: StartingPoint) -> str:
    """A hash of all that a run learns from: its examples, and the encoder with its tokenizer."""
    digest = hashlib.sha256()

    def add(value: object) -> None:
        digest.update(repr(value).encode(errors="backslashreplace") + b"\n")

    with np.printoptions(threshold=sys.maxsize):  # else long arrays are abbreviated
        for value in (data.train.examples, data.validation.examples, data.labels):
            add(value)
    if data.balance.class_weights is not None:
        add(data.balance.class_weights.tolist())
    if isinstance(start.preparation, TextPreparation):
        add(start.preparation.tokenizer.to_str())
    for name, weights in sorted((start.weights or {}).items()):
        add((name, weights.dtype, weights.shape))
        digest.update(weights.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _tensors(weights: Mapping[str, Tensor], scores: np.ndarray) -> dict[str, Tensor]:
    named = {f"{_WEIGHTS}{name}": value for name, value in weights.items()}
    return {**named, _SCORES: torch.from_numpy(np.ascontiguousarray(scores))}


def _report_to_json(report: EpochReport | None) -> dict[str, Any] | None:
    if report is None:
        return None
    return {
        "epoch": report.epoch,
        "step": report.step,
        "train_loss": report.train_loss,
        "validation": report.validation,
        "fitted": dict(report.labels.fitted),
    }
