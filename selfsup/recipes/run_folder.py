"""A run's folder: its settings at the start, its summary at the end."""

import json
from pathlib import Path
from typing import Any

from selfsup.atomic_files import write_bytes, writing_to
from selfsup.encoder.model_location import MODEL_IN_RUN
from selfsup.errors import UserError
from selfsup.settings.yaml_file import to_yaml
from selfsup.training.checkpoint import latest_checkpoint

SETTINGS, METRICS, SUMMARY = "run.yaml", "metrics.jsonl", "summary.json"
CHECKPOINTS = "checkpoints"
# The validation examples with what the best seed's model says of each, for the report.
VALIDATION_PREDICTIONS = "validation_predictions.jsonl"


def check_free(out: str | Path) -> Path:
    """Refuse a folder that holds a run's results or other files than a run's.

    One of a run that broke off before its first checkpoint may be used again.

    Raises:
        UserError: there are results, a run that can be resumed, or other files, or the path is a
            file.
    """
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--out {folder}: this is a file: choose another --out")
    has_ended = (folder / SUMMARY).exists()
    if not has_ended and latest_checkpoint(folder / CHECKPOINTS) is not None:
        raise UserError(
            f"--out {folder}: holds a run that stopped: go on with `selfsup resume {folder}`, or "
            "choose another --out"
        )
    if has_ended or (folder / MODEL_IN_RUN).exists():
        raise UserError(f"--out {folder}: holds the results of a run: choose another --out")
    others = [path.name for path in folder.glob("*") if not path.name.startswith(".")]
    if others and SETTINGS not in others:
        raise UserError(
            f"--out {folder}: holds other files ({min(others)}): choose a folder for the run alone"
        )
    return folder


def begin_run(out: str | Path, settings: Any) -> Path:
    """Make a run's folder and write ``run.yaml``, the settings with all that was left to defaults.

    Raises:
        UserError: as ``check_free``, or the folder cannot be written.
    """
    folder = check_free(out)
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / SETTINGS, to_yaml(settings).encode())
    return folder


def write_summary(folder: Path, summary: dict[str, Any]) -> None:
    """Write ``summary.json``, which says that the run has come to its end."""
    text = json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes(folder / SUMMARY, (text + "\n").encode())
