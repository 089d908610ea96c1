"""Metrics and answers for every kind of label, against scikit-learn and SciPy."""

import json
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit
from sklearn import metrics as peer

from selfsup.tasks.classification.data import LabelledTexts
from selfsup.tasks.classification.encoding import encode_texts
from selfsup.tasks.classification.task import Classification
from selfsup.tasks.encoders import Limits
from selfsup.tasks.labels import Labels
from tests.toy_tasks import toy_tokenizer

task = Classification(paired=False)

RANDOM = np.random.default_rng(1)
MULTI, NUMBER = Labels("multi", ("a", "b", "c")), Labels("number", ("value",))
CLASS = Labels("class", ("a", "b", "c"))
NO_EXAMPLES = LabelledTexts("", [], [])


def of_texts(labels: np.ndarray | None, texts: list[str] | None = None):
    """Texts with these labels."""
    texts = texts or ["a"] * len(labels)  # pyright: ignore[reportArgumentType]
    return encode_texts(toy_tokenizer(), texts, Limits(8, 0, "window"), labels)


def several() -> tuple[np.ndarray, np.ndarray]:
    scores = RANDOM.normal(size=(50, 3)).astype(np.float32)
    return scores, RANDOM.integers(0, 2, (50, 3)).astype(np.float32)


def test_metrics_of_several_labels_are_those_of_scikit_learn():
    scores, given = several()
    found = task.metrics(scores, of_texts(given), NO_EXAMPLES, MULTI)
    predicted = expit(scores) > 0.5
    assert found["f1"] == peer.f1_score(given, predicted, average="micro")
    assert found["f1_macro"] == peer.f1_score(given, predicted, average="macro")
    assert found["subset_accuracy"] == peer.accuracy_score(given, predicted)
    binary = [peer.log_loss(given[:, c], expit(scores[:, c]), labels=[0, 1]) for c in range(3)]
    assert found["loss"] == pytest.approx(np.mean(binary), rel=1e-5)


def test_one_label_that_a_text_has_or_not_is_measured_by_itself():
    toxic = Labels("multi", ("toxic",))
    given = np.array([[1], [0], [0], [0], [1], [0]], np.float32)
    scores = np.array([[2], [-1], [1], [-1], [-1], [-1]], np.float32)
    found = task.metrics(scores, of_texts(given), NO_EXAMPLES, toxic)
    assert found["f1"] == found["f1_macro"] == peer.f1_score(given[:, 0], scores[:, 0] > 0) == 0.5
    assert found["subset_accuracy"] == pytest.approx(4 / 6)
    (entry,) = task.details(scores, of_texts(given), NO_EXAMPLES, toxic)["classes"]
    assert entry == {"label": "toxic", "precision": 0.5, "recall": 0.5, "f1": 0.5, "examples": 2}
    never = task.metrics(np.full_like(scores, -1), of_texts(given), NO_EXAMPLES, toxic)
    assert never["f1"] == 0 < task.chance(of_texts(given), NO_EXAMPLES, toxic)


def test_metrics_of_numbers_are_those_of_scipy():
    given = RANDOM.normal(3, 2, 60).astype(np.float32)
    scores = (given + RANDOM.normal(size=60)).astype(np.float32)
    found = task.metrics(scores[:, None], of_texts(given), NO_EXAMPLES, NUMBER)
    theirs: Any = stats.pearsonr(scores, given), stats.spearmanr(scores, given)
    assert found["pearson"] == pytest.approx(theirs[0].statistic, abs=1e-6)
    assert found["spearman"] == pytest.approx(theirs[1].statistic, abs=1e-6)
    error = peer.mean_squared_error(given, scores)
    assert found["mean_squared_error"] == found["loss"] == pytest.approx(error, rel=1e-5)


def test_equal_numbers_have_no_correlation_and_raise_no_warning(recwarn):
    found = task.metrics(np.ones((4, 1), np.float32), of_texts(np.arange(4.0)), NO_EXAMPLES, NUMBER)
    assert (found["pearson"], found["spearman"]) == (0.0, 0.0)
    one = task.metrics(np.ones((1, 1), np.float32), of_texts(np.ones(1)), NO_EXAMPLES, NUMBER)
    assert one["spearman"] == 0.0
    assert not recwarn.list


def test_a_texts_score_is_the_mean_over_its_windows():
    texts = of_texts(np.array([1, 0]), ["a " * 14, "film"])
    assert texts.window_counts.tolist() == [3, 1]
    scores = np.array([[3, 0, 0], [0, 4, 0], [0, 2, 0], [1, 0, 0]], np.float32)
    assert [answer["label"] for answer in task.decode(scores, texts, NO_EXAMPLES, CLASS)] == [
        "b",
        "a",
    ]
    assert task.metrics(scores, texts, NO_EXAMPLES, CLASS)["accuracy"] == 1.0
    values = list(task.decode(scores[:, :1], texts, NO_EXAMPLES, NUMBER))
    assert values == [{"value": 1.0}, {"value": 1.0}]


def test_each_labels_precision_recall_and_f1_are_told():
    scores, given = several()
    found = task.details(scores, of_texts(given), NO_EXAMPLES, MULTI)
    assert "confusion" not in found
    expected: Any = peer.precision_recall_fscore_support(given, scores > 0)
    for place, entry in enumerate(found["classes"]):
        assert tuple(entry.values()) == (
            MULTI.names[place],
            *(column[place] for column in expected),
        )
    single = task.details(scores, of_texts(given.argmax(1)), NO_EXAMPLES, CLASS)
    assert [entry["label"] for entry in single["classes"]] == ["a", "b", "c"]
    assert sum(map(sum, single["confusion"]["matrix"])) == 50
    json.dumps([found, single])
    assert task.details(scores[:, :1], of_texts(np.ones(50)), NO_EXAMPLES, NUMBER) == {}


def test_epochs_are_chosen_by_what_suits_the_labels():
    assert [task.selection_metric(labels) for labels in (CLASS, MULTI, NUMBER)] == [
        "accuracy",
        "f1",
        "spearman",
    ]


def test_chance_is_the_best_that_an_answer_gets_that_is_the_same_for_all():
    _, given = several()
    singles = [np.eye(3)[[place]] for place in range(3)]
    pairs = [1 - single for single in singles]
    best = max(
        peer.f1_score(given, np.repeat(said, 50, axis=0), average="micro")
        for said in [*singles, *pairs, np.ones((1, 3))]
    )
    assert task.chance(of_texts(given), NO_EXAMPLES, MULTI) == pytest.approx(best)
    assert task.chance(of_texts(np.array([0, 1, 1, 2])), NO_EXAMPLES, CLASS) == 0.5
    assert task.chance(of_texts(np.ones(3)), NO_EXAMPLES, NUMBER) == 0.0


def test_the_baseline_has_every_metric_of_the_best_constant_answer():
    given = np.array([0, 1, 1, 2, 1])
    said = np.ones(5, int)
    assert task.baseline(of_texts(given), NO_EXAMPLES, CLASS) == {
        "accuracy": 0.6,
        "f1": peer.f1_score(given, said, average="macro"),
        "matthews_correlation": 0.0,
    }
    numbers = RANDOM.normal(3, 2, 60).astype(np.float32)
    assert task.baseline(of_texts(numbers), NO_EXAMPLES, NUMBER) == {
        "spearman": 0.0,
        "pearson": 0.0,
        "mean_squared_error": pytest.approx(numbers.var(), rel=1e-5),
    }
    several = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 1], [0, 0, 0]], np.float32)
    never_said: Any = {"zero_division": 0.0}
    always_a = np.repeat([[1, 0, 0]], 4, axis=0)
    assert task.baseline(of_texts(several), NO_EXAMPLES, MULTI) == {
        "f1": peer.f1_score(several, always_a, average="micro"),
        "f1_macro": peer.f1_score(several, always_a, average="macro", **never_said),
        "subset_accuracy": 0.25,
    }


# Answers.


def test_several_labels_are_those_above_one_half():
    scores = np.array([[2.0, -1.0, 0.5], [-1.0, -2.0, -900.0]], np.float32)
    answers = list(task.decode(scores, of_texts(np.zeros((2, 3))), NO_EXAMPLES, MULTI))
    assert [answer["labels"] for answer in answers] == [["a", "c"], []]
    for answer, row in zip(answers, expit(scores.astype(np.float64)), strict=True):
        assert list(answer["probabilities"]) == ["a", "b", "c"]
        np.testing.assert_allclose(list(answer["probabilities"].values()), row, atol=1e-12)


def test_lines_of_a_predictions_file_give_what_was_read_and_what_was_predicted():
    pairs = LabelledTexts("t", [2, 3], ["one", "two"], ["uno", "dos"], ["4.0", "2"])
    assert list(task.records(pairs, [{"value": 3.5}, {"value": 2.5}])) == [
        {"text": "one", "text_pair": "uno", "value": 4.0, "prediction": 3.5},
        {"text": "two", "text_pair": "dos", "value": 2.0, "prediction": 2.5},
    ]
    labelled = LabelledTexts("t", [2], ["one"], None, [("a", "b")])
    answer = {"labels": ["a"], "probabilities": {"a": 0.9, "b": 0.1}}
    assert list(task.records(labelled, [answer])) == [
        {"text": "one", "labels": ("a", "b"), "prediction": ["a"],
         "probabilities": {"a": 0.9, "b": 0.1}},
    ]  # fmt: skip
    assert list(task.records(LabelledTexts("t", [2], ["one"]), [answer])) == [
        {"text": "one", **answer}
    ]


def test_answers_for_a_file_are_summed_up():
    assert task.count_predictions(
        [{"labels": ["a", "b"]}, {"labels": ["a"]}, {"labels": []}], MULTI
    ) == {"labels": {"a": 2, "b": 1, "c": 0}}
    assert task.count_predictions([{"label": "b"}], CLASS) == {"labels": {"a": 0, "b": 1, "c": 0}}
    assert task.count_predictions([{"value": 1.0}, {"value": 4.0}], NUMBER) == {
        "values": {"mean": 2.5, "min": 1.0, "max": 4.0}
    }


@pytest.mark.parametrize("given", ["LABEL_1", "1", "1.0"])
def test_the_right_label_stands_there_by_the_models_own_name(given: str):
    names = ("LABEL_0", "LABEL_1")
    answer = {
        "label": names[0],
        "probability": 0.6,
        "probabilities": {names[0]: 0.6, names[1]: 0.4},
    }
    examples = LabelledTexts("t", [2], ["one"], None, [given])
    (line,) = task.records(task.settled(examples, Labels("class", names)), [answer])
    assert (line["label"], line["prediction"]) == (names[1], names[0])
