"""Write a run's folder: settings at the start, metrics on the way, the summary at the end."""

import json
from pathlib import Path
from typing import Any, TypedDict

from selfsup.atomic_files import appending, write_bytes, writing_to
from selfsup.encoder.huggingface.folder import MODEL_IN_RUN
from selfsup.errors import UserError
from selfsup.runs import CHECKPOINTS, SETTINGS, SUMMARY, RunCommand, with_nulls
from selfsup.settings.yaml_file import to_yaml
from selfsup.structured_files import Count, decode_json
from selfsup.training.checkpoint import latest_checkpoint


class _Step(TypedDict):
    """What is needed of a line of ``metrics.jsonl``."""

    step: Count


def check_free(out: str | Path) -> Path:
    """Refuse a folder that holds the results of a run, or files that are not a run's.

    The folder of a run that stopped before its first checkpoint may be used again.

    Raises:
        UserError: the folder holds results, a run that can be resumed, or other files, or the
            path is a file.
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


def begin_run(out: str | Path, command: RunCommand, settings: Any) -> Path:
    """Make a run's folder and write ``run.yaml``.

    Args:
        out: the folder.
        command: the command that makes the run.
        settings: its settings dataclass, with the defaults filled in.

    Returns:
        The folder.

    Raises:
        UserError: as ``check_free``, or the folder cannot be written.
    """
    folder = check_free(out)
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / SETTINGS, run_yaml(command, settings).encode())
    return folder


def run_yaml(command: RunCommand, settings: Any) -> str:
    """The text of ``run.yaml``: the command on the first line, then the settings."""
    return f"command: {command}\n{to_yaml(settings)}"


def write_summary(folder: Path, summary: dict[str, Any]) -> None:
    """Write ``summary.json``, which says that the run has ended."""
    text = json.dumps(with_nulls(summary), indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes(folder / SUMMARY, (text + "\n").encode())


class MetricsFile:
    """Appends lines to a run's ``metrics.jsonl``."""

    def __init__(self, path: Path, keep_until_step: int = -1) -> None:
        """Open the file; of what it holds, keep the lines of steps up to ``keep_until_step``.

        A resumed run repeats the steps after its last checkpoint, so their lines are dropped, as is
        a half-written last line.
        """
        with writing_to(path):
            kept = [line for line, step in _read_lines(path) if step <= keep_until_step]
        write_bytes(path, "".join(kept).encode())
        self._file = appending(path)

    def write(self, entry: dict) -> None:
        """Append a line, with null for what is no number, such as the loss of a run that diverged."""
        self._file.write(json.dumps(with_nulls(entry), allow_nan=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def _read_lines(path: Path) -> list[tuple[str, int]]:
    lines = []
    if path.exists():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True):
            try:
                lines.append((line, decode_json(line.encode(), _Step, path)["step"]))
            except UserError:
                break
    return lines
