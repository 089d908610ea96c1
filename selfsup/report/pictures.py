"""Pictures as a page holds them: inside it, as data."""

import base64
import io
from html import escape
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from selfsup.images.decoding import BadImage, ShorterSide, decode

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
        pixels = decode(file, ShorterSide(longest), smallest=1)
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
