"""Random numbers are a pure function of integers, and pass statistical tests."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from selfsup.counter_random import hash64, integers, permutation, uniform

any_integers = st.integers(-(2**63), 2**64 - 1)


@pytest.mark.parametrize(
    ("seed", "first"),
    # First outputs of the reference implementation of SplitMix64.
    [(0, 0xE220A8397B1DCDAF), (1234567, 6457827717110365317)],
)
def test_a_single_key_gives_the_first_output_of_splitmix64(seed, first):
    assert int(hash64(seed)) == first


@given(st.lists(any_integers, min_size=1, max_size=4), st.data())
def test_an_array_hashes_like_its_elements(keys, data):
    position = data.draw(st.integers(0, len(keys) - 1))
    others = [key if key < 2**63 else key - 2**64 for key in (keys[position], 0, 7, -1)]
    arrays = [np.array(others) if i == position else key for i, key in enumerate(keys)]
    hashed = hash64(*arrays)
    assert hashed.dtype == np.uint64
    for i, other in enumerate(others):
        assert hashed[i] == hash64(*keys[:position], other, *keys[position + 1 :])


@given(st.lists(any_integers, min_size=2, max_size=5), st.data())
def test_a_hash_can_continue_from_another_hash(keys, data):
    cut = data.draw(st.integers(0, len(keys)))
    assert hash64(*keys) == hash64(*keys[cut:], after=hash64(*keys[:cut]))


def test_keys_broadcast():
    grid = hash64(3, np.arange(4)[:, None], np.arange(5))
    assert grid.shape == (4, 5)
    assert grid[2, 4] == hash64(3, 2, 4)
    assert uniform(3, np.arange(4)[:, None], np.arange(5)).shape == (4, 5)


def test_the_order_of_keys_matters():
    assert hash64(1, 2) != hash64(2, 1)


def test_no_two_positions_share_a_number():
    grid = hash64(0, np.arange(300)[:, None, None], np.arange(100)[:, None], np.arange(10))
    assert len(np.unique(grid)) == grid.size


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_numbers_are_uniform_along_every_key(axis):
    keys = [5, 6, 7]
    numbers = uniform(*(np.arange(100_000) if i == axis else k for i, k in enumerate(keys)))
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert stats.kstest(numbers, "uniform").pvalue > 1e-4
    # Neighbours are not correlated: the correlation is within 5 standard errors of zero.
    assert abs(np.corrcoef(numbers[:-1], numbers[1:])[0, 1]) < 5 / 100_000**0.5


@given(st.integers(1, 2**52), st.integers(0, 1000))
def test_integers_lie_below_their_bound(high, seed):
    numbers = integers(high, seed, np.arange(50))
    assert numbers.dtype == np.int64
    assert numbers.min() >= 0
    assert numbers.max() < high


def test_integers_are_uniform():
    counts = np.bincount(integers(7, 1, np.arange(70_000)), minlength=7)
    assert stats.chisquare(counts).pvalue > 1e-4


def test_each_integer_may_have_its_own_bound():
    high = np.array([1, 2, 3, 1000])
    numbers = integers(high, 9, np.arange(5000)[:, None])
    assert (numbers < high).all()
    assert (numbers.max(0) == high - 1)[:3].all()


@given(st.integers(0, 200), st.integers(0, 9))
def test_a_permutation_holds_every_index_once(length, seed):
    assert sorted(permutation(length, seed)) == list(range(length))


def test_permutations_are_functions_of_their_keys():
    assert np.array_equal(permutation(50, 1, 2), permutation(50, 1, 2))
    assert not np.array_equal(permutation(50, 1, 2), permutation(50, 2, 1))


def test_every_order_is_equally_likely():
    orders = [tuple(permutation(3, seed)) for seed in range(6000)]
    counts = [orders.count(order) for order in set(orders)]
    assert len(counts) == 6
    assert stats.chisquare(counts).pvalue > 1e-4
