"""Damaged and hostile JSON and YAML: every reader returns or refuses in one line.

Real files of small runs are mutated, as bytes and as values, and read by the commands that read
them. ``SELFSUP_FUZZ_INPUTS`` is the number of inputs of each kind of file.
"""

import contextlib
import os
import resource
import shutil
import signal
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from selfsup.errors import UserError
from selfsup.pretraining import run as run_module
from tests.fuzz.sound_files import TARGETS, Target, make_targets
from tests.fuzz.structured_mutations import mutations

INPUTS = int(os.environ.get("SELFSUP_FUZZ_INPUTS", 25))
MOST_SECONDS, MOST_MEMORY = 30, 2 << 30
_LONGEST_MESSAGE = 2000


@contextlib.contextmanager
def bounded():
    """Limit the time and the memory of what runs inside."""

    def ring(*_: object) -> None:
        raise TimeoutError(f"after {MOST_SECONDS} seconds")

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    previous = signal.signal(signal.SIGALRM, ring)
    resource.setrlimit(
        resource.RLIMIT_AS, (pages * resource.getpagesize() + MOST_MEMORY, before[1])
    )
    signal.alarm(MOST_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)
        resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Target]:
    return make_targets(tmp_path_factory.mktemp("sound"))


def is_tried(target: Target, folder: Path, data: bytes | None) -> None:
    """Read a copy of the target's folder with a damaged file."""
    shutil.copytree(target.folder, folder)
    file = folder / target.file
    file.unlink()
    if data is None:
        file.mkdir()
    else:
        file.write_bytes(data)
    message = ""
    try:
        with bounded():
            target.read(folder)
    except UserError as error:
        message = str(error)
    assert "\n" not in message
    assert len(message) < _LONGEST_MESSAGE


@pytest.mark.parametrize("name", TARGETS)
def test_a_damaged_file_is_read_or_refused_in_one_line(name, targets, tmp_path):
    target = targets[name]
    sound = (target.folder / target.file).read_bytes()
    is_tried(target, tmp_path / "sound", sound)

    @given(mutations(sound, target.file, target.lines))
    @settings(
        max_examples=max(1, INPUTS // target.cost),
        deadline=None,
        database=None,
        derandomize="SELFSUP_FUZZ_INPUTS" not in os.environ,
        suppress_health_check=list(HealthCheck),  # pyright: ignore[reportArgumentType]
    )
    def try_many(data: bytes | None) -> None:
        with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
            is_tried(target, Path(folder) / "copy", data)

    with pytest.MonkeyPatch.context() as patch:
        # Valid settings may ask for a very long run.
        patch.setattr(run_module, "train", lambda *_: None)
        try_many()
