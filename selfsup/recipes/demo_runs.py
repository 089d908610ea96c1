"""What the demos of text and of images have in common: fine-tuning over seeds, test scores."""

import sys
from collections.abc import Callable
from typing import Any

from selfsup.recipes.evaluate import evaluate
from selfsup.recipes.finetune import finetune
from selfsup.recipes.finetune_summary import mean_and_std
from selfsup.settings import DemoSettings, EvaluateSettings, FinetuneSettings
from selfsup.training.progress import ProgressDisplay


def machine_flags(settings: DemoSettings) -> dict[str, Any]:
    """What each of the demo's runs is told of the machine."""
    return {
        "device": settings.device,
        "precision": settings.precision,
        "threads": settings.threads,
    }


def accuracy_in_test(
    name: str,
    seeds: range,
    finetuning: Callable[[int], FinetuneSettings],
    evaluation: Callable[[str], EvaluateSettings],
) -> dict[str, Any]:
    """Mean, standard deviation and values of the accuracy on test examples, over the seeds.

    A run a seed: validation examples choose the epoch, and test examples choose nothing.

    Args:
        name: of this way to learn the task, as it is shown.
        seeds: of the runs.
        finetuning: gives a seed's settings.
        evaluation: gives the settings to measure the model in a run's folder with.
    """
    values = []
    for seed in seeds:
        chosen = finetuning(seed)
        display = ProgressDisplay(f"{name}, seed {seed}", keeps_messages=False)
        finetune(chosen, display)
        values.append(evaluate(evaluation(chosen.out), display)["metrics"]["accuracy"])
        say(f"    {name}, seed {seed}: {values[-1]:.1%} of the test examples right")
    return mean_and_std(values)


def seeds_of(settings: DemoSettings) -> range:
    """The seeds of each way's runs."""
    return range(settings.seed, settings.seed + settings.seeds)


def say(line: str) -> None:
    """Tell the user how far the demo has come."""
    print(line, file=sys.stderr, flush=True)
