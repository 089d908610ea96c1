"""What the demos of text and of images have in common: fine-tuning runs and their test scores."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from selfsup.corpus.worker_pool import default_workers
from selfsup.recipes.evaluate import evaluate
from selfsup.recipes.finetune import finetune
from selfsup.recipes.finetune_summary import mean_and_std
from selfsup.recipes.side_by_side import side_by_side
from selfsup.settings import DemoSettings, EvaluateSettings, FinetuneSettings
from selfsup.training.compute import choose_compute
from selfsup.training.progress import ProgressDisplay

# Each takes up to a gigabyte of memory.
_MOST_PROCESSES = 4


class Trial(NamedTuple):
    """A fine-tuning run, and how to test the model that comes of it.

    Attributes:
        name: as it is shown.
        finetuning: validation examples choose the epoch.
        evaluation: on test examples, which choose nothing.
    """

    name: str
    finetuning: FinetuneSettings
    evaluation: EvaluateSettings


def accuracies_in_test(
    trials: dict[str, list[Trial]], settings: DemoSettings
) -> dict[str, dict[str, Any]]:
    """For each way to learn the task, its trials' ``accuracy``: mean, deviation and values.

    Models so small gain little from a second thread. On a CPU, unless ``--threads`` is given, as
    many trials as there are cores (four at most) run side by side, in a process with one thread
    each.

    Raises:
        UserError: a process was killed; or as ``finetune``.
    """
    one_by_one = [trial for of_way in trials.values() for trial in of_way]
    processes = _processes(settings, len(one_by_one))
    found = (
        _in_turn(one_by_one)
        if processes == 1
        else side_by_side(_accuracy_on_one_thread, one_by_one, processes)
    )
    accuracies = []
    for trial, accuracy in zip(one_by_one, found, strict=True):
        say(f"    {trial.name}: {accuracy:.1%} of the test examples right")
        accuracies.append(accuracy)
    left = iter(accuracies)
    return {
        way: {"accuracy": mean_and_std([next(left) for _ in of_way])}
        for way, of_way in trials.items()
    }


def machine_flags(settings: DemoSettings) -> dict[str, Any]:
    """What each of the demo's runs is told of the machine."""
    return {
        "device": settings.device,
        "precision": settings.precision,
        "threads": settings.threads,
    }


def seeds_of(settings: DemoSettings) -> range:
    """The seeds of each way's runs."""
    return range(settings.seed, settings.seed + settings.seeds)


def say(line: str) -> None:
    """Tell the user how far the demo has come."""
    print(line, file=sys.stderr, flush=True)


def _processes(settings: DemoSettings, trials: int) -> int:
    compute = choose_compute(settings.device, settings.precision, settings.threads)
    if settings.threads is not None or compute.device.type != "cpu":
        return 1
    return min(trials, default_workers(), _MOST_PROCESSES)


def _in_turn(trials: Sequence[Trial]) -> Iterator[float]:
    for trial in trials:
        yield _accuracy(trial, ProgressDisplay(trial.name, keeps_messages=False))


def _accuracy_on_one_thread(trial: Trial) -> float:
    trial = trial._replace(
        finetuning=replace(trial.finetuning, threads=1),
        evaluation=replace(trial.evaluation, threads=1),
    )
    return _accuracy(trial, ProgressDisplay(trial.name, keeps_messages=False))


def _accuracy(trial: Trial, display: ProgressDisplay) -> float:
    finetune(trial.finetuning, display)
    return evaluate(trial.evaluation, display)["metrics"]["accuracy"]
