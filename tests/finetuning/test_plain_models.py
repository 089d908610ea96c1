"""Models without an encoder: what they learn, against scikit-learn, and within which bounds."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline

from selfsup.finetuning import plain_models
from selfsup.finetuning.plain_models import score_plainly
from selfsup.tasks.plain_inputs import PlainInputs
from tests.toy_tasks import CLASSES, toy_examples, toy_image, toy_sentences

LABELS = {"down": 0, "up": 1}
PATTERN = r"(?u)\b\w+\b"


def texts(count: int, seed: int) -> PlainInputs:
    examples = toy_examples(count, seed)
    labels = np.array([LABELS[label] for label, _ in examples])
    return PlainInputs("texts", [(text,) for _, text in examples], labels, np.ones(count, np.int64))


TRAIN, DEV = texts(60, 1), texts(40, 2)


def with_labels(inputs: PlainInputs, seed: int, kind: str) -> PlainInputs:
    random = np.random.default_rng(seed)
    noise = random.normal(size=len(inputs))
    if kind == "number":
        return replace(inputs, labels=(3 * inputs.labels + noise + 100).astype(np.float32))
    both = np.stack([inputs.labels, noise > 0], axis=1)
    return replace(inputs, labels=both.astype(np.float32))


def only_strength(monkeypatch, strength: float) -> None:
    monkeypatch.setattr(plain_models, "_best_strength", lambda *_: strength)
    monkeypatch.setattr(plain_models, "_TOLERANCE", 1e-8)


def test_words_and_characters_are_scored_as_by_scikit_learn(monkeypatch):
    only_strength(monkeypatch, 3.0)
    words, characters = score_plainly(TRAIN, DEV, 2)
    assert (words.name, characters.name) == ("bag of words", "bag of characters (1–4)")
    of_words: dict[str, Any] = {"token_pattern": PATTERN}
    of_characters: dict[str, Any] = {"analyzer": "char", "ngram_range": (1, 4)}
    for found, options in ((words, of_words), (characters, of_characters)):
        peer = make_pipeline(
            TfidfVectorizer(sublinear_tf=True, **options), LogisticRegression(C=3.0, tol=1e-8)
        )
        peer.fit([text for (text,) in TRAIN.entries], TRAIN.labels)
        expected = peer.decision_function([text for (text,) in DEV.entries])
        np.testing.assert_allclose(found.scores[:, 1] - found.scores[:, 0], expected, atol=1e-4)


def test_several_labels_have_a_logistic_regression_each(monkeypatch):
    only_strength(monkeypatch, 3.0)
    train = with_labels(TRAIN, 3, "multi")
    words = next(score_plainly(train, DEV, 2))
    peer = make_pipeline(
        TfidfVectorizer(sublinear_tf=True, token_pattern=PATTERN),
        OneVsRestClassifier(LogisticRegression(C=3.0, tol=1e-8)),
    )
    peer.fit([text for (text,) in TRAIN.entries], train.labels)
    expected = peer.decision_function([text for (text,) in DEV.entries])
    np.testing.assert_allclose(words.scores, expected, atol=1e-4)


def test_numbers_have_a_ridge_regression_in_their_own_units(monkeypatch):
    only_strength(monkeypatch, 2.0)
    train = with_labels(TRAIN, 4, "number")
    words = next(score_plainly(train, DEV, 1))
    vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=PATTERN)
    x = vectorizer.fit_transform([text for (text,) in TRAIN.entries])
    peer = Ridge(0.5).fit(x, train.labels)
    expected = peer.predict(vectorizer.transform([text for (text,) in DEV.entries]))
    np.testing.assert_allclose(words.scores[:, 0], expected, rtol=1e-4)


def test_the_texts_of_a_pair_are_told_apart():
    """The label says which of the two texts has the word: one bag of both could not tell."""
    entries = [("fine", "film"), ("film", "fine")] * 20
    pairs = PlainInputs("texts", entries, np.tile([0, 1], 20), np.ones(40, np.int64))
    words = next(score_plainly(pairs, pairs, 2))
    assert (words.scores.argmax(axis=1) == pairs.labels).all()


def test_tags_follow_from_a_word_and_its_neighbours():
    def tagged(count: int, seed: int) -> PlainInputs:
        sentences = toy_sentences(count, seed)
        tags = ["O", "B-BAD", "I-BAD", "B-GOOD", "I-GOOD"]
        labels = np.array([tags.index(tag) for _, each in sentences for tag in each])
        counts = np.array([len(words) for words, _ in sentences])
        return PlainInputs("words", [tuple(words) for words, _ in sentences], labels, counts)

    dev = tagged(30, 2)
    (found,) = score_plainly(tagged(100, 1), dev, 5)
    assert found.scores.shape == (len(dev.labels), 5)
    assert (found.scores.argmax(axis=1) == dev.labels).mean() > 0.95


def test_pixels_tell_simple_classes_apart():
    def images(first: int) -> PlainInputs:
        pixels = [
            toy_image(label, number)[:16, :16].reshape(-1) / 255
            for number in range(first, first + 20)
            for label in CLASSES
        ]
        labels = np.tile(np.arange(3), 20)
        vectors = np.array(pixels, np.float32)
        return PlainInputs("pixels", vectors, labels, np.ones(60, np.int64))

    dev = images(100)
    (found,) = score_plainly(images(0), dev, 3)
    assert (found.scores.argmax(axis=1) == dev.labels).mean() > 0.9


def test_of_many_examples_a_part_is_fitted_and_the_name_says_so(monkeypatch):
    monkeypatch.setattr(plain_models, "_MOST_ROWS", 30)
    words, again = (next(score_plainly(TRAIN, DEV, 2)) for _ in range(2))
    assert words.name == "bag of words, of 30 examples"
    np.testing.assert_array_equal(words.scores, again.scores)


def test_of_long_texts_a_part_is_fitted(monkeypatch):
    monkeypatch.setattr(plain_models, "_MOST_CHARACTERS", 200)
    words = next(score_plainly(TRAIN, DEV, 2))
    assert 0 < int(words.name.split(", of ")[1].split()[0]) < 60


def test_features_are_bounded_by_the_number_of_labels(monkeypatch):
    asked = []
    monkeypatch.setattr(plain_models, "_MOST_WEIGHTS", 90)
    model = plain_models._MODELS["texts"][0]

    def learn(train: PlainInputs, most: int) -> plain_models.Extract:
        asked.append(most)
        return model.learn(train, most)

    spy = replace(model, learn=learn)
    monkeypatch.setattr(plain_models, "_MODELS", {"texts": (spy,)})
    next(score_plainly(TRAIN, DEV, 3))
    assert asked == [30]


def test_a_label_without_examples_is_never_answered():
    scores = next(score_plainly(TRAIN, DEV, 3)).scores
    assert scores.shape == (40, 3)
    assert (scores[:, 2] < scores[:, :2].min(axis=1)).all()


@pytest.mark.parametrize("entries", [[("",), ("…",), (" ",), ("!",)], [("a",), ("b",)]])
def test_texts_without_words_and_few_texts_give_scores(entries):
    labels = np.arange(len(entries)) % 2
    inputs = PlainInputs("texts", entries, labels, np.ones(len(entries), np.int64))
    for found in score_plainly(inputs, inputs, 2):
        assert np.isfinite(found.scores).all()


def test_the_ridge_is_chosen_by_the_loss_on_what_was_not_fitted(monkeypatch):
    """Labels that do not follow from the texts ask for the strongest ridge."""
    chosen = []
    best = plain_models._best_strength
    monkeypatch.setattr(
        plain_models, "_best_strength", lambda *given: chosen.append(best(*given)) or chosen[-1]
    )
    at_random = np.random.default_rng(7).integers(0, 2, len(TRAIN))
    next(score_plainly(replace(TRAIN, labels=at_random), DEV, 2))
    next(score_plainly(TRAIN, DEV, 2))
    assert chosen[0] == 0.3
    assert chosen[1] > 0.3
