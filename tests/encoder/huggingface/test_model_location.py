"""A command that takes a model takes its run too."""

import pytest

from selfsup.encoder.huggingface.folder import resolve_model_folder
from selfsup.errors import UserError


def test_a_model_folder_is_itself(tmp_path):
    (tmp_path / "config.json").touch()
    assert resolve_model_folder(tmp_path) == tmp_path


def test_a_run_stands_for_its_model(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").touch()
    (tmp_path / "run.yaml").touch()
    assert resolve_model_folder(str(tmp_path)) == tmp_path / "model"


@pytest.mark.parametrize(
    ("files", "said"),
    [(["run.yaml"], "has not ended"), (["notes.txt"], "no model folder")],
)
def test_a_folder_without_a_model_is_refused(tmp_path, files: list[str], said: str):
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(UserError, match=said):
        resolve_model_folder(tmp_path)


def test_a_folder_that_is_not_there_is_named():
    with pytest.raises(UserError, match="nowhere: no such folder"):
        resolve_model_folder("nowhere")
