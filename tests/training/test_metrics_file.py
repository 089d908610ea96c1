"""A run's lines are kept as far as its checkpoint, whatever a crash left after them."""

from pathlib import Path

import pytest

from selfsup.runs.folder import MetricsFile

LINES = ['{"step": 1, "loss": 3.0}\n', '{"step": 2, "loss": 2.5}\n']


@pytest.mark.parametrize("tail", [b"", b'{"step": 2, "lo', b"\x00\xff\xfe", b'{"step": 3}\n'])
def test_lines_up_to_a_step_are_kept(tail: bytes, tmp_path: Path):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes("".join(LINES).encode() + tail)
    MetricsFile(path, lambda line: line["step"] <= 2).write({"step": 3})
    assert path.read_text() == "".join(LINES) + '{"step": 3}\n'


def test_a_new_run_keeps_none(tmp_path: Path):
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(LINES))
    MetricsFile(path)
    assert path.read_text() == ""
