"""Decode an image file of any kind to RGB pixels of a chosen size.

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
# Pillow supports more formats, but some of them start other programs.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
_MOST_ELONGATED = 4
# Larger images are decoded one at a time, so that memory is bounded for any number of threads.
_LARGE_PIXELS = 16_000_000
_one_large = threading.Lock()

_Turn = Image.Transpose
# How to turn an image with this EXIF orientation upright (EXIF 2.32, §4.6.4 A).
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

# Pillow's warnings, such as those about damaged EXIF data, do not concern the user, and this module
# checks the number of pixels itself. A filter that is set and unset in each call would not be
# thread-safe.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())


class BadImage(Exception):
    """An image that cannot be used; the message is the reason, without the file's name."""


@dataclass(frozen=True)
class ResizeSquare:
    """Resize the whole image to ``side`` × ``side`` pixels, as transformers' ViT does."""

    side: int

    def size(self, width: int, height: int) -> tuple[int, int]:
        """The new (width, height) of an image of this width and height."""
        return self.side, self.side


@dataclass(frozen=True)
class ResizeShorterSide:
    """Shrink the image until its shorter side has at most ``side`` pixels; never enlarge it.

    Proportions are kept up to 4:1; more elongated images are squashed to that.
    """

    side: int

    def size(self, width: int, height: int) -> tuple[int, int]:
        """The new (width, height) of an image of this width and height."""
        shorter = min(width, height)
        share = min(1.0, self.side / shorter)
        longest = _MOST_ELONGATED * min(self.side, shorter)
        return min(round(width * share), longest), min(round(height * share), longest)


Resize = ResizeSquare | ResizeShorterSide


def decode(file: Path, resize: Resize, *, smallest: int = SMALLEST_SIDE) -> np.ndarray:
    """Read an image in RGB, turned upright as its EXIF data say.

    Transparent images are put on white, 16-bit grey becomes 8-bit, and of an animation the first
    frame is used.

    Args:
        file: JPEG, PNG, WebP, BMP, GIF or TIFF, whatever its suffix.
        resize: the size to bring it to.
        smallest: the least number of pixels that a side may have in the file.

    Returns:
        uint8 [H, W, 3].

    Raises:
        BadImage: it cannot be read or decoded, a side is too small, or it has more than 100 million
            pixels (checked before decoding).
    """
    try:
        with _opened(file) as image:
            width, height = image.size
            if min(width, height) < smallest:
                raise BadImage(f"{width} × {height} pixels, a side must have at least {smallest}")
            if width * height <= _LARGE_PIXELS:
                return _pixels(image, resize)
            with _one_large:
                return _pixels(image, resize)
    except BadImage:
        raise
    except Exception as error:  # Each of Pillow's readers raises its own kinds on damaged files.
        raise BadImage(_reason(error)) from None


def image_size(file: Path) -> tuple[int, int]:
    """The (width, height) in pixels from an image's header, before turning it as EXIF says.

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


def _pixels(image: Image.Image, resize: Resize) -> np.ndarray:
    size = resize.size(*image.size)
    if isinstance(resize, ResizeShorterSide):
        # Decoding a JPEG at a half, a quarter or an eighth of its size is faster.
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
