"""Line charts as inline SVG, which take their colours from the page (`page.css`)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Literal

from selfsup.report import formatting
from selfsup.report.axes import Scale, around, tick_labels

WIDTH, HEIGHT = 460, 270
LEFT, TOP, BOTTOM = 50, 12, 40
LABEL_HEIGHT = 15
_WIDEST_LABEL = 119.0


@dataclass(frozen=True)
class Line:
    """One curve. Values that are not finite leave a gap."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    colour: int = 1
    """Which of the page's series colours, from 1."""
    style: Literal["strong", "faint", "dashed"] = "strong"
    steps: bool = False
    """Hold each value until the next one, instead of a straight line to it."""


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
    y_label: str,
    write_x: Callable[[float], str],
    write_y: Callable[[float], str] = "{:.4g}".format,
    percent: bool = False,
    levels: Sequence[Level] = (),
    from_zero: bool = False,
    whole_x: bool = False,
    skip_start: float = 0.0,
) -> str:
    """A figure with its caption, or nothing where no line has a point.

    write_x, write_y: a value as text, at the ticks.
    percent: the values are shares, to write in per cent (in place of `write_y`).
    from_zero: let the vertical axis start at 0.
    whole_x: ticks of the horizontal axis at whole numbers only, as of epochs.
    skip_start: the share of the horizontal axis, from its start, whose values may run out of the
        frame, so that the first steep fall of a loss does not flatten all that follows.
    """
    write_y = formatting.round_percent if percent else write_y
    lines = [thinned(line) for line in lines]
    lines = [line for line in lines if any(map(math.isfinite, line.y))]
    if not lines:
        return ""
    labels = [line for line in lines if line.label and line.style != "faint"]
    right = 16 + max((text_width(_short(line.label)) for line in labels), default=0)
    x_scale = _x_scale(lines, right)
    y_scale = _y_scale(lines, levels, x_scale, skip_start, from_zero)
    if percent:  # no share is below 0 or above 1, and neither is its axis
        y_scale = replace(y_scale, low=max(0.0, y_scale.low), high=min(1.0, y_scale.high))
    parts = [
        *_horizontal_axis(x_scale, y_scale, x_label, write_x, whole_x),
        *_vertical_axis(x_scale, y_scale, write_y),
        *(_level(level, x_scale, y_scale) for level in levels),
        # What runs out of the frame is cut off at its top.
        f'<svg y="{TOP}" width="{WIDTH}" height="{HEIGHT - TOP}" '
        f'viewBox="0 {TOP} {WIDTH} {HEIGHT - TOP}">',
        *(_curve(line, x_scale, y_scale) for line in lines),
        "</svg>",
        *(_level_name(level, lines, x_scale, y_scale) for level in levels),
        *_end_labels(labels, x_scale, y_scale),
    ]
    frame = (
        f'data-x="{x_scale.low:.8g} {x_scale.high:.8g} {x_scale.start:g} {x_scale.end:g}" '
        f'data-y="{y_scale.low:.8g} {y_scale.high:.8g} {y_scale.start:g} {y_scale.end:g}"'
    )
    percent_mark = " data-percent" if percent else ""
    return (
        f'<figure><figcaption><b>{escape(title)}</b> <span class="unit">{escape(y_label)}</span>'
        f'</figcaption><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}" {frame} data-unit="{escape(x_label)}"{percent_mark}>'
        f"<desc>{escape(_in_words(lines, x_label, write_y))}</desc>{''.join(parts)}</svg></figure>"
    )


def _in_words(lines: Sequence[Line], x_label: str, write_y: Callable[[float], str]) -> str:
    """What the curves show, for those who cannot see them."""
    said = []
    for line in lines:
        y = [value for value in line.y if math.isfinite(value)]
        name = f"{line.label}: " if line.label else ""
        said.append(
            f"{name}from {write_y(y[0])} to {write_y(y[-1])}, "
            f"lowest {write_y(min(y))}, highest {write_y(max(y))}"
        )
    return f"By {x_label}. {'; '.join(said)}."


def thinned(line: Line, most: int = 240) -> Line:
    """The line with at most so many points, each the mean of its neighbours; the last as it is."""
    if len(line.x) <= most or line.steps:
        return line
    size = math.ceil((len(line.x) - 1) / (most - 1))
    starts = range(0, len(line.x) - 1, size)
    groups = [slice(start, min(start + size, len(line.x) - 1)) for start in starts]
    x = [_mean(line.x[group]) for group in groups] + [line.x[-1]]
    y = [_mean(line.y[group]) for group in groups] + [line.y[-1]]
    return Line(line.label, x, y, line.colour, line.style, line.steps)


def smoothed(values: Sequence[float]) -> list[float]:
    """Each value's mean with its neighbours, about a thirtieth of all."""
    reach = len(values) // 60
    result = []
    for place in range(len(values)):
        # Fewer at the start, where a loss falls steeply and a mean would lag behind it.
        near = min(reach, place)
        window = [v for v in values[place - near : place + near + 1] if math.isfinite(v)]
        result.append(_mean(window) if window else math.nan)
    return result


def text_width(text: str) -> float:
    """About how wide a label is, in the chart's units (wide characters count double)."""
    return 7.0 * sum(2 if ord(character) > 0x10FF else 1 for character in text)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def shortened(text: str, most: float) -> str:
    """The text, without its middle if it is wider than ``most``: runs often differ at the end."""
    kept = len(text)
    short = text
    while text_width(short) > most and kept > 1:
        kept -= 1
        short = f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}"
    return short


def _short(label: str) -> str:
    return shortened(label, _WIDEST_LABEL)


def _x_scale(lines: Sequence[Line], right: float) -> Scale:
    values = [x for line in lines for x in line.x]
    low, high = min(values), max(values)
    # A run's axis starts where the run does: at nothing seen, unless it is far from there.
    low = 0.0 if 0 <= low < 0.3 * high or 0 < low == high else low
    if high - low < 1e-9 * max(1.0, abs(low), abs(high)):
        low, high = low - 0.5, high + 0.5
    return Scale(low, high, LEFT, WIDTH - right)


def _y_scale(
    lines: Sequence[Line],
    levels: Sequence[Level],
    x_scale: Scale,
    skip_start: float,
    from_zero: bool,
) -> Scale:
    start = x_scale.low + skip_start * (x_scale.high - x_scale.low)
    points = [(x, y) for line in lines for x, y in zip(line.x, line.y, strict=True)]
    values = [y for x, y in points if math.isfinite(y) and x >= start]
    values = values or [y for _, y in points if math.isfinite(y)]
    values += [level.y for level in levels]
    return around(values, HEIGHT - BOTTOM, TOP, from_zero=from_zero)


def _horizontal_axis(
    x_scale: Scale, y_scale: Scale, label: str, write: Callable[[float], str], whole: bool
) -> list[str]:
    base = y_scale.start
    ticks = x_scale.ticks(5, whole=whole)
    parts = [
        f'<line class="axis" x1="{x_scale.start}" x2="{x_scale.end}" y1="{base}" y2="{base}"/>'
    ]
    for tick, text in zip(ticks, tick_labels(ticks, write), strict=True):
        place = f"{x_scale(tick):.1f}"
        parts.append(f'<line class="axis" x1="{place}" x2="{place}" y1="{base}" y2="{base + 4}"/>')
        parts.append(f'<text class="tick" x="{place}" y="{base + 17}">{escape(text)}</text>')
    middle = (x_scale.start + x_scale.end) / 2
    parts.append(f'<text class="tick" x="{middle:.0f}" y="{HEIGHT - 6}">{escape(label)}</text>')
    return parts


def _vertical_axis(x_scale: Scale, y_scale: Scale, write: Callable[[float], str]) -> list[str]:
    parts = []
    ticks = y_scale.ticks(5)
    for tick, text in zip(ticks, tick_labels(ticks, write), strict=True):
        place = f"{y_scale(tick):.1f}"
        parts.append(
            f'<line class="grid" x1="{x_scale.start}" x2="{x_scale.end}" '
            f'y1="{place}" y2="{place}"/>'
        )
        parts.append(
            f'<text class="tick side" x="{x_scale.start - 7}" y="{place}">{escape(text)}</text>'
        )
    return parts


def _level(level: Level, x_scale: Scale, y_scale: Scale) -> str:
    place = f"{y_scale(level.y):.1f}"
    return (
        f'<line class="level" x1="{x_scale.start}" x2="{x_scale.end}" y1="{place}" y2="{place}"/>'
    )


def _level_name(level: Level, lines: Sequence[Line], x_scale: Scale, y_scale: Scale) -> str:
    place = y_scale(level.y)
    # Its name stands at the right, on the side of it where fewer points are in the way.
    near = [
        y_scale(y) - place
        for line in lines
        for x, y in zip(line.x, line.y, strict=True)
        if math.isfinite(y) and x_scale(x) > x_scale.end - text_width(level.label) - 10
    ]
    above = sum(-18 < distance < 0 for distance in near)
    below = sum(0 < distance < 18 for distance in near)
    has_room = place > TOP + 14
    text_place = place - 5 if has_room and above <= below else place + 13
    return (
        f'<text class="level" x="{x_scale.end - 4}" y="{text_place:.1f}">'
        f"{escape(level.label)}</text>"
    )


def _curve(line: Line, x_scale: Scale, y_scale: Scale) -> str:
    commands: list[str] = []
    move = "M"
    previous = 0.0
    for x, y in zip(line.x, line.y, strict=True):
        if not math.isfinite(y):
            move = "M"
            continue
        # Past the frame's edge a point is drawn far enough outside to leave at the right angle.
        across, down = x_scale(x), max(-999.0, min(999.0, y_scale(y)))
        if line.steps and move == "L":
            commands.append(f"L{across:.2f},{previous:.2f}")
        commands.append(f"{move}{across:.2f},{down:.2f}")
        move, previous = "L", down
    dots = ""
    if len(commands) <= 12 and line.style == "strong" and not line.steps:
        # So few points are measurements a person may want to see, and one alone has no line.
        places = [command[1:].split(",") for command in commands]
        dots = "".join(
            f'<circle class="dot s{line.colour}" cx="{x}" cy="{y}" r="3"/>' for x, y in places
        )
    return (
        f'<path class="line {line.style} s{line.colour}" d="{"".join(commands)}" '
        f'data-label="{escape(line.label)}"><title>{escape(line.label)}</title></path>{dots}'
    )


def _end_labels(lines: Sequence[Line], x_scale: Scale, y_scale: Scale) -> list[str]:
    """Each line's name at its last point, moved apart where two would stand on each other."""
    ends = []
    for line in lines:
        x, y = [(x, y) for x, y in zip(line.x, line.y, strict=True) if math.isfinite(y)][-1]
        ends.append((min(max(y_scale(y), TOP + 6), y_scale.start - 4), x_scale(x), line))
    ends.sort(key=lambda end: end[0])
    places: list[float] = []
    for place, _, _ in ends:
        places.append(max(place, places[-1] + LABEL_HEIGHT) if places else place)
    # What was pushed below the frame pushes the others up again.
    floor = y_scale.start - 4
    for index in reversed(range(len(places))):
        places[index] = min(places[index], floor)
        floor = places[index] - LABEL_HEIGHT
    return [
        f'<text class="end s{line.colour}" x="{min(x, x_scale.end) + 7:.1f}" y="{place:.1f}">'
        f"{escape(_short(line.label))}</text>"
        for (_, x, line), place in zip(ends, places, strict=True)
    ]
