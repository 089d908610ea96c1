"""Files are replaced as a whole; links and pipes are kept; a folder is locked."""

import os
import subprocess
import sys
import threading
from subprocess import PIPE

import pytest

from selfsup.atomic_files import append_line, locked, replacing, replacing_together, write_bytes
from selfsup.errors import UserError


def test_a_link_that_the_user_names_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to("file")
    write_bytes(tmp_path / "link", b"new", named_by_user=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"new"


@pytest.mark.parametrize("planted", ["summary.json", ".summary.json.tmp", ".lock"])
def test_a_link_in_a_folder_never_leads_a_write_outside(tmp_path, planted):
    (tmp_path / "outside").write_bytes(b"mine")
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / planted).symlink_to(tmp_path / "outside")
    with locked(folder):
        write_bytes(folder / "summary.json", b"{}")
    assert (tmp_path / "outside").read_bytes() == b"mine"
    assert (folder / "summary.json").read_bytes() == b"{}"
    assert not (folder / "summary.json").is_symlink()


def test_lines_are_not_appended_through_a_link(tmp_path):
    (tmp_path / "lines").symlink_to(tmp_path / "outside")
    with pytest.raises(UserError, match="a link has this name"):
        append_line(tmp_path / "lines", "{}")
    assert not (tmp_path / "outside").exists()


def test_a_line_for_which_the_disk_has_no_room_is_not_half_written(tmp_path):
    resource = pytest.importorskip("resource")
    path, limits = tmp_path / "lines", resource.getrlimit(resource.RLIMIT_FSIZE)
    append_line(path, "a" * 5)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        with pytest.raises(UserError, match=f"cannot write {path}"):
            append_line(path, "b" * 9)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    append_line(path, "c")
    assert path.read_text() == "aaaaa\nc\n"


def test_a_link_to_a_folder_elsewhere_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "checkpoints").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="checkpoints: is a link"), locked(tmp_path / "run"):
        pass
    assert not (tmp_path / "run" / ".lock").exists()


def test_a_link_to_a_folder_elsewhere_is_refused_at_any_depth(tmp_path):
    """A demo removes what an earlier one left in ``pretrained/seed-1``."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "demo" / "pretrained").mkdir(parents=True)
    (tmp_path / "demo" / "pretrained" / "seed-1").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="seed-1: is a link"), locked(tmp_path / "demo"):
        pass


def test_a_link_in_place_of_the_temporary_folder_is_removed(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / ".saving").symlink_to(tmp_path / "elsewhere")
    with replacing_together(tmp_path / "model", last="config.json") as saving:
        (saving / "config.json").write_bytes(b"{}")
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["config.json"]
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_what_a_killed_process_left_is_removed(tmp_path):
    (tmp_path / ".summary.json.0a1b2c3d.tmp").write_bytes(b"half")
    with locked(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_named_pipe_is_written_to_and_stays_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    write_bytes(tmp_path / "pipe", b"through", named_by_user=True)
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


RACE = """
import os, sys, time
from pathlib import Path
from selfsup.atomic_files import locked
from selfsup.errors import UserError
folder, inside = Path(sys.argv[1]), Path(sys.argv[2])
entries = 0
while entries < 40:
    try:
        with locked(folder):
            # Fails if another process is between this line and the last one of the block.
            os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
            entries += 1
            inside.unlink()
    except UserError:
        time.sleep(0.0002)
"""


def test_a_folder_has_one_holder_at_a_time_while_four_processes_race_for_it(tmp_path):
    command = [sys.executable, "-c", RACE, str(tmp_path / "run"), str(tmp_path / "inside")]
    racing = [subprocess.Popen(command, stderr=PIPE) for _ in range(4)]
    errors = [process.communicate(timeout=60)[1] for process in racing]
    assert [process.returncode for process in racing] == [0] * 4, errors
