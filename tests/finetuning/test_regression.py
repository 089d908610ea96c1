"""Regressions are scikit-learn's, with a ridge that suits examples that were not fitted."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from selfsup.finetuning.regression import Examples, cross_validated_losses, fit_regression

STRENGTHS = [1e-3, 1e-1, 10.0]


def examples(kind: str, count: int, width: int, seed: int = 0) -> Examples:
    random = np.random.default_rng(seed)
    features = random.normal(3, random.uniform(0.1, 5, width), (count, width)).astype(np.float32)
    signal = (features - features.mean(0)) / features.std(0) @ random.normal(size=(width, 3))
    signal += random.normal(size=signal.shape) * 4
    labels = {
        "class": signal.argmax(1),
        "multi": (signal > 0).astype(np.float32),
        "number": signal[:, 0].astype(np.float32),
    }[kind]
    return Examples(features, labels, np.arange(count))


def with_one_strength(given: Examples, outputs: int, strength: float, monkeypatch) -> np.ndarray:
    monkeypatch.setattr("selfsup.finetuning.regression._STRENGTHS", (strength,))
    found = fit_regression(given, outputs)
    return given.features @ found.weight.T + found.bias


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize(("count", "width"), [(40, 60), (200, 20)])
def test_classes_are_fitted_as_by_scikit_learn(count, width, strength, monkeypatch):
    given = examples("class", count, width)
    scores = with_one_strength(given, 3, strength, monkeypatch)
    peer = LogisticRegression(C=strength, tol=1e-8, max_iter=5000)
    scaled = StandardScaler().fit_transform(given.features.astype(np.float64))
    expected = peer.fit(scaled, given.labels).decision_function(scaled)
    scores -= scores.mean(1, keepdims=True)
    np.testing.assert_allclose(scores, expected, atol=2e-2, rtol=1e-3)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_several_labels_are_fitted_one_by_one_as_by_scikit_learn(strength, monkeypatch):
    given = examples("multi", 80, 30)
    scores = with_one_strength(given, 3, strength, monkeypatch)
    scaled = StandardScaler().fit_transform(given.features.astype(np.float64))
    for label in range(3):
        peer = LogisticRegression(C=strength, tol=1e-8, max_iter=5000)
        expected = peer.fit(scaled, given.labels[:, label]).decision_function(scaled)
        np.testing.assert_allclose(scores[:, label], expected, atol=2e-2, rtol=1e-3)


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize(("count", "width"), [(40, 60), (200, 20)])
def test_numbers_are_fitted_as_by_scikit_learn(count, width, strength, monkeypatch):
    given = examples("number", count, width)
    scores = with_one_strength(given, 1, strength, monkeypatch)[:, 0]
    scaled = StandardScaler().fit_transform(given.features.astype(np.float64))
    expected = Ridge(alpha=1 / strength).fit(scaled, given.labels).predict(scaled)
    np.testing.assert_allclose(scores, expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["class", "multi", "number"])
def test_the_ridge_with_the_lowest_loss_in_cross_validation_is_taken(kind, monkeypatch):
    given, outputs = examples(kind, 60, 40), 1 if kind == "number" else 3
    losses = cross_validated_losses(given, outputs, STRENGTHS)
    assert len(set(losses.round(6))) == 3
    monkeypatch.setattr("selfsup.finetuning.regression._STRENGTHS", tuple(STRENGTHS))
    found = fit_regression(given, outputs)
    best = STRENGTHS[int(losses.argmin())]
    monkeypatch.setattr("selfsup.finetuning.regression._STRENGTHS", (best,))
    np.testing.assert_allclose(found.weight, fit_regression(given, outputs).weight, atol=1e-3)


def test_the_words_of_a_sentence_are_never_on_both_sides():
    # Each word occurs twice in its sentence, and no two sentences share one: what is learned from
    # other sentences says nothing.
    random = np.random.default_rng(0)
    features = np.repeat(random.normal(size=(60, 50)).astype(np.float32), 2, axis=0)
    labels = np.repeat(random.integers(0, 2, 60), 2)
    alone = Examples(features, labels, np.arange(120))
    together = Examples(features, labels, np.repeat(np.arange(60), 2))
    known, unknown = (cross_validated_losses(given, 2, [1.0])[0] for given in (alone, together))
    assert known < np.log(2) < unknown - 0.2


def test_a_feature_that_never_changes_and_a_label_without_examples_do_no_harm():
    given = examples("class", 40, 10)
    given.features[:, 3] = 1e4
    found = fit_regression(given, 5)
    assert np.isfinite(found.weight).all()
    assert not found.weight[:, 3].any()
    predicted = (given.features @ found.weight.T + found.bias).argmax(1)
    assert predicted.max() < 3
