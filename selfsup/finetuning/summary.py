"""The log of a fine-tuning run while it trains, and the summary of its results over all seeds."""

import statistics
import time
from collections.abc import Callable
from typing import Any

from selfsup.finetuning.data import TaskData
from selfsup.finetuning.training_run import EpochReport, SeedRun, selection_key
from selfsup.progress import ProgressDisplay, seconds_left
from selfsup.runs.folder import MetricsFile
from selfsup.settings.finetune import ResolvedFinetuneSettings
from selfsup.tasks.base import Task
from selfsup.training.loop import StepReport


class FinetuneLog:
    """Writes ``metrics.jsonl``, a line an epoch, and shows the progress over all seeds."""

    def __init__(self, metrics: MetricsFile, display: ProgressDisplay, seeds: int) -> None:
        self._metrics, self._display, self._seeds = metrics, display, seeds
        self._started = time.perf_counter()
        self._seeds_begun = 0

    def of_step(self, seed: int) -> Callable[[StepReport], None]:
        """A function to call after each step of a seed."""
        before = self._seeds_begun
        self._seeds_begun += 1

        def show(report: StepReport) -> None:
            share = (before + report.progress) / self._seeds
            spent = time.perf_counter() - self._started
            fields = {"step": f"{report.state.step}", "loss": f"{sum(report.losses.values()):.3f}"}
            if self._seeds > 1:
                fields = {"seed": f"{seed}", **fields}
            self._display.update(share, seconds_left(spent, share), fields)

        return show

    def of_epoch(self, seed: int) -> Callable[[EpochReport], None]:
        """A function to call after each epoch of a seed."""

        def write(report: EpochReport) -> None:
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

        return write


def summarize(
    settings: ResolvedFinetuneSettings, task: Task, data: TaskData, runs: dict[int, SeedRun]
) -> dict[str, Any]:
    """The run's results: each metric's mean, standard deviation and values over the seeds.

    A seed has failed if its loss diverged, or if it is no better than the best constant answer.
    """
    best = {seed: run.best for seed, run in runs.items() if run.best is not None}
    best_seed = max(best, key=lambda seed: selection_key(best[seed], task))
    examples, encoded = data.validation.examples, data.validation.encoded
    chance = task.chance(encoded, examples, data.labels)
    selection = task.selection_metric(data.labels)
    names = [name for name in best[best_seed].validation if name != "loss"]
    report = best[best_seed]
    return {
        "task": task.name,
        "metrics": {
            name: mean_and_std([report.validation[name] for report in best.values()])
            for name in names
        },
        "seeds": list(runs),
        "failed_seeds": [
            seed
            for seed, run in runs.items()
            if run.diverged or run.best is None or run.best.validation[selection] <= chance
        ],
        "best_seed": best_seed,
        "best_epochs": {str(seed): report.epoch for seed, report in best.items()},
        "epochs": settings.epochs,
        "train_examples": len(data.train),
        "validation_examples": len(data.validation),
        "selection_metric": selection,
        "chance": chance,
        **task.details(report.scores, encoded, examples, report.labels),
    }


def mean_and_std(values: list[float]) -> dict[str, Any]:
    """Mean, sample standard deviation (0 for a single value), and the values."""
    std = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": statistics.fmean(values), "std": std, "values": values}
