"""``metrics.jsonl``: one JSON object a line, in the order of the steps."""

import json
from pathlib import Path
from typing import Any

from selfsup.atomic_files import write_bytes, writing_to
from selfsup.encoder.huggingface.folder import MODEL_IN_RUN
from selfsup.errors import UserError
from selfsup.settings.yaml_file import to_yaml
from selfsup.training.checkpoint import latest_checkpoint


class MetricsFile:
    """Appends lines to a run's ``metrics.jsonl``."""

    def __init__(self, path: Path, keep_until_step: int = -1) -> None:
        """Open the file, keeping the lines of steps up to ``keep_until_step`` of an earlier run.

        Lines after that step (the run went on past its last checkpoint) and a half-written last
        line are dropped: those steps will be taken again.
        """
        kept = [line for line, step in _read_lines(path) if step <= keep_until_step]
        temporary = path.with_name(path.name + ".tmp")
        temporary.write_text("".join(kept), encoding="utf-8")
        temporary.replace(path)
        self._file = path.open("a", encoding="utf-8")

    def write(self, entry: dict) -> None:
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def _read_lines(path: Path) -> list[tuple[str, int]]:
    lines = []
    if path.exists():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True):
            try:
                lines.append((line, int(json.loads(line)["step"])))
            except (ValueError, KeyError, TypeError):
                break
    return lines


# A run's folder: its settings at the start, its summary at the end.


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
