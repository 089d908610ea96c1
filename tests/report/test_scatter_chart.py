"""Numbers predicted against numbers given."""

import re

from selfsup.report.bar_and_scatter_charts import scatter_chart


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
