"""Numbers as a person reads them."""

import base64
import io
import math
from html import escape
from pathlib import Path
from typing import NamedTuple, TypeGuard

from PIL import Image

from selfsup.images.decoding import BadImage, ResizeShorterSide, decode


def count(value: float) -> str:
    """1234567 → `1.23M`; 950 → `950`."""
    for size, suffix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size * 0.9995:
            return f"{value / size:.3g}{suffix}"
    return f"{value:.4g}"


def whole(value: float) -> str:
    """1234567.8 → `1,234,568`."""
    return f"{value:,.0f}"


def percent(value: float, digits: int = 1) -> str:
    """0.1234 → `12.3 %`, which does not break over two lines."""
    return f"{100 * value:.{digits}f}\u00a0%"


def round_percent(value: float) -> str:
    """A share at a tick of an axis: 0.25 → `25 %`, 0.125 → `12.5 %`."""
    return f"{round(100 * value, 4):g}\u00a0%"


def duration(seconds: float) -> str:
    """8130 → `2:15 h`; 75 → `1:15 min`; 4.2 → `4.2 s`."""
    if seconds < 10:
        return f"{seconds:.1f}\u00a0s"
    total = round(seconds)
    if total >= 3600:
        return f"{total // 3600}:{total // 60 % 60:02}\u00a0h"
    return f"{total // 60}:{total % 60:02}\u00a0min" if total >= 60 else f"{total}\u00a0s"


def scientific(value: float) -> str:
    """0.00075 → `7.5e-4`, as learning rates are written; 0 → `0`."""
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def setting(value: object) -> str:
    """A setting's value as it stands in YAML, lists with spaces."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return " ".join(str(entry) for entry in value)
    return str(value)


def is_number(value: object) -> TypeGuard[float]:
    """Whether the value is a finite number (a loss that diverged is none)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


# Texts as a table has room for them.


_LONGEST = 240
_AROUND = 100


class Passage(NamedTuple):
    """A text, or a part of one.

    Attributes:
        before: what comes before the marked part, or all of it.
        marked: the part in question, if there is one.
        after: what follows.
    """

    before: str
    marked: str = ""
    after: str = ""


def shortened_passage(text: str, longest: int = _LONGEST) -> str:
    """The text in one line of at most so many characters: its beginning and its end."""
    words = " ".join(text.split())
    if len(words) <= longest:
        return words
    end = longest // 3
    return f"{words[: longest - end - 3].rstrip()} … {words[-end:].lstrip()}"


def whole_passage(text: str, longest: int = _LONGEST) -> Passage:
    """A text in which nothing is marked."""
    return Passage(shortened_passage(text, longest))


def around(text: str, start: int, end: int) -> Passage:
    """What stands from ``start`` up to ``end``, marked, and some of what is around it."""
    first, last = max(0, start - _AROUND), min(len(text), end + _AROUND)
    return Passage(
        ("…" if first else "") + text[first:start],
        shortened_passage(text[start:end]),
        text[end:last] + ("…" if last < len(text) else ""),
    )


# Pictures as a page holds them: inside it, as data.


_QUALITY = 88


class Picture(NamedTuple):
    """A picture to be put into a page.

    Attributes:
        uri: its data, as the address of an image.
        width: in pixels.
        height: in pixels.
    """

    uri: str
    width: int
    height: int


def read_picture(file: Path, longest: int) -> Picture | None:
    """Read an image file, scaled down to ``longest`` pixels at most; None where there is none.

    Pixels of images much smaller than that are enlarged by a whole factor.
    """
    try:
        pixels = decode(file, ResizeShorterSide(longest), smallest=1)
    except (BadImage, OSError):
        return None
    image = Image.fromarray(pixels)
    image.thumbnail((longest, longest))
    factor = longest // max(image.size)
    if factor > 1:
        size = (factor * image.width, factor * image.height)
        image = image.resize(size, Image.Resampling.NEAREST)
    return Picture(_data_uri(image), *image.size)


def show_picture(picture: Picture, about: str) -> str:
    """The picture in HTML; ``about`` says what it shows, in plain text."""
    return (
        f'<img src="{picture.uri}" width="{picture.width}" height="{picture.height}" '
        f'alt="{escape(about)}" title="{escape(about)}">'
    )


def _data_uri(image: Image.Image) -> str:
    """PNG, or JPEG where that is less than half as large."""
    data = {kind: io.BytesIO() for kind in ("png", "jpeg")}
    image.save(data["png"], "PNG", optimize=True)
    image.save(data["jpeg"], "JPEG", quality=_QUALITY)
    png, jpeg = (held.getvalue() for held in data.values())
    kind, kept = ("jpeg", jpeg) if 2 * len(jpeg) < len(png) else ("png", png)
    return f"data:image/{kind};base64,{base64.b64encode(kept).decode()}"
