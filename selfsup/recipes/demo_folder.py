"""The demo's run folder. A new demo takes the place of an earlier one, and of nothing else."""

import shutil
from pathlib import Path

from selfsup.atomic_files import writing_to
from selfsup.errors import UserError
from selfsup.recipes.run_folder import METRICS, SETTINGS, SUMMARY, VALIDATION_PREDICTIONS, begin_run
from selfsup.report.run_folder import read_run
from selfsup.settings import DemoSettings

DATA, PRETRAIN, WAYS = "data", "pretrain", ("pretrained", "frozen", "scratch")
REPORT = "report.html"

_DATA_FILES = ("pretraining.jsonl", "train.tsv", "validation.tsv", "test.tsv")
_FOLDERS_OF_A_RUN = ("model", "checkpoints", "tokenizer", "shards")


def begin_demo(settings: DemoSettings) -> Path:
    """Make the run's folder; what an earlier demo has left in it is removed.

    Raises:
        UserError: there is something that no demo wrote, or the folder cannot be written.
    """
    folder = Path(settings.out)
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--out {folder}: this is a file: choose another --out")
    if folder.exists() and any(folder.iterdir()):
        if not (folder / SETTINGS).exists() or read_run(folder).kind != "demo":
            raise UserError(
                f"--out {folder}: holds what no demo wrote, and a demo would write over it: "
                "choose another --out"
            )
        with writing_to(folder):
            _remove_earlier(folder)
    return begin_run(folder, settings)


def _remove_earlier(folder: Path) -> None:
    """Remove what a demo writes, by name. The results first: half of them would mislead."""
    for name in (SUMMARY, REPORT):
        (folder / name).unlink(missing_ok=True)
    _remove_run(folder / PRETRAIN)
    for way in WAYS:
        for run in (folder / way).glob("seed-*"):
            _remove_run(run)
        _remove_if_empty(folder / way)
    for name in _DATA_FILES:
        (folder / DATA / name).unlink(missing_ok=True)
    _remove_if_empty(folder / DATA)


def _remove_run(run: Path) -> None:
    for name in (SUMMARY, METRICS, SETTINGS, VALIDATION_PREDICTIONS, REPORT):
        (run / name).unlink(missing_ok=True)
    for name in _FOLDERS_OF_A_RUN:
        shutil.rmtree(run / name, ignore_errors=True)
    _remove_if_empty(run)


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
