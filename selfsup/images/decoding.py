"""Decode one image file of any kind to RGB pixels of a wanted size.

Letters in shapes: ``H`` height, ``W`` width, in pixels.
"""

import logging
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

MOST_PIXELS = 100_000_000
SMALLEST_SIDE = 8
# Pillow knows more formats, some of which start other programs.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
_MOST_ELONGATED = 4
# Larger images are decoded one at a time, so that memory is bounded for any number of threads.
_LARGE_PIXELS = 16_000_000
_one_large = threading.Lock()

_Turn = Image.Transpose
# What brings an image upright that is stored with this orientation (EXIF 2.32, §4.6.4 A).
_TURNS = {
    2: _Turn.FLIP_LEFT_RIGHT,
    3: _Turn.ROTATE_180,
    4: _Turn.FLIP_TOP_BOTTOM,
    5: _Turn.TRANSPOSE,
    6: _Turn.ROTATE_270,
    7: _Turn.TRANSVERSE,
    8: _Turn.ROTATE_90,
}
_ON_ITS_SIDE = (5, 6, 7, 8)

# What Pillow warns of, such as damaged EXIF data, is no matter for the reader of a progress line;
# how many pixels are too many is checked here. A filter set and unset in each call would not be
# safe in threads.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())


class BadImage(Exception):
    """An image that cannot be used; the message is the reason, without the file's name."""


@dataclass(frozen=True)
class ResizeSquare:
    """The whole image brought to ``side`` × ``side`` pixels, as transformers' ViT does it."""

    side: int

    def size(self, width: int, height: int) -> tuple[int, int]:
        """The wanted (width, height) of an image of this width and height."""
        return self.side, self.side


@dataclass(frozen=True)
class ResizeShorterSide:
    """The shorter side brought down (never up) to ``side`` pixels.

    Proportions are kept up to 4:1; the longer side of more elongated images is squashed to that.
    """

    side: int

    def size(self, width: int, height: int) -> tuple[int, int]:
        """The wanted (width, height) of an image of this width and height."""
        shorter = min(width, height)
        share = min(1.0, self.side / shorter)
        longest = _MOST_ELONGATED * min(self.side, shorter)
        return min(round(width * share), longest), min(round(height * share), longest)


Resize = ResizeSquare | ResizeShorterSide


def decode(file: Path, form: Resize, *, smallest: int = SMALLEST_SIDE) -> np.ndarray:
    """Read an image upright in RGB, whatever it is stored as.

    It is turned as its EXIF data say. Transparent images are laid over white, 16 bits of grey
    become 8, and of an animation the first frame is taken.

    Args:
        file: JPEG, PNG, WebP, BMP, GIF or TIFF, whatever its name says.
        form: the wanted size.
        smallest: the fewest pixels that a side may have as stored.

    Returns:
        uint8 [H, W, 3].

    Raises:
        BadImage: it cannot be read or decoded, a side is too small, or it has more than 100 million
            pixels, which is found before they are decoded.
    """
    try:
        with _opened(file) as image:
            width, height = image.size
            if min(width, height) < smallest:
                raise BadImage(f"{width} × {height} pixels, a side must have at least {smallest}")
            if width * height <= _LARGE_PIXELS:
                return _pixels(image, form)
            with _one_large:
                return _pixels(image, form)
    except BadImage:
        raise
    except Exception as error:  # On damaged files each of Pillow's readers has its own kinds.
        raise BadImage(_reason(error)) from None


def image_size(file: Path) -> tuple[int, int]:
    """The (width, height) in pixels that an image's header states, before any turning by EXIF.

    Raises:
        BadImage: it cannot be read, or has more than 100 million pixels.
    """
    try:
        with _opened(file) as image:
            return image.size
    except BadImage:
        raise
    except Exception as error:
        raise BadImage(_reason(error)) from None


def _opened(file: Path) -> Image.Image:
    try:
        image = Image.open(file, formats=_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadImage(_too_large("")) from None
    width, height = image.size
    if width * height > MOST_PIXELS:
        image.close()
        raise BadImage(_too_large(f"{width} × {height}, "))
    return image


def _too_large(size: str) -> str:
    return f"too large ({size}more than {MOST_PIXELS // 1_000_000} million pixels)"


def _pixels(image: Image.Image, form: Resize) -> np.ndarray:
    size = form.size(*image.size)
    if isinstance(form, ResizeShorterSide):
        # A JPEG can be decoded at a half, a quarter or an eighth of its size at less cost.
        image.draft(None, size)
    image.load()
    orientation = _orientation(image)
    upright = _as_rgb(image)
    if orientation in _TURNS:
        upright = upright.transpose(_TURNS[orientation])
    if orientation in _ON_ITS_SIDE:
        size = size[1], size[0]
    if size != upright.size:
        upright = upright.resize(size, Image.Resampling.BILINEAR)
    return np.array(upright)


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # The EXIF data are damaged; the pixels are not.
        return 1


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        image = _from_16_bits(image)
    if image.mode == "F":
        raise BadImage("pixels in floating point, of which none is known to be white")
    if not image.has_transparency_data:
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")


def _from_16_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 0xFFFF:
        raise BadImage("more than 16 bits for each pixel, of which none is known to be white")
    return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))


def _reason(error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return "no image, or damaged at its beginning"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read ({error.strerror})"
    said = (str(error) or type(error).__name__).splitlines()[0]
    return f"damaged ({said})"
