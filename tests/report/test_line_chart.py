"""Curves as SVG."""

import itertools
import math
import re
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfsup.report.line_chart import (
    HEIGHT,
    TOP,
    WIDTH,
    Level,
    Line,
    downsampled,
    line_chart,
    smoothed,
)


def chart(*lines: Line, **options) -> ElementTree.Element:
    drawn = line_chart(
        "Loss", lines, x_label="tokens", y_label="nats", write_x=str, **options
    )  # fmt: skip
    return ElementTree.fromstring(drawn.replace(" data-percent>", ' data-percent="">'))


def path_of(figure: ElementTree.Element, label: str) -> list[tuple[str, float, float]]:
    path = next(p for p in figure.iter("path") if p.get("data-label") == label)
    found = re.findall(r"([ML])(-?[\d.]+),(-?[\d.]+)", path.get("d") or "")
    return [(command, float(x), float(y)) for command, x, y in found]


def test_higher_values_are_drawn_higher_and_later_ones_further_right():
    points = path_of(chart(Line("a", [0, 1, 2], [3.0, 1.0, 2.0])), "a")
    (_, x0, y0), (_, x1, y1), (_, x2, y2) = points
    assert x0 < x1 < x2
    assert y0 < y2 < y1
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.02)


def test_the_values_can_be_read_back_from_the_drawing():
    figure = chart(Line("a", [0, 500, 1000], [9.0, 6.5, 6.25]))
    svg = next(figure.iter("svg"))
    x_low, x_high, x_start, x_end = map(float, (svg.get("data-x") or "").split())
    y_low, y_high, y_start, y_end = map(float, (svg.get("data-y") or "").split())
    read = [
        (
            x_low + (x - x_start) / (x_end - x_start) * (x_high - x_low),
            y_low + (y - y_start) / (y_end - y_start) * (y_high - y_low),
        )
        for _, x, y in path_of(figure, "a")
    ]
    expected = [(0, 9.0), (500, 6.5), (1000, 6.25)]
    for (x, y), (true_x, true_y) in zip(read, expected, strict=True):
        assert x == pytest.approx(true_x, abs=0.1)
        assert y == pytest.approx(true_y, abs=0.001)


def test_values_that_are_not_finite_leave_a_gap():
    points = path_of(chart(Line("a", [0, 1, 2, 3], [1.0, math.nan, 2.0, math.inf])), "a")
    assert [command for command, _, _ in points] == ["M", "M"]


def test_a_chart_without_a_single_point_is_left_out():
    assert line_chart("Loss", [], x_label="", y_label="", write_x=str) == ""
    nothing = [Line("a", [1], [math.nan])]
    assert line_chart("Loss", nothing, x_label="", y_label="", write_x=str) == ""


def test_one_measurement_is_drawn_as_a_dot():
    figure = chart(Line("a", [5], [1.0]))
    assert len(list(figure.iter("circle"))) == 1


def test_the_end_labels_do_not_overlap():
    figure = chart(*(Line(f"run {n}", [0, 1], [1.0, 1.0 + n / 1000], n) for n in range(1, 7)))
    places = sorted(
        float(t.get("y") or 0) for t in figure.iter("text") if "end" in (t.get("class") or "")
    )
    assert len(places) == 6
    assert all(after - before >= 14.9 for before, after in itertools.pairwise(places))
    assert all(TOP - 20 < place < HEIGHT for place in places)


def test_a_level_is_within_the_frame_even_where_no_line_reaches_it():
    figure = chart(Line("a", [0, 1], [1.0, 2.0]), levels=[Level("chance", 9.0)])
    (level,) = [line for line in figure.iter("line") if line.get("class") == "level"]
    assert TOP <= float(level.get("y1") or -1) < HEIGHT


def test_the_names_of_levels_and_lines_are_drawn_over_all_lines():
    figure = chart(Line("a", [0, 1], [1.0, 2.0]), levels=[Level("chance", 1.5)])
    order = [f"{part.tag} {part.get('class')}" for part in figure.iter()]
    curve = order.index("path line strong s1")
    assert order.index("line level") < curve
    assert curve < min(order.index("text level"), order.index("text end s1"))


def test_a_steep_start_may_leave_the_frame_so_that_the_rest_is_seen():
    line = Line("a", list(range(101)), [100.0] + [1.0 + 0.01 * x for x in range(100)])
    flat = path_of(chart(line), "a")
    seen = path_of(chart(line, skip_start=0.03), "a")
    assert flat[1][2] - flat[-1][2] < 5 < seen[1][2] - seen[-1][2]
    assert seen[0][2] < 0


def test_the_curves_are_also_described_in_words():
    figure = chart(Line("held out", [1, 2, 3], [7.25, math.nan, 4.5]), Line("a < b", [1], [2.0]))
    said = next(figure.iter("desc")).text
    assert said == (
        "By tokens. held out: from 7.25 to 4.5, lowest 4.5, highest 7.25; "
        "a < b: from 2 to 2, lowest 2, highest 2."
    )


def test_names_are_escaped():
    figure = chart(Line('<b>&"', [0, 1], [1.0, 2.0]))
    assert any(text.text == '<b>&"' for text in figure.iter("text"))


@given(
    st.lists(st.tuples(st.floats(0, 1e9), st.floats(-1e6, 1e6)), min_size=1, max_size=50),
    st.booleans(),
)
def test_any_curve_stays_between_the_axis_and_the_right_edge(points, from_zero: bool):
    points.sort()
    figure = chart(Line("a", [x for x, _ in points], [y for _, y in points]), from_zero=from_zero)
    for _, x, y in path_of(figure, "a"):
        assert 0 <= x <= WIDTH
        assert 0 <= y <= HEIGHT


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=2000))
def test_downsampling_keeps_the_last_point_the_mean_and_the_range(values: list[float]):
    line = downsampled(Line("a", list(range(len(values))), values))
    assert len(line.x) == len(line.y) <= 240
    assert (line.x[-1], line.y[-1]) == (len(values) - 1, values[-1])
    assert min(values) - 1e-9 <= min(line.y)
    assert max(line.y) <= max(values) + 1e-9


@given(st.lists(st.floats(-10, 10), max_size=300))
def test_smoothing_keeps_the_length_and_the_range(values: list[float]):
    result = smoothed(values)
    assert len(result) == len(values)
    assert all(min(values) - 1e-9 <= value <= max(values) + 1e-9 for value in result)


def test_smoothing_leaves_a_straight_line_where_it_is_but_at_its_end():
    values = [float(v) for v in range(300)]
    assert smoothed(values)[:290] == pytest.approx(values[:290])


@pytest.mark.parametrize("values", [[0.0, 0.0], [1.0, 1.0], [0.01, 0.99]])
def test_the_axis_of_shares_has_none_below_0_or_above_1(values):
    figure = chart(Line("a", [0, 1], values), percent=True)
    ticks = [text.text or "" for text in figure.iter("text") if "side" in (text.get("class") or "")]
    shares = [float(tick.removesuffix("%")) for tick in ticks]
    assert shares
    assert min(shares) >= 0
    assert max(shares) <= 100


def side_ticks(figure: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in figure.iter("text") if "side" in (text.get("class") or "")]


def said_beside_the_title(figure: ElementTree.Element) -> str:
    return next(span for span in figure.iter("span") if span.get("class") == "unit").text or ""


@pytest.mark.parametrize(
    ("values", "starts"), [([0.1, 0.7], "0"), ([6.0, 5.0], "4.75"), ([-0.2, 0.4], None)]
)
def test_an_axis_that_does_not_start_at_0_says_where(values, starts):
    figure = chart(Line("a", [0, 1], values), write_y="{:g}".format)
    note = f"axis starts at {starts}"
    assert (note in said_beside_the_title(figure)) is (starts not in ("0", None))
    if starts is not None:
        assert side_ticks(figure)[0] == starts


@pytest.mark.parametrize("percent", [True, False])
def test_small_differences_are_not_enlarged_to_the_height_of_the_chart(percent: bool):
    figure = chart(Line("a", [0, 1], [0.692, 0.693]), percent=percent)
    (_, _, first), (_, _, last) = path_of(figure, "a")
    assert abs(first - last) < HEIGHT / 20


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9), st.booleans())
def test_the_vertical_axis_ends_at_ticks(values: list[float], percent: bool):
    figure = chart(Line("a", list(range(len(values))), values), percent=percent, write_y=repr)
    svg = next(figure.iter("svg"))
    low, high, _, _ = map(float, (svg.get("data-y") or "").split())
    divisor = 100 if percent else 1
    ticks = [float(text.removesuffix("%")) / divisor for text in side_ticks(figure)]
    assert ticks[0] == pytest.approx(low, abs=1e-5)
    assert ticks[-1] == pytest.approx(high, abs=1e-5)
