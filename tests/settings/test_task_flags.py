"""A flag that a task has no use for is refused in a line that says whom it is for."""

import pytest

from selfsup.errors import UserError
from selfsup.settings.finetune import FinetuneSettings
from selfsup.settings.labelled_data import _TASKS_OF_FLAG
from tests.cli.test_parser import ALL_SETTINGS


def settings(task: str, **flags) -> FinetuneSettings:
    return FinetuneSettings(task=task, encoder="e", train="t", validation="v", out="o", **flags)


@pytest.mark.parametrize(
    ("task", "flags", "said"),
    [
        (
            "image-classification",
            {"embedding_learning_rate": 1e-3},
            "--embedding-learning-rate is for",
        ),
        ("sequence-classification", {"text_pair_column": "b"}, "--text-pair-column is for pair-"),
        ("token-classification", {"label_type": "multi"}, "sequence-classification and pair-"),
        ("token-classification", {"long_text": "window"}, "not for token-classification"),
        ("pair-classification", {"doc_stride": 8}, "add --long-text window"),
        ("sequence-classification", {"label_separator": ""}, "--label-separator is empty"),
        ("image-classification", {"max_length": 64}, "not for image-classification"),
        ("image-classification", {"tokenizer": "t"}, "--tokenizer is for .*: leave it out"),
        ("pair-classification", {"max_bad_fraction": 0.5}, "--max-bad-fraction is for image-"),
        ("token-classification", {"image_size": 64}, "--image-size is for image-classification"),
    ],
)
def test_a_flag_of_other_tasks_is_refused(task, flags, said):
    with pytest.raises(UserError, match=said) as refused:
        settings(task, **flags)
    assert "\n" not in str(refused.value)


def test_a_tasks_own_flags_are_taken():
    flags = {"text_pair_column": "b", "label_type": "number", "long_text": "window"}
    assert settings("pair-classification", doc_stride=8, **flags).doc_stride == 8
    assert settings("token-classification", doc_stride=8).doc_stride == 8


def test_every_flag_of_some_tasks_is_a_flag():
    names = {name for one in ALL_SETTINGS for name in one.__dataclass_fields__}
    assert set(_TASKS_OF_FLAG) <= names
