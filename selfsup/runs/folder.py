"""Write a run's folder: settings at the start, metrics on the way, the summary at the end."""

import contextlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

from selfsup.atomic_files import append_line, locked, write_bytes, writing_to
from selfsup.encoder.huggingface.folder import MODEL_IN_RUN
from selfsup.errors import UserError
from selfsup.runs import CHECKPOINTS, SETTINGS, SUMMARY, RunCommand, with_nulls
from selfsup.settings.yaml_file import to_yaml
from selfsup.special_files import refuse_special
from selfsup.structured_files import Count, decode_json
from selfsup.training.checkpoint import latest_checkpoint


class _Step(TypedDict):
    """What is needed of a line of ``metrics.jsonl``."""

    step: Count


def check_free(out: str | Path) -> Path:
    """Refuse a folder that holds the results of a run, or files that are not a run's.

    A run has ended when it has a summary. The folder of one that stopped before its first
    checkpoint may be used again.

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
    if has_ended:
        _remove_leftovers(folder)
        raise UserError(f"--out {folder}: holds the results of a run: choose another --out")
    others = [path.name for path in folder.glob("*") if not path.name.startswith(".")]
    if others and SETTINGS not in others:
        raise UserError(
            f"--out {folder}: holds other files ({min(others)}): choose a folder for the run alone"
        )
    return folder


def check_stopped(folder: Path) -> None:
    """Refuse a run that has ended.

    Raises:
        UserError: it has ended.
    """
    if (folder / SUMMARY).exists():
        _remove_leftovers(folder)
        raise UserError(f"{folder}: this run has ended; its model is in {folder / MODEL_IN_RUN}")


def _remove_leftovers(folder: Path) -> None:
    """Remove what a run that has ended was killed before removing: its checkpoints and its lock."""
    with contextlib.suppress(UserError), locked(folder):
        shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)


def how_to_go_on(folder: str | Path) -> str:
    """What to tell the user of a run that has just been interrupted."""
    if latest_checkpoint(Path(folder) / CHECKPOINTS) is None:
        return "interrupted before anything was saved: the same command begins again"
    return f"interrupted. To go on: selfsup resume {folder}"


def begin_run(out: str | Path, command: RunCommand, settings: Any) -> Path:
    """Make a run's folder and write ``run.yaml``; a model of a run that has not ended is removed.

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
    shutil.rmtree(folder / MODEL_IN_RUN, ignore_errors=True)
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

    def __init__(self, path: Path, is_kept: Callable[[dict], bool] = lambda line: False) -> None:
        """Begin the file; of what it holds, keep some of the lines.

        A resumed run repeats the steps after its last checkpoint, so their lines are dropped, as is
        a half-written last line.
        """
        with writing_to(path):
            kept = [text for text, line in _read_lines(path) if is_kept(line)]
        write_bytes(path, "".join(kept).encode())
        self._path = path

    def write(self, entry: dict) -> None:
        """Append a line, with null for what is no number, such as the loss of a diverged run."""
        append_line(self._path, json.dumps(with_nulls(entry), allow_nan=False))


def _read_lines(path: Path) -> list[tuple[str, dict]]:
    """The lines up to the first that is broken, as text and as what they hold."""
    lines = []
    if path.exists():
        refuse_special(path)
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True):
            try:
                lines.append((line, decode_json(line.encode(), _Step, path)))
            except UserError:
                break
    return lines
