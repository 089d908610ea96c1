"""Whether a pre-training is one on text or on images."""

import pytest

from selfsup.errors import UserError
from selfsup.pretraining.modality import choose_modality
from selfsup.settings.pretrain import PretrainSettings


@pytest.fixture
def folder(tmp_path):
    def make(*names: str) -> str:
        for name in names:
            (tmp_path / name).write_bytes(b"x")
        return str(tmp_path)

    return make


@pytest.mark.parametrize(
    ("names", "modality"),
    [(["a.png", "b.jpg"], "images"), (["a.txt"], "text"), (["a.jsonl"], "text")],
)
def test_the_files_of_a_folder_tell(folder, names, modality):
    assert choose_modality(PretrainSettings(data=(folder(*names),), out="run")) == modality


def test_where_there_are_both_it_must_be_said(folder):
    data = (folder("1.png", "README.txt"),)
    with pytest.raises(UserError, match=r"holds images and text: say which .* --encoder vit-tiny"):
        choose_modality(PretrainSettings(data=data, out="run"))
    for encoder, modality in (("vit-mini", "images"), ("bert-mini", "text")):
        settings = PretrainSettings(data=data, out="run", encoder=encoder)
        assert choose_modality(settings) == modality
