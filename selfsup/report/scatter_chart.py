"""Predicted against given numbers, as inline SVG."""

from collections.abc import Sequence
from html import escape

from selfsup.report.markup import caption, figure
from selfsup.report.scale import around, tick_labels

WIDTH, HEIGHT = 460, 420
LEFT, TOP, RIGHT, BOTTOM = 56, 12, 14, 40
# More points than these are thinned out evenly: a page of them all would be slow.
_MOST = 2000


def scatter_chart(
    title: str, points: Sequence[tuple[float, float]], *, x_label: str, y_label: str
) -> str:
    """A figure with a dot for each (x, y), and the line on which both are the same.

    Both axes have one scale; nothing where there is no point.
    """
    if not points:
        return ""
    points = points[:: -(-len(points) // _MOST)]
    ends = [value for point in points for value in point]
    x_scale = around(ends, LEFT, WIDTH - RIGHT)
    y_scale = around(ends, HEIGHT - BOTTOM, TOP)
    ticks = x_scale.ticks(5)
    labels = tick_labels(ticks, "{:.6g}".format)
    parts = []
    for tick, text in zip(ticks, labels, strict=True):
        x, y = f"{x_scale(tick):.1f}", f"{y_scale(tick):.1f}"
        parts += [
            f'<line class="grid" x1="{x}" x2="{x}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>',
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>',
            f'<text class="tick" x="{x}" y="{HEIGHT - BOTTOM + 17}">{escape(text)}</text>',
            f'<text class="tick side" x="{LEFT - 7}" y="{y}">{escape(text)}</text>',
        ]
    parts += [
        f'<line class="level" x1="{x_scale.start}" x2="{x_scale.end}" y1="{y_scale.start}" '
        f'y2="{y_scale.end}"/>',
        f'<text class="tick" x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 6}">'
        f"{escape(x_label)}</text>",
    ]
    parts += [
        f'<circle class="point s1" cx="{x_scale(x):.1f}" cy="{y_scale(y):.1f}" r="3.5">'
        f"<title>{escape(x_label)} {x:.4g}, {escape(y_label)} {y:.4g}</title></circle>"
        for x, y in points
    ]
    return figure(
        caption(title, f"up: {y_label}; on the dashed line both are the same"),
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>",
    )
