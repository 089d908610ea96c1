"""Read a run's folder, whether or not the run has ended. No torch is needed."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from selfsup.errors import UserError
from selfsup.runs import METRICS, SETTINGS, SUMMARY, VALIDATION_PREDICTIONS, RunCommand
from selfsup.settings.yaml_file import read_yaml

RunKind = RunCommand | Literal["unknown"]
Record = dict[str, Any]

_FILES = (SETTINGS, METRICS, SUMMARY)
_NO_COMMAND = (
    "run.yaml does not say which command made the run (older versions did not write it): add "
    "the first line `command: pretrain`, `command: finetune` or `command: demo`"
)


@dataclass(frozen=True)
class Run:
    """What a run's folder holds. What is missing or broken is empty, and `notes` says so."""

    name: str
    folder: Path
    kind: RunKind
    """The command that made the run, as run.yaml names it."""
    settings: Record
    metrics: list[Record]
    summary: Record
    notes: tuple[str, ...]
    predictions: list[Record] = field(default_factory=list)
    """What a fine-tuned model predicts for its validation examples."""

    @property
    def training(self) -> list[Record]:
        """The lines that training steps logged."""
        return [line for line in self.metrics if "loss" in line]

    @property
    def evaluation(self) -> list[Record]:
        """The lines that measurements on held-out data logged."""
        return [line for line in self.metrics if any(key.startswith("held_out") for key in line)]

    @property
    def epochs(self) -> list[Record]:
        """The lines that epochs of fine-tuning logged."""
        return [line for line in self.metrics if isinstance(line.get("validation"), dict)]


def read_run(folder: str | Path) -> Run:
    """Read what there is of a run's files.

    Raises:
        UserError: the folder is missing or holds no run.
    """
    folder = Path(folder)
    if not folder.is_dir():
        is_what = "is a file" if folder.exists() else "does not exist"
        raise UserError(f"{folder} {is_what}: give the folder that a run was written to")
    if not _holds_run(folder):
        raise UserError(f"{folder} is no run folder: it holds none of {', '.join(_FILES)}")
    notes: list[str] = []
    settings = _read_settings(folder / SETTINGS, notes)
    command = settings.pop("command", None)
    if settings and command not in get_args(RunCommand):
        notes.append(_NO_COMMAND)
    return Run(
        name=folder.name or folder.resolve().name,
        folder=folder,
        kind=command if command in get_args(RunCommand) else "unknown",
        settings=settings,
        metrics=_read_lines(folder / METRICS, notes),
        predictions=_read_lines(folder / VALIDATION_PREDICTIONS, notes),
        summary=_read_summary(folder / SUMMARY, notes),
        notes=tuple(notes),
    )


def check_kind(run: Run) -> None:
    """Refuse a run whose kind is unknown.

    Raises:
        UserError: `run.yaml` is missing or cannot be read, or does not name a command.
    """
    if run.kind != "unknown":
        return
    if run.settings:
        raise UserError(f"{run.folder}: {_NO_COMMAND}")
    unreadable = next((note for note in run.notes if note.startswith(SETTINGS)), None)
    reason = unreadable or f"{SETTINGS} is missing, which says how the run was made"
    raise UserError(f"{run.folder}: {reason}: put it back as it was")


def kind_to_resume(folder: Path) -> RunKind:
    """The kind of a run that ``selfsup resume`` is to go on with: "pretrain" or "finetune".

    Raises:
        UserError: there is no run, nothing says how it was made, or it is a demo.
    """
    if not (folder / SETTINGS).exists():
        raise UserError(f"{folder}: no run that can be resumed (it has no {SETTINGS})")
    run = read_run(folder)
    check_kind(run)
    if run.kind == "demo":
        raise UserError(
            f"{folder}: a demo cannot be resumed, only pre-training and fine-tuning: run it again"
        )
    return run.kind


def parts_of(run: Run) -> list[Run]:
    """The runs in this run's subfolders, such as a demo's pre-training."""
    return [read_run(entry) for entry in sorted(run.folder.iterdir()) if _holds_run(entry)]


def _holds_run(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _FILES)


def _read_settings(file: Path, notes: list[str]) -> Record:
    if not file.exists():
        return {}
    try:
        return read_yaml(file)
    except UserError as error:
        notes.append(f"{SETTINGS} could not be read: {error}")
        return {}


def _read_lines(file: Path, notes: list[str]) -> list[Record]:
    if not file.is_file():
        return []
    text = file.read_bytes().decode("utf-8", errors="replace")
    records, broken = [], 0
    for line in text.split("\n"):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if isinstance(record, dict):
            records.append(record)
        else:
            broken += 1
    # A run that was killed as it wrote leaves half a line at the end, which is not worth a note.
    if broken and not text.endswith("\n"):
        broken -= 1
    if broken:
        notes.append(f"{file.name}: lines left out, as they could not be read: {broken}")
    return records


def _read_summary(file: Path, notes: list[str]) -> Record:
    summary = None
    try:
        summary = json.loads(file.read_bytes())
    except FileNotFoundError:
        notes.append("This run has not ended: what follows is what it had logged so far.")
    except (ValueError, RecursionError):
        notes.append("summary.json is broken: what follows is what the run logged.")
    return summary if isinstance(summary, dict) else {}
