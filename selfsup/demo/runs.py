"""The demo's run folder. A new demo takes the place of an earlier one, and of nothing else."""

import contextlib
import dataclasses
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from selfsup.atomic_files import LOCK, alone_in, writing_to
from selfsup.corpus.workers import default_workers
from selfsup.errors import UserError
from selfsup.finetuning.run import finetune
from selfsup.finetuning.summary import mean_and_std
from selfsup.inference.evaluate import evaluate
from selfsup.progress import ProgressDisplay
from selfsup.report.sections.demo import IMAGE_WAYS, TEXT_WAYS
from selfsup.runs.folder import METRICS, SETTINGS, SUMMARY, VALIDATION_PREDICTIONS, begin_run
from selfsup.runs.reading import read_run
from selfsup.settings import DemoSettings, EvaluateSettings, FinetuneSettings
from selfsup.training.compute import choose_compute

DATA, PRETRAIN, REPORT = "data", "pretrain", "report.html"
# The pre-trainings of the demo with images, each in a folder of its own.
IMAGE_PRETRAININGS = {
    "inpainting": ("inpainting",),
    "jigsaw": ("jigsaw",),
    "both": ("inpainting", "jigsaw"),
}
# What a file with a handwritten digit is called.
DIGIT = "digit-{:04}.png"

_USUAL_OUT = {"text": "runs/demo", "images": "runs/demo-images"}
_USUAL_MINUTES = {"text": 5.0, "images": 3.0}
_DATA_FILES = ("pretraining.jsonl", "train.tsv", "validation.tsv", "test.tsv")
_FOLDERS_OF_A_RUN = ("model", "checkpoints", "tokenizer", "shards", "images", "pictures")


def with_defaults(settings: DemoSettings) -> DemoSettings:
    """The settings with what was left open filled in."""
    return dataclasses.replace(
        settings,
        out=settings.out or _USUAL_OUT[settings.data],
        minutes=settings.minutes or _USUAL_MINUTES[settings.data],
    )


def image_pretraining(folder: Path, name: str) -> Path:
    """The run folder of one of ``IMAGE_PRETRAININGS``."""
    return folder / f"{PRETRAIN}-{name}"


@contextlib.contextmanager
def demo_folder(settings: DemoSettings) -> Iterator[Path]:
    """The run's folder, for this demo alone; what an earlier one has left in it is removed.

    Raises:
        UserError: there is something that no demo wrote, another demo is at work there, or the
            folder cannot be written.
    """
    assert settings.out is not None
    folder = Path(settings.out)
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--out {folder}: this is a file: choose another --out")
    is_used = folder.exists() and any(path.name != LOCK for path in folder.iterdir())
    if is_used and (not (folder / SETTINGS).exists() or read_run(folder).kind != "demo"):
        raise UserError(
            f"--out {folder}: holds what no demo wrote, and a demo would write over it: "
            "choose another --out"
        )
    with alone_in(folder):
        if is_used:
            with writing_to(folder):
                _remove_earlier(folder)
        yield begin_run(folder, settings)


def _remove_earlier(folder: Path) -> None:
    """Remove what a demo writes, by name. The results first: half of them would mislead."""
    for name in (SUMMARY, REPORT):
        (folder / name).unlink(missing_ok=True)
    _remove_run(folder / PRETRAIN)
    for name in IMAGE_PRETRAININGS:
        _remove_run(image_pretraining(folder, name))
    for way, _, _ in (*TEXT_WAYS, *IMAGE_WAYS):
        for run in (folder / way).glob("seed-*"):
            _remove_run(run)
        _remove_if_empty(folder / way)
    _remove_data(folder / DATA)


def _remove_data(data: Path) -> None:
    for name in _DATA_FILES:
        (data / name).unlink(missing_ok=True)
    for file in data.glob(f"**/{DIGIT.format(0).replace('0', '[0-9]')}"):
        file.unlink()
    # A folder after those in it.
    for folder in sorted(data.glob("**/"), reverse=True):
        _remove_if_empty(folder)


def _remove_run(run: Path) -> None:
    for name in (SUMMARY, METRICS, SETTINGS, VALIDATION_PREDICTIONS, REPORT):
        (run / name).unlink(missing_ok=True)
    for name in _FOLDERS_OF_A_RUN:
        shutil.rmtree(run / name, ignore_errors=True)
    _remove_if_empty(run)


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


# Work that the demo does in several processes at a time.


Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(
    function: Callable[[Item], Result], items: Sequence[Item], processes: int, at_once: int = 1
) -> Iterator[Result]:
    """What a function makes of each item, in the items' order.

    Args:
        function: of a module, so that another process finds it.
        items: what it is given.
        processes: how many work at a time.
        at_once: items that a process is given at a time.

    Raises:
        UserError: a process was killed; or whatever the function raises.
    """
    # Not forked: a copy of a process in which torch has had threads may hang.
    pool = ProcessPoolExecutor(processes, get_context("spawn"), initializer=_be_quiet)
    try:
        yield from pool.map(function, items, chunksize=at_once)
    except BrokenProcessPool:
        raise UserError(
            "a process of the demo was killed, probably for want of memory: with --threads 1 "
            "--workers 1 only one runs at a time"
        ) from None
    except BaseException:
        # After Ctrl-C, or a mistake, nobody waits for the others to end.
        for process in active_children():
            process.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _be_quiet() -> None:
    """What several processes say at once nobody can read; mistakes reach the first as errors."""
    sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - as long as the process lives


# What the demos of text and of images have in common: fine-tuning runs and their test scores.


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
