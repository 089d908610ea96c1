"""Defaults suit the size of the encoder and the number of examples."""

import pytest

from selfsup.encoder.config import bert_config
from selfsup.finetuning.defaults import default_epochs, default_learning_rate


@pytest.mark.parametrize("examples", [1, 50, 700, 7_000, 100_000])
def test_fewer_examples_are_seen_more_often(examples: int):
    epochs, more = (
        default_epochs(examples, 32, frozen=False),
        default_epochs(examples * 10, 32, frozen=False),
    )
    assert 3 <= more <= epochs <= 20


def test_a_large_set_is_seen_three_times():
    assert default_epochs(100_000, 32, frozen=False) == 3


def test_some_hundreds_of_steps_are_taken_where_that_is_not_too_often():
    assert default_epochs(1_000, 32, frozen=False) == 19  # of 32 steps each: 608
    assert default_epochs(1_000, 16, frozen=False) == 10  # of 63: 630


def test_the_rate_falls_with_the_square_of_the_width():
    assert default_learning_rate(bert_config("bert-mini", 100), frozen=False) == pytest.approx(
        2.7e-4
    )
    assert default_learning_rate(bert_config("bert-small", 100), frozen=False) == pytest.approx(
        6.75e-5
    )


def test_smaller_encoders_learn_at_higher_rates():
    names = ["bert-large", "bert-base", "bert-small", "bert-mini", "bert-tiny"]
    rates = [default_learning_rate(bert_config(name, 100), frozen=False) for name in names]
    assert rates == sorted(rates)
    assert rates[0] >= 1e-5
    assert rates[1] == pytest.approx(3e-5)
    assert rates[-1] <= 1e-3


def test_a_head_alone_learns_long_and_at_a_rate_of_its_own():
    assert default_epochs(100_000, 32, frozen=True) == 20
    rates = {
        default_learning_rate(bert_config(name, 100), frozen=True)
        for name in ("bert-mini", "bert-base")
    }
    assert rates == {2e-3}
