"""The doctor as a command."""

import json

import pytest

from selfsup import cli
from selfsup.doctor import Problem, doctor, unlabelled
from selfsup.errors import UserError
from selfsup.settings.showing import DoctorSettings
from tests.toy_corpus import write_toy_corpus

LITTLE_TEXT = "from so little text an encoder learns little"


def test_what_is_not_there_is_a_mistake_of_the_user(tmp_path):
    with pytest.raises(UserError, match="no such file or folder"):
        doctor(DoctorSettings(path=str(tmp_path / "nowhere")))


def test_a_model_folder_is_not_taken_for_text(tmp_path):
    for name in ("config.json", "vocab.txt"):
        (tmp_path / name).touch()
    with pytest.raises(UserError, match="a model folder"):
        doctor(DoctorSettings(path=str(tmp_path)))


def test_a_folder_of_runs_is_no_data(tmp_path):
    for name in ("b", "a"):
        (tmp_path / name / "pictures").mkdir(parents=True)
        (tmp_path / name / "run.yaml").touch()
        (tmp_path / name / "metrics.jsonl").touch()
        (tmp_path / name / "pictures" / "01-tiles.png").touch()
    with pytest.raises(UserError, match=r"holds runs and no data: .* such as \S+/a \(or one of 1 "):
        doctor(DoctorSettings(path=str(tmp_path)))
    write_toy_corpus(tmp_path / "texts.txt")
    assert doctor(DoctorSettings(path=str(tmp_path)))["kind"] == "text to pre-train on"


def test_problems_are_results_and_the_exit_status_is_0(tmp_path, capsys):
    path = str(write_toy_corpus(tmp_path / "texts.txt"))
    assert cli.main(["doctor", path, "--json"]) == 0
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert set(problem) == {"what", "fix"}
    assert cli.main(["doctor", path]) == 0
    assert LITTLE_TEXT in capsys.readouterr().out.replace("\n", " ")


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_strictly_the_exit_status_is_1_with_problems_and_0_without(more, tmp_path, monkeypatch):
    path = str(write_toy_corpus(tmp_path / "texts.txt"))
    assert cli.main(["doctor", path, "--strict", *more]) == 1
    monkeypatch.setattr(unlabelled, "_MIN_CHARACTERS", 10)
    assert cli.main(["doctor", path, "--strict", *more]) == 0


def test_what_was_examined_is_said_of_data_and_of_each_kind_of_run(tmp_path):
    path = write_toy_corpus(tmp_path / "texts.txt")
    assert "encoding" in doctor(DoctorSettings(path=str(path)))["examined"]
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.yaml").write_text("command: pretrain\n")
    summary = {"jigsaw_accuracy": 0.5, "nsp_accuracy": None}
    (run / "summary.json").write_text(json.dumps(summary))
    examined = doctor(DoctorSettings(path=str(run)))["examined"]
    assert examined == ["files of the run", "jigsaw accuracy"]


@pytest.mark.parametrize(
    ("error", "what", "fix"),
    [
        ("a: b: c", "a: b", "c"),
        ("no fix", "no fix", ""),
    ],
)
def test_an_error_becomes_a_problem_with_its_last_part_as_the_fix(error, what, fix):
    assert Problem.from_error(UserError(error)) == Problem(what, fix)
