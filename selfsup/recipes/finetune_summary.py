"""What a fine-tuning run came to, over its seeds."""

import statistics
from typing import Any

from selfsup.recipes.one_seed import SeedRun, merit
from selfsup.recipes.task_data import TaskData
from selfsup.settings import FinetuneSettings
from selfsup.tasks.task import Task


def summarize(
    settings: FinetuneSettings, task: Task, data: TaskData, runs: dict[int, SeedRun]
) -> dict[str, Any]:
    """The run's results: each metric's mean, standard deviation and values over the seeds.

    A seed has failed if its loss diverged, or if it does no better than the best answer that is
    the same for every example.
    """
    best = {seed: run.best for seed, run in runs.items() if run.best is not None}
    best_seed = max(best, key=lambda seed: merit(best[seed], task))
    examples, encoded = data.validation.examples, data.validation.encoded
    chance = task.chance(encoded, examples, data.labels)
    selection = task.selection_metric(data.labels)
    names = [name for name in best[best_seed].validation if name != "loss"]
    report = best[best_seed]
    return {
        "task": task.NAME,
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
    """Mean, sample standard deviation (0 of one value), and the values."""
    std = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": statistics.fmean(values), "std": std, "values": values}
