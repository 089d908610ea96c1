"""The doctor as a command."""

import json

import pytest

from selfsup import cli
from selfsup.doctor import Problem, doctor
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
    assert set(problem) == {"what", "mend"}
    assert cli.main(["doctor", path]) == 0
    assert LITTLE_TEXT in capsys.readouterr().out.replace("\n", " ")


@pytest.mark.parametrize(
    ("error", "what", "fix"),
    [
        ("a: b: c", "a: b", "c"),
        ("no fix", "no fix", ""),
    ],
)
def test_an_error_becomes_a_problem_with_its_last_part_as_the_fix(error, what, fix):
    assert Problem.from_error(UserError(error)) == Problem(what, fix)
