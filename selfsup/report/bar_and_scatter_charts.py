"""Bar charts with error bars, and a scatter chart of predicted against given values: inline SVG."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from selfsup.report.axes import Scale, fitted, scale_around, text_width, tick_labels
from selfsup.report.markup import caption, figure

BARS_WIDTH, ROW, BAR, BARS_TOP, BARS_BOTTOM = 460, 44, 20, 8, 34
_WIDEST_NAME = 182.0
SCATTER_WIDTH, HEIGHT = 460, 420
LEFT, SCATTER_TOP, RIGHT, SCATTER_BOTTOM = 56, 12, 14, 40
_MAX_POINTS = 2000  # a page with more would be slow; they are thinned out evenly


@dataclass(frozen=True)
class Bar:
    """One bar: the mean over runs and, where there are several, their standard deviation."""

    label: str
    mean: float
    std: float | None = None
    colour: int = 1


def bar_chart(
    title: str,
    bars: Sequence[Bar],
    *,
    unit: str,
    write: Callable[[float], str],
    write_tick: Callable[[float], str] | None = None,
) -> str:
    """A figure with one bar per row, from 0, with its value at its end.

    write: formats the value at a bar's end.
    write_tick: formats the axis labels; if not given, as `write`.
    """
    bars = [bar for bar in bars if math.isfinite(bar.mean)]
    if not bars:
        return ""
    height = BARS_TOP + ROW * len(bars) + BARS_BOTTOM
    left = 14 + max(text_width(_name(bar)) for bar in bars)
    right = 16 + max(text_width(_value(bar, write)) for bar in bars)
    reach = [bar.mean + (bar.std or 0) for bar in bars]
    lowest = min(0.0, *(bar.mean - (bar.std or 0) for bar in bars))
    highest = max(0.0, *reach) * 1.02 or (0.0 if lowest < 0 else 1.0)
    scale = Scale(lowest, highest, left, BARS_WIDTH - right)
    base = height - BARS_BOTTOM
    parts = []
    ticks = scale.ticks(4)
    for tick, text in zip(ticks, tick_labels(ticks, write_tick or write), strict=True):
        x = f"{scale(tick):.1f}"
        parts.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{BARS_TOP}" y2="{base}"/>')
        parts.append(f'<text class="tick" x="{x}" y="{base + 17}">{escape(text)}</text>')
    parts += [_row(bar, BARS_TOP + ROW * (row + 0.5), scale, write) for row, bar in enumerate(bars)]
    zero = f"{scale(0.0):.1f}"
    in_words = "; ".join(f"{bar.label}: {_value(bar, write)}" for bar in bars)
    parts.append(f'<line class="axis" x1="{zero}" x2="{zero}" y1="{BARS_TOP}" y2="{base}"/>')
    return (
        f'<figure><figcaption><b>{escape(title)}</b> <span class="unit">{escape(unit)}</span>'
        f'</figcaption><svg viewBox="0 0 {BARS_WIDTH} {height}" role="img" '
        f'aria-label="{escape(title)}"><desc>{escape(in_words)}</desc>{"".join(parts)}</svg></figure>'
    )


def _row(bar: Bar, middle: float, scale: Scale, write: Callable[[float], str]) -> str:
    zero, end = scale(0.0), scale(bar.mean)
    parts = [
        f'<text class="name" x="{scale.start - 10:.1f}" y="{middle:.1f}">'
        f"{escape(_name(bar))}</text>",
        f'<rect class="bar s{bar.colour}" x="{min(zero, end):.1f}" y="{middle - BAR / 2:.1f}" '
        f'width="{abs(end - zero):.1f}" height="{BAR}" rx="2">'
        f"<title>{escape(bar.label)}: {escape(_value(bar, write))}</title></rect>",
    ]
    outermost = end
    if bar.std:
        low, high = scale(bar.mean - bar.std), scale(bar.mean + bar.std)
        outermost = max(high, end)
        parts.append(
            f'<path class="error" d="M{low:.1f},{middle:.1f}H{high:.1f}'
            f'M{low:.1f},{middle - 5:.1f}v10M{high:.1f},{middle - 5:.1f}v10"/>'
        )
    parts.append(
        f'<text class="value" x="{outermost + 8:.1f}" y="{middle:.1f}">'
        f"{escape(_value(bar, write))}</text>"
    )
    return "".join(parts)


def _name(bar: Bar) -> str:
    return fitted(bar.label, _WIDEST_NAME)


def _value(bar: Bar, write: Callable[[float], str]) -> str:
    return write(bar.mean) if bar.std is None else f"{write(bar.mean)} ± {write(bar.std)}"


def scatter_chart(points: Sequence[tuple[float, float]]) -> str:
    """A figure with a dot for each (given, predicted) value, and the line where both are equal.

    Both axes have the same scale. Returns an empty string if there is no point.
    """
    if not points:
        return ""
    points = points[:: -(-len(points) // _MAX_POINTS)]
    ends = [value for point in points for value in point]
    x_scale = scale_around(ends, LEFT, SCATTER_WIDTH - RIGHT)
    y_scale = scale_around(ends, HEIGHT - SCATTER_BOTTOM, SCATTER_TOP)
    ticks = x_scale.ticks(5)
    labels = tick_labels(ticks, "{:.6g}".format)
    parts = []
    for tick, text in zip(ticks, labels, strict=True):
        x, y = f"{x_scale(tick):.1f}", f"{y_scale(tick):.1f}"
        parts += [
            f'<line class="grid" x1="{x}" x2="{x}" y1="{SCATTER_TOP}" '
            f'y2="{HEIGHT - SCATTER_BOTTOM}"/>',
            f'<line class="grid" x1="{LEFT}" x2="{SCATTER_WIDTH - RIGHT}" y1="{y}" y2="{y}"/>',
            f'<text class="tick" x="{x}" y="{HEIGHT - SCATTER_BOTTOM + 17}">{escape(text)}</text>',
            f'<text class="tick side" x="{LEFT - 7}" y="{y}">{escape(text)}</text>',
        ]
    parts += [
        f'<line class="level" x1="{x_scale.start}" x2="{x_scale.end}" y1="{y_scale.start}" '
        f'y2="{y_scale.end}"/>',
        f'<text class="tick" x="{(LEFT + SCATTER_WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 6}">'
        "given</text>",
    ]
    parts += [
        f'<circle class="point s1" cx="{x_scale(x):.1f}" cy="{y_scale(y):.1f}" r="3.5">'
        f"<title>given {x:.4g}, predicted {y:.4g}</title></circle>"
        for x, y in points
    ]
    return figure(
        caption("Predicted against given", "up: predicted; on the dashed line both are the same"),
        f'<svg viewBox="0 0 {SCATTER_WIDTH} {HEIGHT}" role="img" '
        f'aria-label="Predicted against given">{"".join(parts)}</svg>',
    )
