"""Axes with round ticks, bars, and points of numbers predicted against numbers given."""

import itertools
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfsup.report.charts import (
    WIDTH,
    Bar,
    Scale,
    bar_chart,
    round_step,
    scale_around,
    scatter_chart,
)

finite = st.floats(-1e9, 1e9)
NUMBER = re.compile(r'<rect class="bar s1" x="([-\d.]+)" y="[-\d.]+" width="([-\d.]+)"')


def drawn(*bars: Bar) -> list[tuple[float, float]]:
    """Where each bar begins and ends."""
    figure = bar_chart("Score", bars, unit="", write="{:.3f}".format)
    found = [(float(x), float(x) + float(width)) for x, width in NUMBER.findall(figure)]
    assert len(found) == len(bars)
    return found


@given(st.floats(1e-9, 1e9))
def test_a_step_is_a_round_number_near_what_was_asked(rough: float):
    step = round_step(rough)
    mantissa = step / 10 ** math.floor(math.log10(step) + 1e-9)
    assert any(math.isclose(mantissa, allowed) for allowed in (1, 2, 2.5, 5, 10))
    assert 0.6 < step / rough < 1.6


@given(finite, st.floats(1e-3, 1e9), st.integers(2, 10))
def test_ticks_lie_within_the_scale_and_are_about_as_many_as_asked(low, span, about):
    scale = Scale(low, low + span, 0, 100)
    ticks = [float(text) for _, text in scale.ticks(about, repr)]
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


@pytest.mark.parametrize("values", [(-0.05,), (-0.05, -0.0505), (-0.1, -0.2), (0.0,), (-0.3, 0.4)])
def test_values_below_0_go_to_the_left_of_it(values):
    bars = drawn(*(Bar(f"run {value}", value) for value in values))
    for value, (start, end) in zip(values, bars, strict=True):
        assert 0 < start <= end < WIDTH
        others = [other for other in bars if other != (start, end)]
        if value < 0 and others:  # all bars share one end: 0
            assert any(end in (pytest.approx(a, abs=0.2), pytest.approx(b, abs=0.2))
                       for a, b in others)  # fmt: skip


TICK = re.compile(r'<text class="tick" x="([-\d.]+)" y="[-\d.]+">([^<]+)')


@pytest.mark.parametrize(
    "values", [(0.446,), (0.81, 0.2), (1.0,), (0.003,), (-0.2, 0.3), (1234.5, 9.0), (0.0,)]
)
@pytest.mark.parametrize("name", ["a", "a run with a long name, frozen"])
def test_ticks_begin_at_or_below_0_and_reach_the_end_of_every_bar(values, name):
    bars = [Bar(name, value, abs(value) / 9) for value in values]
    figure = bar_chart("Score", bars, unit="", write="{:.3f}".format, write_tick=repr)
    places = [float(x) for x, _ in TICK.findall(figure)]
    texts = [float(text) for _, text in TICK.findall(figure)]
    assert texts[0] == min(0.0, texts[0])
    assert max(values) <= texts[-1] or texts[-1] == pytest.approx(max(values))
    assert min(values) >= texts[0]
    ends = [(float(x), float(x) + float(width)) for x, width in NUMBER.findall(figure)]
    assert all(places[0] <= start + 0.1 and end <= places[-1] + 0.1 for start, end in ends)
    # Not so close that one runs into the next.
    assert all(after - before > 30 for before, after in itertools.pairwise(places))


@pytest.mark.parametrize("name", ["bert-mini-" * 6 + "seed1", "영어와한국어" * 6, "a"])
def test_a_long_name_leaves_room_for_its_bar(name: str):
    (low_start, low_end), (high_start, high_end) = drawn(Bar(name, 0.4), Bar(name + "2", 0.8))
    assert low_start == high_start < WIDTH / 2
    assert low_end < high_end
    assert high_end - high_start == pytest.approx(2 * (low_end - low_start), abs=0.3)


def test_the_bars_are_told_in_words_too():
    bars = [Bar("pre-trained", 0.5, 0.25), Bar("a < b", 0.125)]
    figure = bar_chart("Score", bars, unit="", write="{:.3f}".format)
    assert "<desc>pre-trained: 0.500 ± 0.250; a &lt; b: 0.125</desc>" in figure


def positions(svg: str) -> list[tuple[float, float]]:
    """Where the points are drawn."""
    return [
        (float(x), float(y)) for x, y in re.findall(r'<circle[^>]* cx="([^"]+)" cy="([^"]+)"', svg)
    ]


def test_what_is_predicted_right_stands_on_the_line_and_what_is_too_high_above_it():
    svg = scatter_chart([(0, 0), (5, 5), (10, 10), (5, 8)])
    (line,) = re.findall(r'<line class="level" x1="(.+?)" x2="(.+?)" y1="(.+?)" y2="(.+?)"', svg)
    x1, x2, y1, y2 = map(float, line)
    above = [
        (y1 + (x - x1) / (x2 - x1) * (y2 - y1)) - y  # pixels are counted from the top
        for x, y in positions(svg)
    ]
    assert all(abs(distance) < 0.2 for distance in above[:3])
    assert above[3] > 50


def test_numbers_that_are_all_the_same_are_drawn():
    assert len(positions(scatter_chart([(3, 3), (3, 3)]))) == 2


def test_very_many_points_are_thinned_out_evenly():
    svg = scatter_chart([(float(number), 0.0) for number in range(10_001)])
    xs = [x for x, _ in positions(svg)]
    assert 1500 < len(xs) <= 2000
    assert max(xs) - min(xs) > 300


def test_without_points_there_is_no_figure():
    assert scatter_chart([]) == ""
