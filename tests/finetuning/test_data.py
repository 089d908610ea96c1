"""Each epoch shows each example once, in an order that is a function of (seed, epoch)."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from selfsup.finetuning.data import EpochBatches, epoch_batches
from selfsup.tasks.batches import batches_by_length

LENGTHS = st.lists(st.integers(1, 200), min_size=1, max_size=400).map(np.array)


class Indices:
    """Examples whose batch is their indices."""

    def __init__(self, lengths: np.ndarray) -> None:
        self.lengths = lengths

    def __len__(self) -> int:
        return len(self.lengths)

    def batch(self, indices: np.ndarray) -> list[int]:
        return indices.tolist()

    def windows_of(self, indices: np.ndarray) -> np.ndarray:
        return indices


@given(LENGTHS, st.integers(1, 40), st.integers(0, 5), st.integers(0, 5))
def test_an_epoch_holds_every_example_once_in_full_batches_but_the_last(lengths, size, seed, epoch):
    batches = epoch_batches(lengths, size, seed, epoch)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert all(len(batch) == size for batch in batches[:-1])
    assert 1 <= len(batches[-1]) <= size


def test_the_order_is_a_function_of_seed_and_epoch():
    lengths = np.arange(1, 300)

    def order(seed: int, epoch: int) -> list[int]:
        return np.concatenate(epoch_batches(lengths, 8, seed, epoch)).tolist()

    assert order(1, 2) == order(1, 2)
    assert order(1, 2) != order(1, 3)
    assert order(1, 2) != order(2, 2)


def test_texts_of_like_length_go_together_so_little_is_padded():
    lengths = np.random.default_rng(0).geometric(0.05, 4000)

    def padded(batches: list[np.ndarray]) -> float:
        return sum(lengths[batch].max() * len(batch) for batch in batches) / lengths.sum()

    at_random = np.split(np.random.default_rng(1).permutation(4000), 125)
    assert padded(epoch_batches(lengths, 32, 0, 0)) < 1.3 < 2.5 < padded(at_random)


def test_batches_come_in_no_order_of_length():
    lengths = np.random.default_rng(0).integers(1, 100, 2000)
    means = [lengths[batch].mean() for batch in epoch_batches(lengths, 20, 0, 0)]
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 0.3


def test_steps_are_counted_through_the_epochs():
    batches = EpochBatches(Indices(np.arange(1, 11)), batch_size=4, seed=7)
    assert batches.steps_per_epoch == 3
    first = [batches[number] for number in range(3)]
    second = [batches[number] for number in range(3, 6)]
    for epoch in (first, second):
        assert sorted(np.concatenate(epoch).tolist()) == list(range(10))
    assert first != second
    assert batches[1] == first[1]  # an earlier step can be asked for again


@given(LENGTHS, st.integers(1, 64), st.integers(1, 500))
def test_batches_by_length_hold_all_examples_within_their_bounds(lengths, examples, tokens):
    batches = batches_by_length(lengths, examples, tokens)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) <= examples
        assert len(batch) == 1 or lengths[batch].max() * len(batch) <= tokens
