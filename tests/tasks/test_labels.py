"""What labels say in config.json, and what is made of config.json."""

from pathlib import Path

import pytest

from selfsup.errors import UserError
from selfsup.tasks.labels import Labels, config_entries, labels_of_config

CLASSIFICATION = ("class", "multi", "number")
FOLDER = Path("folder")


@pytest.mark.parametrize(
    "labels",
    [
        Labels("class", ("no", "yes")),
        Labels("multi", ("b", "a", "c")),
        Labels("multi", ("one",)),
        Labels("number", ("value",)),
        Labels("class", ("no", "yes"), fitted={"threshold": 0.25}),
        Labels("multi", ("0", "1"), positions=True),
    ],
)
def test_labels_come_back_from_config_json(labels):
    assert labels_of_config(config_entries(labels), CLASSIFICATION, FOLDER) == labels


def test_the_kinds_have_hugging_faces_names():
    problems = [config_entries(Labels(kind, ("a", "b")))["problem_type"] for kind in CLASSIFICATION]
    assert problems == ["single_label_classification", "multi_label_classification", "regression"]


def test_answers_that_are_no_labels_leave_hugging_faces_own_names():
    labels = Labels("none", fitted={"null_threshold": -1.5})
    entries = config_entries(labels)
    assert not entries.keys() & {"id2label", "label2id", "problem_type"}
    assert labels_of_config(entries, ("none",), FOLDER) == labels


def test_a_model_that_says_nothing_of_its_labels_has_two_as_in_transformers():
    found = labels_of_config({}, CLASSIFICATION, FOLDER)
    assert found == Labels("class", ("LABEL_0", "LABEL_1"))


def test_one_score_is_a_number_as_in_transformers():
    found = labels_of_config({"id2label": {"0": "LABEL_0"}}, CLASSIFICATION, FOLDER)
    assert found.kind == "number"


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"id2label": {"0": "a", "1": "a"}}, "two or more different"),
        ({"id2label": {"1": "a", "2": "b"}}, "does not number its labels from 0"),
        ({"id2label": {"0": "a"}, "problem_type": "single_label_classification"}, "two or more"),
        ({"id2label": {"0": "a", "1": "b"}, "problem_type": "regression"}, "2 numbers at once"),
        ({"problem_type": "ranking"}, "problem_type is 'ranking'; known are single_label"),
    ],
)
def test_what_cannot_be_read_as_labels_is_refused(raw, said):
    with pytest.raises(UserError, match=said):
        labels_of_config(raw, CLASSIFICATION, FOLDER)
