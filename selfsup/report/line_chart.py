"""Line charts as inline SVG."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Literal

from selfsup.report import formatting
from selfsup.report.charts import (
    WIDTH,
    Scale,
    Write,
    chart,
    draw_line,
    draw_text,
    fitted,
    rounded_out,
    scale_around,
    text_width,
)

HEIGHT = 270
LEFT, TOP, BOTTOM = 50, 12, 40
LABEL_HEIGHT = 15
_WIDEST_LABEL = 119.0
_MAX_POINTS = 240
_Y_TICKS = 5


@dataclass(frozen=True)
class Line:
    """One curve. Values that are not finite leave a gap."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    colour: int = 1
    """Which of the page's series colours, from 1."""
    style: Literal["strong", "faint"] = "strong"
    steps: bool = False
    """Hold each value until the next one, instead of a straight line to it."""

    @property
    def points(self) -> list[tuple[float, float]]:
        """Those that are drawn."""
        return [(x, y) for x, y in zip(self.x, self.y, strict=True) if math.isfinite(y)]


@dataclass(frozen=True)
class Level:
    """A horizontal line to compare with, such as chance."""

    label: str
    y: float


def line_chart(
    title: str,
    lines: Sequence[Line],
    *,
    x_label: str,
    y_label: str = "",
    write_x: Write,
    write_y: Write = "{:.4g}".format,
    percent: bool = False,
    levels: Sequence[Level] = (),
    from_zero: bool = False,
    whole_x: bool = False,
    skip_start: float = 0.0,
) -> str:
    """A figure with its caption, or an empty string if no line has a point.

    write_x, write_y: format a value at a tick.
    percent: the values are shares between 0 and 1, written in per cent instead of by `write_y`.
    from_zero: the vertical axis includes 0.
    whole_x: the horizontal axis has ticks at whole numbers only, such as epochs.
    skip_start: the vertical axis ignores values in this first share of the horizontal axis, so
        that the steep fall of a loss at the start does not flatten the rest of the curve.
    """
    write_y = formatting.round_percent if percent else write_y
    lines = [line for line in map(downsampled, lines) if line.points]
    if not lines:
        return ""
    labels = [line for line in lines if line.label and line.style != "faint"]
    right = 16 + max((text_width(fitted(line.label, _WIDEST_LABEL)) for line in labels), default=0)
    x_scale = _x_scale(lines, right)
    start = x_scale.low + skip_start * (x_scale.high - x_scale.low)
    points = [point for line in lines for point in line.points]
    values = [y for x, y in points if x >= start] or [y for _, y in points]
    values += [level.y for level in levels]
    y_scale = _y_scale(values, from_zero, percent)
    if y_scale.low > 0:
        starts = f"axis starts at {write_y(y_scale.low)}"
        y_label = f"{y_label}; {starts}" if y_label else starts
    parts = [
        *_axes(x_scale, y_scale, x_label, write_x, write_y, whole_x),
        *(_level(level, x_scale, y_scale) for level in levels),
        # A nested frame clips the curves at the top.
        f'<svg y="{TOP}" width="{WIDTH}" height="{HEIGHT - TOP}" '
        f'viewBox="0 {TOP} {WIDTH} {HEIGHT - TOP}">',
        *(_curve(line, x_scale, y_scale) for line in lines),
        "</svg>",
        *(_level_name(level, lines, x_scale, y_scale) for level in levels),
        *_end_labels(labels, x_scale, y_scale),
    ]
    attributes = (
        f' data-x="{x_scale.low:.8g} {x_scale.high:.8g} {x_scale.start:g} {x_scale.end:g}" '
        f'data-y="{y_scale.low:.8g} {y_scale.high:.8g} {y_scale.start:g} {y_scale.end:g}" '
        f'data-unit="{escape(x_label)}"{" data-percent" if percent else ""}'
    )
    in_words = _in_words(lines, x_label, write_y)
    return chart(title, y_label, HEIGHT, "".join(parts), in_words=in_words, attributes=attributes)


def _y_scale(values: list[float], from_zero: bool, percent: bool) -> Scale:
    """A scale from tick to tick, from 0 where that leaves the curves half of the height.

    Small differences are not enlarged to the full height: the axis is no shorter than a tenth of
    the largest value, or of 1 for shares, and an axis of shares stays between 0 and 1.
    """
    low, high = min(values), max(values)
    middle, least = (low + high) / 2, 0.05 * (1.0 if percent else max(abs(low), abs(high)))
    values = [*values, middle - least, middle + least]
    from_zero = from_zero or 0 <= low < high / 2
    scale = scale_around(values, HEIGHT - BOTTOM, TOP, from_zero=from_zero)
    if percent:
        scale = replace(scale, low=max(0.0, scale.low), high=min(1.0, scale.high))
    return rounded_out(scale, _Y_TICKS)


def _in_words(lines: Sequence[Line], x_label: str, write_y: Write) -> str:
    """The curves in words, for readers who cannot see them."""
    said = []
    for line in lines:
        y = [value for _, value in line.points]
        name = f"{line.label}: " if line.label else ""
        said.append(
            f"{name}from {write_y(y[0])} to {write_y(y[-1])}, "
            f"lowest {write_y(min(y))}, highest {write_y(max(y))}"
        )
    return f"By {x_label}. {'; '.join(said)}."


def downsampled(line: Line) -> Line:
    """The line with at most 240 points, each a mean of neighbours; the last point is unchanged."""
    if len(line.x) <= _MAX_POINTS or line.steps:
        return line
    size = math.ceil((len(line.x) - 1) / (_MAX_POINTS - 1))
    starts = range(0, len(line.x) - 1, size)
    groups = [slice(start, min(start + size, len(line.x) - 1)) for start in starts]
    x = [_mean(line.x[group]) for group in groups] + [line.x[-1]]
    y = [_mean(line.y[group]) for group in groups] + [line.y[-1]]
    return replace(line, x=x, y=y)


def smoothed(values: Sequence[float]) -> list[float]:
    """A moving mean over about a thirtieth of the values, without those that are not finite."""
    reach = len(values) // 60
    result = []
    for index in range(len(values)):
        # The window is narrower at the start, where a loss falls steeply and a mean would lag.
        half = min(reach, index)
        window = [v for v in values[index - half : index + half + 1] if math.isfinite(v)]
        result.append(_mean(window) if window else math.nan)
    return result


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _x_scale(lines: Sequence[Line], right: float) -> Scale:
    values = [x for line in lines for x in line.x]
    low, high = min(values), max(values)
    # The axis starts at 0, unless the first value is far from it.
    low = 0.0 if 0 <= low < 0.3 * high or 0 < low == high else low
    if high - low < 1e-9 * max(1.0, abs(low), abs(high)):
        low, high = low - 0.5, high + 0.5
    return Scale(low, high, LEFT, WIDTH - right)


def _axes(
    x_scale: Scale, y_scale: Scale, x_label: str, write_x: Write, write_y: Write, whole_x: bool
) -> list[str]:
    left, right, base = x_scale.start, x_scale.end, y_scale.start
    parts = [draw_line("axis", left, right, base, base)]
    for x, text in x_scale.ticks(5, write_x, whole=whole_x):
        parts.append(draw_line("axis", x, x, base, base + 4))
        parts.append(draw_text("tick", x, base + 17, text))
    parts.append(draw_text("tick", f"{(left + right) / 2:.0f}", HEIGHT - 6, x_label))
    for y, text in y_scale.ticks(_Y_TICKS, write_y):
        parts.append(draw_line("grid", left, right, y, y))
        parts.append(draw_text("tick side", left - 7, y, text))
    return parts


def _level(level: Level, x_scale: Scale, y_scale: Scale) -> str:
    y = f"{y_scale(level.y):.1f}"
    return draw_line("level", x_scale.start, x_scale.end, y, y)


def _level_name(level: Level, lines: Sequence[Line], x_scale: Scale, y_scale: Scale) -> str:
    level_y = y_scale(level.y)
    # The name is at the right end, above or below the level, where fewer points are in the way.
    near = [
        y_scale(y) - level_y
        for line in lines
        for x, y in line.points
        if x_scale(x) > x_scale.end - text_width(level.label) - 10
    ]
    above = sum(-18 < distance < 0 for distance in near)
    below = sum(0 < distance < 18 for distance in near)
    has_room = level_y > TOP + 14
    text_y = level_y - 5 if has_room and above <= below else level_y + 13
    return draw_text("level", x_scale.end - 4, f"{text_y:.1f}", level.label)


def _curve(line: Line, x_scale: Scale, y_scale: Scale) -> str:
    commands: list[str] = []
    move = "M"
    previous = 0.0
    for x, y in zip(line.x, line.y, strict=True):
        if not math.isfinite(y):
            move = "M"
            continue
        # A point outside the frame is drawn far enough outside to keep the line's slope.
        pixel_x, pixel_y = x_scale(x), max(-999.0, min(999.0, y_scale(y)))
        if line.steps and move == "L":
            commands.append(f"L{pixel_x:.2f},{previous:.2f}")
        commands.append(f"{move}{pixel_x:.2f},{pixel_y:.2f}")
        move, previous = "L", pixel_y
    dots = ""
    if len(commands) <= 12 and line.style == "strong" and not line.steps:
        # A few points are single measurements worth seeing, and one point alone has no line.
        points = [command[1:].split(",") for command in commands]
        dots = "".join(
            f'<circle class="dot s{line.colour}" cx="{x}" cy="{y}" r="3"/>' for x, y in points
        )
    return (
        f'<path class="line {line.style} s{line.colour}" d="{"".join(commands)}" '
        f'data-label="{escape(line.label)}"><title>{escape(line.label)}</title></path>{dots}'
    )


def _end_labels(lines: Sequence[Line], x_scale: Scale, y_scale: Scale) -> list[str]:
    """Each line's name at its last point; names that would overlap are moved apart."""
    ends = []
    for line in lines:
        x, y = line.points[-1]
        ends.append((min(max(y_scale(y), TOP + 6), y_scale.start - 4), x_scale(x), line))
    ends.sort(key=lambda end: end[0])
    heights: list[float] = []
    for y, _, _ in ends:
        heights.append(max(y, heights[-1] + LABEL_HEIGHT) if heights else y)
    # Names pushed below the frame push the others up again.
    floor = y_scale.start - 4
    for index in reversed(range(len(heights))):
        heights[index] = min(heights[index], floor)
        floor = heights[index] - LABEL_HEIGHT
    return [
        draw_text(
            f"end s{line.colour}",
            f"{min(x, x_scale.end) + 7:.1f}",
            f"{y:.1f}",
            fitted(line.label, _WIDEST_LABEL),
        )
        for (_, x, line), y in zip(ends, heights, strict=True)
    ]
