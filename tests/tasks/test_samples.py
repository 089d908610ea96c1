"""Metrics of samples of the examples, against scikit-learn and SciPy on the repeated examples."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import f1_score

from selfsup.tasks.samples import f1_of_sample, spearman_of_sample

RANDOM = np.random.default_rng(5)
SAMPLES = [np.arange(40), *RANDOM.integers(0, 40, (20, 40))]


def test_the_f1_of_a_sample_is_that_of_its_examples():
    true, predicted = RANDOM.random((2, 40, 3)) > 0.6
    right = true & predicted
    of_sample = f1_of_sample(right.sum(1), true.sum(1), predicted.sum(1))
    for indices in SAMPLES:
        expected = f1_score(true[indices], predicted[indices], average="micro")
        assert of_sample(indices) == pytest.approx(expected)


def test_an_f1_of_nothing_is_zero():
    assert f1_of_sample(*np.zeros((3, 4), np.int64))(np.arange(4)) == 0


def test_the_spearman_correlation_of_a_sample_is_that_of_its_examples_with_ties():
    values, true = RANDOM.integers(0, 9, 40) / 4, RANDOM.random(40).round(1)
    of_sample = spearman_of_sample(values, true)
    for indices in SAMPLES:
        expected = spearmanr(values[indices], true[indices])[0]
        assert of_sample(indices) == pytest.approx(expected)


def test_a_constant_has_no_correlation():
    assert spearman_of_sample(np.ones(4), np.arange(4.0))(np.arange(4)) == 0
