"""Only one process at a time works in a folder."""

import subprocess
import sys
from subprocess import PIPE

import pytest

from selfsup.atomic_files import alone_in
from selfsup.errors import UserError


def test_a_second_process_cannot_lock_the_folder(tmp_path):
    held = (
        "import sys; from pathlib import Path; from selfsup.atomic_files import alone_in\n"
        "with alone_in(Path(sys.argv[1])): print(flush=True); input()"
    )
    command = [sys.executable, "-c", held, str(tmp_path / "run")]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(UserError, match="another process"), alone_in(tmp_path / "run"):
            pass
        other.kill()
    with alone_in(tmp_path / "run"):
        assert (tmp_path / "run" / ".lock").exists()
    assert list((tmp_path / "run").iterdir()) == []
