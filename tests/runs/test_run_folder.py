"""A run's folder is never written over."""

import json

import pytest

from selfsup.errors import UserError
from selfsup.runs.folder import begin_run, check_free, check_stopped, write_summary
from selfsup.settings.finetune import FinetuneSettings
from selfsup.settings.yaml_file import from_yaml

SETTINGS = FinetuneSettings(
    task="sequence-classification", encoder="bert-tiny", train="a", validation="b", out="run"
)


def test_the_settings_of_a_run_can_be_read_back(tmp_path):
    run = begin_run(tmp_path / "runs" / "first", "finetune", SETTINGS)
    assert (run / "run.yaml").read_text().startswith("command: finetune\n")
    assert from_yaml(FinetuneSettings, run / "run.yaml", "finetune") == SETTINGS


def test_a_run_that_broke_off_may_be_made_again(tmp_path):
    begin_run(tmp_path, "finetune", SETTINGS)
    assert begin_run(tmp_path, "finetune", SETTINGS) == tmp_path


@pytest.mark.parametrize(
    ("result", "said"),
    [("summary.json", "choose another --out"), ("model/config.json", "holds other files")],
)
def test_results_are_not_written_over(tmp_path, result: str, said: str):
    (tmp_path / result).parent.mkdir(exist_ok=True)
    (tmp_path / result).write_text("{}")
    with pytest.raises(UserError, match=said):
        begin_run(tmp_path, "finetune", SETTINGS)
    assert not (tmp_path / "run.yaml").exists()


def test_a_folder_with_other_files_is_refused_but_for_hidden_ones(tmp_path):
    (tmp_path / ".DS_Store").touch()
    assert begin_run(tmp_path, "finetune", SETTINGS) == tmp_path
    other = tmp_path / "texts"
    other.mkdir()
    (other / "a.txt").touch()
    with pytest.raises(UserError, match=r"holds other files \(a\.txt\): choose a folder"):
        begin_run(other, "finetune", SETTINGS)
    assert [path.name for path in other.iterdir()] == ["a.txt"]


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "run").touch()
    with pytest.raises(UserError, match="is a file: choose another --out"):
        begin_run(tmp_path / "run", "finetune", SETTINGS)


def test_the_summary_is_json_as_others_read_it(tmp_path):
    write_summary(tmp_path, {"metrics": {"accuracy": 0.5}, "label": "좋"})
    assert json.loads((tmp_path / "summary.json").read_bytes()) == {
        "metrics": {"accuracy": 0.5},
        "label": "좋",
    }


@pytest.mark.parametrize("refuse", [check_free, check_stopped])
def test_what_a_run_was_killed_before_removing_is_removed_by_the_next_command(tmp_path, refuse):
    folder = begin_run(tmp_path / "run", "pretrain", SETTINGS)
    (folder / "checkpoints" / "step-000000030").mkdir(parents=True)
    (folder / ".lock").touch()
    write_summary(folder, {"steps": 30})

    with pytest.raises(UserError):
        refuse(folder)

    assert sorted(path.name for path in folder.iterdir()) == ["run.yaml", "summary.json"]
