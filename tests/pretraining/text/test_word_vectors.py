"""Word vectors from counting which tokens stand near each other."""

import math

import numpy as np
import pytest

from selfsup.pretraining.text.structured_start import (
    _positive_mutual_information,
    co_occurrence_vectors,
)


def test_neighbours_count_by_how_near_they_are():
    tokens = np.array([0, 1, 2])
    information = _positive_mutual_information(tokens, np.bincount(tokens)).numpy()
    # 0 and 1, 1 and 2 stand side by side; 0 and 2 are two apart, and count a half.
    near = np.array([[0, 1, 0.5], [1, 0, 1], [0.5, 1, 0]])
    of_context = near.sum(0) ** 0.75
    expected = near / near.sum(1, keepdims=True) / (of_context / of_context.sum())
    contexts = [0, 1, 2]  # equally frequent, so in the order of their numbers
    for word in range(3):
        for context in contexts:
            share = expected[word, context]
            wanted = math.log(share) if share > 1 else 0.0
            assert information[word, context] == pytest.approx(wanted, abs=1e-6)


def test_they_are_centred_by_frequency_and_of_unit_deviation():
    tokens = np.random.default_rng(0).zipf(1.5, 5000) % 50
    vectors = co_occurrence_vectors(tokens, vocab_size=60, dimensions=8, seed=0)
    counts = np.bincount(tokens, minlength=60)
    assert vectors.shape == (60, 8)
    assert vectors.dtype == np.float32
    assert not vectors[counts == 0].any()
    assert vectors.std() == pytest.approx(1.0, abs=1e-3)
    np.testing.assert_allclose(counts @ vectors / counts.sum(), 0, atol=1e-3)


def test_tokens_that_stand_in_the_same_places_are_alike():
    source = np.random.default_rng(1)
    pairs = source.integers(0, 2, 4000)  # two kinds of context, each with two words of its own
    tokens = np.stack([pairs * 3, pairs * 3 + 1 + source.integers(0, 2, 4000)], 1).ravel()
    vectors = co_occurrence_vectors(tokens, vocab_size=6, dimensions=4, seed=0)
    near = np.corrcoef(vectors)
    assert near[1, 2] > near[1, 4]
    assert near[4, 5] > near[4, 2]


def test_more_dimensions_than_there_are_tokens_are_empty():
    vectors = co_occurrence_vectors(np.array([0, 1, 0, 1, 2]), 3, dimensions=7, seed=0)
    assert vectors.shape == (3, 7)
    assert not vectors[:, 3:].any()
