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
from typing import Any

import numpy as np
import torch
from torch import Tensor

from selfsup.encoder.huggingface.weights import read_tensors
from selfsup.errors import UserError
from selfsup.finetuning.data import TaskData
from selfsup.finetuning.progress import EndedSeeds, EpochReport, SeedProgress, SeedRun
from selfsup.finetuning.setup import FinetuningSetup
from selfsup.finetuning.starting_point import StartingPoint
from selfsup.runs import CHECKPOINTS
from selfsup.settings.finetune import ResolvedFinetuneSettings
from selfsup.tasks.base import Task
from selfsup.tasks.encoders import TextPreparation
from selfsup.tasks.labels import Labels
from selfsup.training.checkpoint import (
    CheckpointClock,
    latest_checkpoint,
    load_checkpoint,
    read_state,
    save_checkpoint,
    set_tensors,
    unshared_state,
)
from selfsup.training.loop import RunState

_BEST, _KEPT = "best", "kept"
_SCORES, _WEIGHTS = "scores", "weights."


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
        self._saved: dict[str, Any] = {}
        if self._checkpoint is None:
            return
        self._saved = read_state(self._checkpoint)
        if self._saved["data_sha256"] != self._inputs_sha256():
            raise UserError(
                f"{run}: its data ({settings.train} {settings.validation}) or its encoder "
                f"({settings.encoder}) are others than when it began: put them back, or give the "
                "finetune command again with another --out"
            )
        self.seconds_before = self._saved["seconds"]
        self._restore_ended(settings, task, start, data.labels)

    @property
    def place(self) -> str:
        """The step and the seed that were saved; empty if nothing was."""
        if not self._saved:
            return ""
        return f"step {self._saved['state']['step']} of seed {self._saved['seed']}"

    def is_logged(self, line: Mapping[str, Any]) -> bool:
        """Whether a line of ``metrics.jsonl`` was written before the checkpoint."""
        if not self._saved:
            return False
        here = (self._saved["seed"], self._saved["state"]["step"])
        return (line.get("seed", 0), line["step"]) <= here

    def restore(
        self, seed: int, setup: FinetuningSetup, steps_per_epoch: int, epochs: int, labels: Labels
    ) -> SeedProgress:
        """Bring model and optimizer to where they were saved, if they were with this seed."""
        if self._saved.get("seed") != seed:
            return SeedProgress()
        assert self._checkpoint is not None
        progress = SeedProgress(RunState(**self._saved["state"]), self._saved["losses"])
        # In the order in which they were added to the optimizer, which numbers them.
        for epoch in range(2, min(epochs, progress.state.step // steps_per_epoch + 1) + 1):
            setup.begin_epoch(epoch)
        load_checkpoint(self._checkpoint, setup.model, setup.optimizer)
        if self._saved[_BEST] is not None:
            weights, scores = self._read(_BEST)
            own = {name: weight.detach() for name, weight in setup.model.named_parameters()}
            progress.best_weights = {name: torch.empty_like(own[name]) for name in own}
            set_tensors(progress.best_weights, weights, self._checkpoint)
            progress.best = _report_from_json(self._saved[_BEST], scores, labels)
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

    def _restore_ended(
        self, settings: ResolvedFinetuneSettings, task: Task, start: StartingPoint, labels: Labels
    ) -> None:
        kept = self._saved[_KEPT]
        weights, kept_scores = self._read(_KEPT) if kept is not None else ({}, np.empty(0))
        for name, saved in self._saved["ended"].items():
            seed = int(name)
            scores = kept_scores if seed == kept else np.empty(0)
            best = saved["best"] and _report_from_json(saved["best"], scores, labels)
            self.ended.runs[seed] = SeedRun(best, saved["diverged"])
        if kept is not None:
            assert self._checkpoint is not None
            model = start.build_model(task, labels, kept)
            set_tensors(unshared_state(model), weights, self._checkpoint)
            report = self.ended.runs[kept].best
            assert report is not None
            self.ended.kept = model, report

    def _read(self, name: str) -> tuple[dict[str, Tensor], np.ndarray]:
        """Weights and scores; copies, since the next checkpoint removes the file."""
        assert self._checkpoint is not None
        tensors = read_tensors(self._checkpoint / f"{name}.safetensors")
        scores = tensors.pop(_SCORES).numpy().copy()
        weights = {key.removeprefix(_WEIGHTS): value for key, value in tensors.items()}
        return weights, scores


def inputs_sha256(data: TaskData, start: StartingPoint) -> str:
    """A hash of all that a run learns from: its examples, and the encoder with its tokenizer."""
    digest = hashlib.sha256()

    def add(value: object) -> None:
        digest.update(repr(value).encode(errors="backslashreplace") + b"\n")

    with np.printoptions(threshold=sys.maxsize):  # else long arrays are abbreviated
        for value in (data.train.examples, data.validation.examples, data.labels):
            add(value)
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


def _report_from_json(saved: dict[str, Any], scores: np.ndarray, labels: Labels) -> EpochReport:
    values = dict(saved)
    fitted = values.pop("fitted")
    return EpochReport(**values, scores=scores, labels=replace(labels, fitted=fitted))
