"""A run's folder is never written over."""

import json
import subprocess
import sys
from subprocess import PIPE

import pytest

from selfsup.errors import UserError
from selfsup.recipes.run_folder import alone_in, begin_run, write_summary
from selfsup.settings import FinetuneSettings
from selfsup.settings.parser import from_yaml

SETTINGS = FinetuneSettings(
    task="sequence-classification", encoder="bert-tiny", train="a", validation="b", out="run"
)


def test_the_settings_of_a_run_can_be_read_back(tmp_path):
    run = begin_run(tmp_path / "runs" / "first", SETTINGS)
    assert from_yaml(FinetuneSettings, run / "run.yaml") == SETTINGS


def test_a_run_that_broke_off_may_be_made_again(tmp_path):
    begin_run(tmp_path, SETTINGS)
    assert begin_run(tmp_path, SETTINGS) == tmp_path


@pytest.mark.parametrize("result", ["summary.json", "model/config.json"])
def test_results_are_not_written_over(tmp_path, result: str):
    (tmp_path / result).parent.mkdir(exist_ok=True)
    (tmp_path / result).write_text("{}")
    with pytest.raises(UserError, match="choose another --out"):
        begin_run(tmp_path, SETTINGS)
    assert not (tmp_path / "run.yaml").exists()


def test_a_folder_with_other_files_is_refused_but_for_hidden_ones(tmp_path):
    (tmp_path / ".DS_Store").touch()
    assert begin_run(tmp_path, SETTINGS) == tmp_path
    other = tmp_path / "texts"
    other.mkdir()
    (other / "a.txt").touch()
    with pytest.raises(UserError, match=r"holds other files \(a\.txt\): choose a folder"):
        begin_run(other, SETTINGS)
    assert [path.name for path in other.iterdir()] == ["a.txt"]


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "run").touch()
    with pytest.raises(UserError, match="is a file: choose another --out"):
        begin_run(tmp_path / "run", SETTINGS)


def test_the_summary_is_json_as_others_read_it(tmp_path):
    write_summary(tmp_path, {"metrics": {"accuracy": 0.5}, "label": "좋"})
    assert json.loads((tmp_path / "summary.json").read_bytes()) == {
        "metrics": {"accuracy": 0.5},
        "label": "좋",
    }


def test_two_processes_are_not_at_work_on_one_run(tmp_path):
    held = (
        "import sys; from pathlib import Path; from selfsup.recipes.run_folder import alone_in\n"
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
