"""Axes with round ticks."""

import math

from hypothesis import given
from hypothesis import strategies as st

from selfsup.report.axes import Scale, round_step, scale_around

finite = st.floats(-1e9, 1e9)


@given(st.floats(1e-9, 1e9))
def test_a_step_is_a_round_number_near_what_was_asked(rough: float):
    step = round_step(rough)
    mantissa = step / 10 ** math.floor(math.log10(step) + 1e-9)
    assert any(math.isclose(mantissa, allowed) for allowed in (1, 2, 2.5, 5, 10))
    assert 0.6 < step / rough < 1.6


@given(finite, st.floats(1e-3, 1e9), st.integers(2, 10))
def test_ticks_lie_within_the_scale_and_are_about_as_many_as_asked(low, span, about):
    scale = Scale(low, low + span, 0, 100)
    ticks = scale.ticks(about)
    assert about / 2 - 1 <= len(ticks) <= 2 * about + 2
    margin = 1e-6 * max(span, abs(low))
    assert all(scale.low - margin <= tick <= scale.high + margin for tick in ticks)


@given(st.lists(finite, min_size=1, max_size=20), st.booleans())
def test_a_scale_around_values_holds_them_all(values: list[float], from_zero: bool):
    scale = scale_around(values, 0, 100, from_zero=from_zero)
    assert scale.low < scale.high
    assert all(scale.low <= value <= scale.high for value in values)
    if from_zero and min(values) >= 0:
        assert scale.low == 0


def test_the_ends_of_a_scale_are_the_ends_of_the_axis():
    scale = Scale(2, 4, 100, 20)
    assert (scale(2), scale(3), scale(4)) == (100, 60, 20)
