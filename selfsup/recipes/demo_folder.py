"""The demo's run folder. A new demo takes the place of an earlier one, and of nothing else."""

import contextlib
import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

from selfsup.atomic_files import writing_to
from selfsup.errors import UserError
from selfsup.folder_lock import LOCK, alone_in
from selfsup.recipes.run_folder import METRICS, SETTINGS, SUMMARY, VALIDATION_PREDICTIONS, begin_run
from selfsup.report.demo_ways import IMAGE_WAYS, TEXT_WAYS
from selfsup.report.run_folder import read_run
from selfsup.settings import DemoSettings

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
