"""The results of a fine-tuning run over its seeds, as ``summary.json`` holds them."""

import statistics
from typing import Any

from selfsup.finetuning.data import TaskData
from selfsup.finetuning.progress import SeedRun, selection_key
from selfsup.settings.finetune import ResolvedFinetuneSettings
from selfsup.tasks.base import Task


def summarize(
    settings: ResolvedFinetuneSettings, task: Task, data: TaskData, runs: dict[int, SeedRun]
) -> dict[str, Any]:
    """The run's results: each metric's mean, standard deviation and values over the seeds.

    A seed has failed if its loss diverged, or if it is no better than the best constant answer.
    """
    best = {seed: run.best for seed, run in runs.items() if run.best is not None}
    best_seed = max(best, key=lambda seed: selection_key(best[seed], task))
    examples, encoded = data.validation.examples, data.validation.encoded
    baseline = task.baseline(encoded, examples, data.labels)
    selection = task.selection_metric(data.labels)
    report = best[best_seed]
    return {
        "task": task.name,
        "metrics": {
            name: mean_and_std([epoch.validation[name] for epoch in best.values()])
            for name in report.validation
            if name != "loss"
        },
        "seeds": list(runs),
        "failed_seeds": [
            seed
            for seed, run in runs.items()
            if run.diverged
            or run.best is None
            or run.best.validation[selection] <= baseline[selection]
        ],
        "best_seed": best_seed,
        "best_epochs": {str(seed): epoch.epoch for seed, epoch in best.items()},
        "epochs": settings.epochs,
        "train_examples": len(data.train),
        "validation_examples": len(data.validation),
        "selection_metric": selection,
        "chance": baseline[selection],
        "baseline": baseline,
        **task.details(report.scores, encoded, examples, report.labels),
    }


def mean_and_std(values: list[float]) -> dict[str, Any]:
    """Mean, sample standard deviation (0 for a single value), and the values."""
    std = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": statistics.fmean(values), "std": std, "values": values}
