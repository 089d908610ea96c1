"""``metrics.jsonl``: one JSON object a line, in the order of the steps."""

import json
from pathlib import Path


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
