"""The frame of both demos: pre-train, then learn a small task in several ways and compare them.

A ``Recipe`` says what is learned from, and runs the stages in the demo's folder.
"""

import contextlib
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from selfsup.atomic_files import LOCK, locked, writing_to
from selfsup.corpus.workers import default_workers
from selfsup.demo.processes import map_in_processes
from selfsup.errors import UserError
from selfsup.finetuning.run import finetune
from selfsup.finetuning.summary import mean_and_std
from selfsup.inference.evaluate import evaluate
from selfsup.progress import ProgressDisplay
from selfsup.report.demo import IMAGE_WAYS, TEXT_WAYS, Way
from selfsup.report.page import write_report
from selfsup.runs import METRICS, SETTINGS, SUMMARY, VALIDATION_PREDICTIONS
from selfsup.runs.folder import begin_run, write_summary
from selfsup.runs.reading import read_run
from selfsup.settings.finetune import FinetuneSettings
from selfsup.settings.inference import EvaluateSettings
from selfsup.settings.showing import DemoSettings
from selfsup.terminal import say
from selfsup.training.compute import choose_compute

DATA, PRETRAIN, REPORT = "data", "pretrain", "report.html"
TEST, VALIDATION, TRAIN = "test", "validation", "train"
# The pre-trainings of the demo with images, each in a folder of its own.
IMAGE_PRETRAININGS = {
    "inpainting": ("inpainting",),
    "jigsaw": ("jigsaw",),
    "both": ("inpainting", "jigsaw"),
}
# The file name of a handwritten digit.
DIGIT = "digit-{:04}.png"

_DATA_FILES = ("pretraining.jsonl", *(f"{part}.tsv" for part in (TRAIN, VALIDATION, TEST)))
_SUBFOLDERS_OF_A_RUN = ("model", "checkpoints", "tokenizer", "shards", "images", "pictures")
_MAX_PROCESSES = 4  # a process takes up to a gigabyte of memory


class Recipe(ABC):
    """What is special about one demo: its data, its pre-training and its ways to learn the task.

    Attributes:
        usual_out, usual_minutes: what ``--out`` and ``--minutes`` are if not given.
        task_name: of the task for ``finetune``.
        columns: the columns of the labelled examples; empty for images.
        suffix: of the files of labelled examples; empty for folders.
        ways: how the task is learned; each is a row of the result.
        learning_stage, last_stage: what the user is told when these stages begin; the first names
            the number of ``{seeds}``.
        minutes: how long to pre-train in all.
        folder: the demo's run folder.
        settings: with ``out`` and ``minutes`` filled in.
    """

    usual_out: str
    usual_minutes: float
    task_name: str
    columns: ClassVar[dict[str, str]] = {}
    suffix: str = ""
    ways: tuple[Way, ...]
    learning_stage: str
    last_stage: str

    def __init__(self, settings: DemoSettings) -> None:
        self.minutes = settings.minutes or self.usual_minutes
        self.folder = Path(settings.out or self.usual_out)
        self.settings = replace(settings, out=str(self.folder), minutes=self.minutes)

    def run(self) -> dict[str, Any]:
        """Write the data, pre-train, learn the task in each way, and write the report.

        Returns:
            the summary: for each way the ``accuracy`` on test examples (mean, standard deviation
            and values over the seeds), ``pretraining``, the recipe's samples, ``task`` (its
            sizes), ``seconds``, ``out`` and ``report``.

        Raises:
            UserError: the folder holds something else or cannot be written; or as the stages do.
        """
        settings = self.settings
        # A wrong device or precision fails here, before anything is written.
        choose_compute(settings.device, settings.precision, settings.threads)
        with demo_folder(settings) as folder:
            started = time.perf_counter()
            task = self.write_data()
            pretraining = self.pretrain(task)
            say(self.learning_stage.format(seeds=settings.seeds))
            seeds = range(settings.seed, settings.seed + settings.seeds)
            trials = {
                way: [self.trial(way, name, seed) for seed in seeds] for way, name, _ in self.ways
            }
            accuracies = accuracies_on_test(trials, settings)
            say(self.last_stage)
            summary = {
                **accuracies,
                "pretraining": pretraining,
                **self.samples(),
                "task": task,
                "seconds": round(time.perf_counter() - started, 1),
            }
            write_summary(folder, summary)
            write_report([folder], folder / REPORT)
            return {**summary, "out": str(folder), "report": str(folder / REPORT)}

    @abstractmethod
    def write_data(self) -> dict[str, Any]:
        """Write the data to pre-train on and the labelled examples; returns the task's sizes."""

    @abstractmethod
    def pretrain(self, task: dict[str, Any]) -> dict[str, Any]:
        """Pre-train; returns the summary's ``pretraining``."""

    @abstractmethod
    def start(self, way: str) -> dict[str, Any]:
        """The settings of fine-tuning that say what one way starts from and how it learns."""

    def samples(self) -> dict[str, Any]:
        """Further entries of the summary that show what the pre-trained model can do."""
        return {}

    def machine_flags(self) -> dict[str, Any]:
        """The settings of device, precision and threads, which all of the demo's runs share."""
        return {name: getattr(self.settings, name) for name in ("device", "precision", "threads")}

    def trial(self, way: str, name: str, seed: int) -> "Trial":
        """The fine-tuning run of one way and one seed, and its evaluation."""
        train, validation, test = (
            str(self.folder / DATA / f"{part}{self.suffix}") for part in (TRAIN, VALIDATION, TEST)
        )
        out = str(self.folder / way / f"seed-{seed}")
        common: dict[str, Any] = self.columns | self.machine_flags()
        finetuning = FinetuneSettings(
            task=self.task_name, train=train, validation=validation, out=out, seed=seed,
            baselines=False, **common, **self.start(way),
        )  # fmt: skip
        evaluation = EvaluateSettings(model=out, data=test, **common)
        return Trial(f"{name}, seed {seed}", finetuning, evaluation)


class Trial(NamedTuple):
    """A fine-tuning run, and the evaluation of its model.

    Attributes:
        name: as the user sees it.
        finetuning: chooses the best epoch on the validation examples.
        evaluation: on the test examples, which choose nothing.
    """

    name: str
    finetuning: FinetuneSettings
    evaluation: EvaluateSettings


def image_pretraining(folder: Path, name: str) -> Path:
    """The run folder of one of ``IMAGE_PRETRAININGS``."""
    return folder / f"{PRETRAIN}-{name}"


@contextlib.contextmanager
def demo_folder(settings: DemoSettings) -> Iterator[Path]:
    """Lock the demo's run folder, and remove what an earlier demo left in it, but nothing else.

    Raises:
        UserError: the folder holds something that no demo wrote, another demo is running there,
            or the folder cannot be written.
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
    with locked(folder):
        if is_used:
            with writing_to(folder):
                _remove_earlier(folder)
        yield begin_run(folder, "demo", settings)


def _remove_earlier(folder: Path) -> None:
    """Remove what a demo writes, by name; the results first, since half of them would mislead."""
    for name in (SUMMARY, REPORT):
        (folder / name).unlink(missing_ok=True)
    ways = [folder / way for way, _, _ in (*TEXT_WAYS, *IMAGE_WAYS)]
    runs = [folder / PRETRAIN, *(image_pretraining(folder, name) for name in IMAGE_PRETRAININGS)]
    runs += [run for way in ways for run in way.glob("seed-*")]
    for run in runs:
        for name in (SUMMARY, METRICS, SETTINGS, VALIDATION_PREDICTIONS, REPORT):
            (run / name).unlink(missing_ok=True)
        for name in _SUBFOLDERS_OF_A_RUN:
            shutil.rmtree(run / name, ignore_errors=True)
    data = folder / DATA
    digits = data.glob(f"**/{DIGIT.format(0).replace('0', '[0-9]')}")
    for file in [*digits, *(data / name for name in _DATA_FILES)]:
        file.unlink(missing_ok=True)
    # In reverse order a folder comes after its subfolders.
    for emptied in [*runs, *ways, *sorted(data.glob("**/"), reverse=True)]:
        if emptied.is_dir() and not any(emptied.iterdir()):
            emptied.rmdir()


def accuracies_on_test(
    trials: dict[str, list[Trial]], settings: DemoSettings
) -> dict[str, dict[str, Any]]:
    """Run the trials; returns for each way their ``accuracy``: mean, deviation and values.

    Models this small gain little from a second thread. On a CPU, unless ``--threads`` is given,
    one trial per core (four at most) runs at a time, each in a process with one thread.

    Raises:
        UserError: a process was killed; or as ``finetune``.
    """
    all_trials = [trial for of_way in trials.values() for trial in of_way]
    compute = choose_compute(settings.device, settings.precision, settings.threads)
    several = settings.threads is None and compute.device.type == "cpu"
    processes = min(len(all_trials), default_workers(), _MAX_PROCESSES) if several else 1
    if processes == 1:
        found = map(_accuracy, all_trials)
    else:
        found = map_in_processes(_accuracy_on_one_thread, all_trials, processes)
    accuracies = []
    for trial, accuracy in zip(all_trials, found, strict=True):
        say(f"    {trial.name}: {accuracy:.1%} of the test examples right")
        accuracies.append(accuracy)
    left = iter(accuracies)
    return {
        way: {"accuracy": mean_and_std([next(left) for _ in of_way])}
        for way, of_way in trials.items()
    }


def _accuracy_on_one_thread(trial: Trial) -> float:
    finetuning = replace(trial.finetuning, threads=1)
    evaluation = replace(trial.evaluation, threads=1)
    return _accuracy(Trial(trial.name, finetuning, evaluation))


def _accuracy(trial: Trial) -> float:
    display = ProgressDisplay(trial.name, keeps_messages=False)
    finetune(trial.finetuning, display)
    return evaluate(trial.evaluation, display)["metrics"]["accuracy"]
