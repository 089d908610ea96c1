"""Files are replaced as a whole; links and pipes are kept; a folder is locked."""

import os
import subprocess
import sys
import threading
from subprocess import PIPE

import pytest

from selfsup.atomic_files import locked, replacing, write_bytes
from selfsup.errors import UserError


def test_a_symlink_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to("file")
    write_bytes(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"new"


def test_a_named_pipe_is_written_to_and_stays_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    write_bytes(tmp_path / "pipe", b"through")
    reader.join(10)
    assert read == [b"through"]
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("name", ["a" * 250, "한" * 83])
def test_a_file_name_may_be_as_long_as_the_system_allows(tmp_path, name):
    with replacing(tmp_path / name) as file:
        file.write(b"x")
        assert not (tmp_path / name).exists()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_two_processes_are_not_at_work_in_one_folder(tmp_path):
    held = (
        "import sys; from pathlib import Path; from selfsup.atomic_files import locked\n"
        "with locked(Path(sys.argv[1])): print(flush=True); input()"
    )
    command = [sys.executable, "-c", held, str(tmp_path / "run")]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(UserError, match="another process"), locked(tmp_path / "run"):
            pass
        other.kill()
    with locked(tmp_path / "run"):
        assert (tmp_path / "run" / ".lock").exists()
    assert list((tmp_path / "run").iterdir()) == []
