"""Read a run folder for a report, however far the run came."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from selfsup.errors import UserError
from selfsup.settings.yaml_file import read_yaml

Kind = Literal["pretrain", "finetune", "demo", "unknown"]
Record = dict[str, Any]

_FILES = ("run.yaml", "metrics.jsonl", "summary.json")


@dataclass(frozen=True)
class Run:
    """What a run folder holds; what is missing or broken is empty, and named in `notes`.

    `predictions` are a fine-tuning run's answers to its validation examples.
    """

    name: str
    folder: Path
    kind: Kind
    settings: Record
    metrics: list[Record]
    summary: Record
    notes: tuple[str, ...]
    predictions: list[Record] = field(default_factory=list)

    @property
    def training(self) -> list[Record]:
        """The lines that a training step logged."""
        return [line for line in self.metrics if "loss" in line]

    @property
    def evaluation(self) -> list[Record]:
        """The lines that a measurement on the held-out documents logged."""
        return [line for line in self.metrics if any(key.startswith("held_out") for key in line)]

    @property
    def epochs(self) -> list[Record]:
        """The lines that an epoch of fine-tuning logged."""
        return [line for line in self.metrics if isinstance(line.get("validation"), dict)]


def read_run(folder: str | Path) -> Run:
    """Read run.yaml, metrics.jsonl and summary.json, whichever of them there are.

    Raises UserError where the folder is missing or holds none of them.
    """
    folder = Path(folder)
    if not folder.is_dir():
        is_what = "is a file" if folder.exists() else "does not exist"
        raise UserError(f"{folder} {is_what}: give the folder that a run was written to")
    if not any((folder / name).is_file() for name in _FILES):
        raise UserError(f"{folder} is no run folder: it holds none of {', '.join(_FILES)}")
    notes: list[str] = []
    settings = _read_settings(folder / "run.yaml", notes)
    metrics = _read_lines(folder / "metrics.jsonl", notes)
    predictions = _read_lines(folder / "validation_predictions.jsonl", notes)
    summary = _read_summary(folder / "summary.json", notes)
    return Run(
        name=folder.name or folder.resolve().name,
        folder=folder,
        kind=_kind(settings, metrics, summary),
        settings=settings,
        metrics=metrics,
        summary=summary,
        notes=tuple(notes),
        predictions=predictions,
    )


def parts_of(run: Run) -> list[Run]:
    """The runs in folders of this run's folder, as the demo has one for its pre-training."""
    folders = sorted(entry for entry in run.folder.iterdir() if entry.is_dir())
    return [
        read_run(folder) for folder in folders if any((folder / name).is_file() for name in _FILES)
    ]


def _kind(settings: Record, metrics: list[Record], summary: Record) -> Kind:
    if {"pretrained", "scratch"} & set(summary) or "minutes" in settings:
        return "demo"
    if "metrics" in summary or "task" in settings or any("validation" in line for line in metrics):
        return "finetune"
    if "mlm_loss" in summary or "objectives" in settings or any("loss" in line for line in metrics):
        return "pretrain"
    return "unknown"


def _read_settings(file: Path, notes: list[str]) -> Record:
    if not file.exists():
        return {}
    try:
        return read_yaml(file)
    except UserError as error:
        notes.append(f"run.yaml could not be read: {error}")
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
    # A run that was killed while it wrote leaves half a line at the end: nothing to speak of.
    if broken and not text.endswith("\n"):
        broken -= 1
    if broken:
        notes.append(f"{broken} lines of {file.name} could not be read and are left out")
    return records


def _read_summary(file: Path, notes: list[str]) -> Record:
    try:
        summary = json.loads(file.read_bytes())
    except FileNotFoundError:
        notes.append("This run has not ended: what follows is what it had logged so far.")
        return {}
    except (ValueError, RecursionError):
        notes.append("summary.json is broken: what follows is what the run logged.")
        return {}
    return summary if isinstance(summary, dict) else {}
