"""What the targets share: how many inputs they read, and the rule that a reader keeps.

A target is a hypothesis test with the settings ``FUZZED`` that gives damaged input to a reader:

    @FUZZED
    @given(mutated_text(EXAMPLES))
    def test_a_table(folder, content):
        reads_or_refuses(folder / "table.csv", content, read_rows)

``SELFSUP_FUZZ_INPUTS`` says how many inputs a target reads. ``conftest.py`` bounds the time and the
memory of each input.
"""

import io
import os
import sys
import typing
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import HealthCheck, Phase, settings

from selfsup import cli
from selfsup.errors import UserError

INPUTS = int(os.environ.get("SELFSUP_FUZZ_INPUTS", "25"))
# Where `make fuzz` collects what it measures; without it the inputs are always the same.
RECORD = os.environ.get("SELFSUP_FUZZ_RECORD")
_LONGEST_MESSAGE = 2000

FUZZED = settings(
    max_examples=INPUTS,
    deadline=None,
    derandomize=RECORD is None,
    database=None,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),  # pyright: ignore[reportArgumentType]
)


def few(share: int) -> settings:
    """The settings of a slow target, which reads one in ``share`` of the inputs, five at least."""
    return settings(FUZZED, max_examples=max(INPUTS // share, 5))


def reads_or_refuses(file: Path, content: bytes, read: Callable[[str], Any]) -> None:
    """Write the content to a file, and let the reader either read or refuse it."""
    file.write_bytes(content)
    with refusal_of(file.name):
        read(str(file))


class refusal_of:
    """Let a block end well, or with a UserError in a line that holds one of these names."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> bool:
        if not isinstance(error, UserError):
            return False
        check_message(str(error), self._names)
        return True


def check_message(message: str, names: tuple[str, ...]) -> None:
    """Fail unless a message is short and holds one of the names, if any are given."""
    assert message.strip()
    assert len(message) <= _LONGEST_MESSAGE, f"{len(message)} characters: {message[:300]}"
    assert not names or any(name in message for name in names), message


def run_command(
    *words: str, standard_input: bytes = b"", names: tuple[str, ...] = ()
) -> tuple[int, str]:
    """Run a command as a user does; its status and what it printed.

    It must end with status 0, 1 or 2, and 2 means one line on standard error that holds one of the
    names.
    """
    out, err = _stream(), _stream()
    stdin = io.TextIOWrapper(io.BytesIO(standard_input))
    with redirect_stdout(out), redirect_stderr(err), patch.object(sys, "stdin", stdin):
        try:
            status = cli.main(list(words))
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 0
    said = _written(err)
    assert status in (0, 1, 2), said
    if status == 2:
        errors = [line for line in said.split("\n") if line.startswith("selfsup: error: ")]
        assert len(errors) == 1, said
        assert said.endswith(f"{errors[0]}\n"), said
        check_message(errors[0], names)
    return status, _written(out)


def _stream() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)


def _written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    return typing.cast(io.BytesIO, stream.buffer).getvalue().decode()
