"""A fine-tuned model as a Python object."""

import pytest

from selfsup.errors import UserError
from selfsup.inference.predictor import Predictor
from tests.toy_tasks import toy_examples

TEXTS = [text for _, text in toy_examples(9, seed=4)]


def test_each_text_gets_the_answer_that_it_gets_alone(predictor):
    answers = predictor.predict(TEXTS, batch_size=4)
    for text, answer in zip(TEXTS, answers, strict=True):
        (alone,) = predictor.predict([text])
        assert answer["label"] == alone["label"]
        assert answer["probabilities"] == pytest.approx(alone["probabilities"], abs=1e-6)


def test_an_answer_is_the_most_probable_label(predictor):
    for answer in predictor.predict(TEXTS):
        assert set(answer["probabilities"]) == {"down", "up"} == set(predictor.labels.names)
        assert answer["probability"] == answer["probabilities"][answer["label"]] >= 0.5
        assert sum(answer["probabilities"].values()) == pytest.approx(1.0)


def test_texts_are_cut_where_training_cut_them(predictor):
    beginning = "fine film is a plot the"  # six words and [CLS], [SEP]: the length trained with
    (cut,), (whole,) = predictor.predict([beginning + " dull" * 9]), predictor.predict([beginning])
    assert cut == whole


def test_second_texts_are_for_models_of_pairs(predictor):
    with pytest.raises(UserError, match="of one text: leave the flag out"):
        predictor.predict(["a film"], ["a plot"])


def test_a_text_is_not_taken_for_a_list_of_letters(predictor):
    with pytest.raises(TypeError, match="give a list of texts"):
        predictor.predict("a film")


def test_no_texts_have_no_answers(predictor):
    assert predictor.predict([]) == []


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(UserError, match=str(tmp_path)):
        Predictor.load(tmp_path)
