"""Filler brings many numbers of rows down to few, and is seldom more than a little."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from selfsup.encoder.layers import filler_rows, with_filler

CPU = torch.device("cpu")


@given(st.integers(0, 1 << 20))
def test_filler_is_a_thirty_second_at_most_or_a_few_rows(count):
    assert 0 <= filler_rows(count, CPU) <= max(31, count / 32)


@pytest.mark.parametrize("power", range(5, 15))
def test_between_powers_of_two_there_are_few_sums(power):
    counts = range((1 << power) + 1, (2 << power) + 1)
    assert len({count + filler_rows(count, CPU) for count in counts}) <= 32


def test_a_sum_needs_no_filler():
    sums = {count + filler_rows(count, CPU) for count in range(5000)}
    assert not any(filler_rows(count, CPU) for count in sums)


def test_only_a_cpu_gets_filler():
    assert filler_rows(9, torch.device("cuda")) == 0


@pytest.mark.parametrize(
    ("shape", "rows"), [((0, 3), 0), ((5,), 8), ((9, 3), 16), ((32, 3), 32), ((33, 2, 3), 64)]
)
def test_rows_of_zeros_follow(shape, rows):
    x = torch.randn(shape)
    filled = with_filler(x)
    assert len(filled) == rows
    assert torch.equal(filled[: len(x)], x)
    assert not filled[len(x) :].any()
