"""Padding rows bring many numbers of rows down to few, and are few."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from selfsup.encoder.packing import pad_rows, padding_rows

CPU = torch.device("cpu")


@given(st.integers(0, 1 << 20))
def test_padding_is_a_thirty_second_at_most_or_a_few_rows(count):
    assert 0 <= padding_rows(count, CPU) <= max(31, count / 32)


@pytest.mark.parametrize("power", range(5, 15))
def test_between_powers_of_two_there_are_few_sums(power):
    counts = range((1 << power) + 1, (2 << power) + 1)
    assert len({count + padding_rows(count, CPU) for count in counts}) <= 32


def test_a_sum_needs_no_padding():
    sums = {count + padding_rows(count, CPU) for count in range(5000)}
    assert not any(padding_rows(count, CPU) for count in sums)


def test_only_a_cpu_gets_padding_rows():
    assert padding_rows(9, torch.device("cuda")) == 0


@pytest.mark.parametrize(
    ("shape", "rows"), [((0, 3), 0), ((5,), 8), ((9, 3), 16), ((32, 3), 32), ((33, 2, 3), 64)]
)
def test_rows_of_zeros_follow(shape, rows):
    x = torch.randn(shape)
    padded = pad_rows(x)
    assert len(padded) == rows
    assert torch.equal(padded[: len(x)], x)
    assert not padded[len(x) :].any()
