"""Bars begin at 0 whatever the values are, and stay within the frame whatever they are called."""

import re

import pytest

from selfsup.report.bar_and_scatter_charts import BARS_WIDTH, Bar, bar_chart

NUMBER = re.compile(r'<rect class="bar s1" x="([-\d.]+)" y="[-\d.]+" width="([-\d.]+)"')


def drawn(*bars: Bar) -> list[tuple[float, float]]:
    """Where each bar begins and ends."""
    figure = bar_chart("Score", bars, unit="", write="{:.3f}".format)
    found = [(float(x), float(x) + float(width)) for x, width in NUMBER.findall(figure)]
    assert len(found) == len(bars)
    return found


@pytest.mark.parametrize("values", [(-0.05,), (-0.05, -0.0505), (-0.1, -0.2), (0.0,), (-0.3, 0.4)])
def test_values_below_0_go_to_the_left_of_it(values):
    bars = drawn(*(Bar(f"run {value}", value) for value in values))
    for value, (start, end) in zip(values, bars, strict=True):
        assert 0 < start <= end < BARS_WIDTH
        others = [other for other in bars if other != (start, end)]
        if value < 0 and others:  # all bars share one end: 0
            assert any(end in (pytest.approx(a, abs=0.2), pytest.approx(b, abs=0.2))
                       for a, b in others)  # fmt: skip


@pytest.mark.parametrize("name", ["bert-mini-" * 6 + "seed1", "영어와한국어" * 6, "a"])
def test_a_long_name_leaves_room_for_its_bar(name: str):
    (low_start, low_end), (high_start, high_end) = drawn(Bar(name, 0.4), Bar(name + "2", 0.8))
    assert low_start == high_start < BARS_WIDTH / 2
    assert low_end < high_end
    assert high_end - high_start == pytest.approx(2 * (low_end - low_start), abs=0.3)


def test_the_bars_are_told_in_words_too():
    bars = [Bar("pre-trained", 0.5, 0.25), Bar("a < b", 0.125)]
    figure = bar_chart("Score", bars, unit="", write="{:.3f}".format)
    assert "<desc>pre-trained: 0.500 ± 0.250; a &lt; b: 0.125</desc>" in figure
