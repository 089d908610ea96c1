"""Charts as inline SVG: axes and labels for all, bar charts, and a scatter chart.

The page's style sheet (``page.css``) gives them their colours.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html import escape

WIDTH = 460
_ROW, _BAR, _BARS_TOP, _BARS_BOTTOM = 44, 20, 8, 34
_WIDEST_NAME = 182.0
_HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 420, 56, 12, 14, 40
_TICK_WIDTH = 64  # of a tick's text and the room around it
_MAX_POINTS = 2000  # a page with more would be slow; they are thinned out evenly

Write = Callable[[float], str]


@dataclass(frozen=True)
class Scale:
    """A linear map from values `low`…`high` to pixels `start`…`end`, with ticks a `step` apart."""

    low: float
    high: float
    start: float
    end: float
    step: float | None = None

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, about: int, write: Write, *, whole: bool = False) -> list[tuple[str, str]]:
        """(pixel, text) of round values within the scale, about this many if it has no step.

        whole: only whole numbers.
        """
        step = self.step or round_step((self.high - self.low) / about)
        step = math.ceil(step) if whole else step
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        values = [number * step for number in range(first, last + 1)]
        # -0 and rounding errors near 0 are written as 0.
        return [(f"{self(v):.1f}", write(v + 0.0 if abs(v) > 1e-12 else 0.0)) for v in values]


def round_step(rough: float) -> float:
    """The nearest to `rough`, by ratio, of 1, 2, 2.5, 5 × 10ⁿ."""
    power = 10.0 ** math.floor(math.log10(rough))
    return min(
        (step * power for step in (1, 2, 2.5, 5, 10)), key=lambda step: abs(math.log(step / rough))
    )


def scale_around(
    values: list[float], start: float, end: float, *, from_zero: bool = False
) -> Scale:
    """A scale that holds all values, with a margin around them.

    from_zero: include 0, without a margin where 0 is at an end.
    """
    low, high = min(values), max(values)
    if from_zero:
        low, high = min(0.0, low), max(0.0, high)
    margin = 0.06 * (high - low)
    if high - low < 1e-9 * max(1.0, abs(low), abs(high)):
        margin = 0.1 * max(abs(low), abs(high)) or 1.0
    keeps_low, keeps_high = from_zero and low == 0, from_zero and high == 0 and low < 0
    return Scale(
        low if keeps_low else low - margin, high if keeps_high else high + margin, start, end
    )


def rounded_out(scale: Scale, about: int) -> Scale:
    """The scale, extended so that both ends are among its ticks."""
    step = round_step((scale.high - scale.low) / about)
    low = step * math.floor(scale.low / step + 1e-9)
    high = step * math.ceil(scale.high / step - 1e-9)
    return replace(scale, low=low, high=high, step=step)


def text_width(text: str) -> float:
    """An estimate of a label's width in the chart's units; wide characters count double."""
    return 7.0 * sum(2 if ord(character) > 0x10FF else 1 for character in text)


def fitted(label: str, width: float) -> str:
    """The label, cut in the middle to fit this width, as runs' names often differ at their ends."""
    kept = len(label)
    short = label
    while text_width(short) > width and kept > 1:
        kept -= 1
        short = f"{label[: (kept + 1) // 2]}…{label[len(label) - kept // 2 :]}"
    return short


def draw_text(kind: str, x: object, y: object, text: str) -> str:
    """A text of a class of the style sheet."""
    return f'<text class="{kind}" x="{x}" y="{y}">{escape(text)}</text>'


def draw_line(kind: str, x1: object, x2: object, y1: object, y2: object) -> str:
    """A line of a class of the style sheet."""
    return f'<line class="{kind}" x1="{x1}" x2="{x2}" y1="{y1}" y2="{y2}"/>'


def chart(
    title: str, unit: str, height: int, parts: str, *, in_words: str = "", attributes: str = ""
) -> str:
    """A figure with its caption; in_words: for readers who cannot see it."""
    words = f"<desc>{escape(in_words)}</desc>" if in_words else ""
    return (
        f'<figure><figcaption><b>{escape(title)}</b> <span class="unit">{escape(unit)}</span>'
        f'</figcaption><svg viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(title)}"{attributes}>{words}{parts}</svg></figure>'
    )


@dataclass(frozen=True)
class Bar:
    """One bar: the mean over runs and, where there are several, their standard deviation."""

    label: str
    mean: float
    std: float | None = None
    colour: int = 1

    @property
    def name(self) -> str:
        """The label as far as there is room for it."""
        return fitted(self.label, _WIDEST_NAME)

    def value(self, write: Write) -> str:
        """The mean and the standard deviation as text."""
        return write(self.mean) if self.std is None else f"{write(self.mean)} ± {write(self.std)}"


def bar_chart(
    title: str, bars: Sequence[Bar], *, unit: str, write: Write, write_tick: Write | None = None
) -> str:
    """A figure with one bar per row, from 0, with its value at its end.

    The axis reaches from a tick to a tick, and every bar ends between them.

    write: formats the value at a bar's end.
    write_tick: formats the axis labels; if not given, as `write`.
    """
    bars = [bar for bar in bars if math.isfinite(bar.mean)]
    if not bars:
        return ""
    left = 14 + max(text_width(bar.name) for bar in bars)
    right = 16 + max(text_width(bar.value(write)) for bar in bars)
    lowest, highest = (end(0.0, *(bar.mean for bar in bars)) for end in (min, max))
    if lowest == highest:
        highest = 1.0
    about = max(1, round((WIDTH - right - left) / _TICK_WIDTH))
    scale = rounded_out(Scale(lowest, highest, left, WIDTH - right), about)
    low = min(scale.low, *(bar.mean - (bar.std or 0) for bar in bars))
    high = max(scale.high, *(bar.mean + (bar.std or 0) for bar in bars))
    scale = replace(scale, low=low, high=high)  # deviations may reach beyond the last tick
    base = _BARS_TOP + _ROW * len(bars)
    parts = []
    for x, text in scale.ticks(about, write_tick or write):
        parts.append(draw_line("grid", x, x, _BARS_TOP, base))
        parts.append(draw_text("tick", x, base + 17, text))
    for row, bar in enumerate(bars):
        parts.append(_row(bar, _BARS_TOP + _ROW * (row + 0.5), scale, bar.value(write)))
    zero = f"{scale(0.0):.1f}"
    parts.append(draw_line("axis", zero, zero, _BARS_TOP, base))
    in_words = "; ".join(f"{bar.label}: {bar.value(write)}" for bar in bars)
    return chart(title, unit, base + _BARS_BOTTOM, "".join(parts), in_words=in_words)


def _row(bar: Bar, middle: float, scale: Scale, value: str) -> str:
    zero, end = scale(0.0), scale(bar.mean)
    parts = [
        draw_text("name", f"{scale.start - 10:.1f}", f"{middle:.1f}", bar.name),
        f'<rect class="bar s{bar.colour}" x="{min(zero, end):.1f}" y="{middle - _BAR / 2:.1f}" '
        f'width="{abs(end - zero):.1f}" height="{_BAR}" rx="2">'
        f"<title>{escape(bar.label)}: {escape(value)}</title></rect>",
    ]
    outermost = end
    if bar.std:
        low, high = scale(bar.mean - bar.std), scale(bar.mean + bar.std)
        outermost = max(high, end)
        parts.append(
            f'<path class="error" d="M{low:.1f},{middle:.1f}H{high:.1f}'
            f'M{low:.1f},{middle - 5:.1f}v10M{high:.1f},{middle - 5:.1f}v10"/>'
        )
    parts.append(draw_text("value", f"{outermost + 8:.1f}", f"{middle:.1f}", value))
    return "".join(parts)


def scatter_chart(points: Sequence[tuple[float, float]]) -> str:
    """A figure with a dot for each (given, predicted) value, and the line where both are equal.

    Both axes have the same scale. Returns an empty string if there is no point.
    """
    if not points:
        return ""
    points = points[:: -(-len(points) // _MAX_POINTS)]
    ends = [value for point in points for value in point]
    right, bottom = WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    x_scale, y_scale = scale_around(ends, _LEFT, right), scale_around(ends, bottom, _TOP)
    write = "{:.6g}".format
    parts = []
    for (x, text), (y, _) in zip(x_scale.ticks(5, write), y_scale.ticks(5, write), strict=True):
        parts += [
            draw_line("grid", x, x, _TOP, bottom),
            draw_line("grid", _LEFT, right, y, y),
            draw_text("tick", x, bottom + 17, text),
            draw_text("tick side", _LEFT - 7, y, text),
        ]
    parts.append(draw_line("level", _LEFT, right, bottom, _TOP))
    parts.append(draw_text("tick", f"{(_LEFT + right) / 2:.0f}", _HEIGHT - 6, "given"))
    parts += [
        f'<circle class="point s1" cx="{x_scale(x):.1f}" cy="{y_scale(y):.1f}" r="3.5">'
        f"<title>given {x:.4g}, predicted {y:.4g}</title></circle>"
        for x, y in points
    ]
    about = "up: predicted; on the dashed line both are the same"
    return chart("Predicted against given", about, _HEIGHT, "".join(parts))
