"""Decode image files of any kind to RGB pixels, and crop training images from stored pixels.

Letters in shapes: ``H`` height, ``W`` width, in pixels; ``B`` images of a batch, ``S`` side of a
square crop.
"""

import contextlib
import logging
import threading
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import ExifTags, Image, PngImagePlugin

from selfsup.counter_random import hash64, uniform
from selfsup.images.formats import DECODED, why_not_decoded
from selfsup.special_files import special_kind

MOST_PIXELS = 100_000_000
SMALLEST_SIDE = 8
_MOST_ELONGATED = 4
# These are decoded by libraries that take more memory for each pixel, up to 25 bytes. So no image
# takes more than about a gigabyte.
MOST_PIXELS_OF = {"JPEG2000": 40_000_000, "AVIF": 80_000_000, "WEBP": 60_000_000}
# Larger files are no images of this many pixels: they hold something else besides.
MOST_FILE_BYTES = 1 << 30
# Of larger files one is read at a time, as what is not pixels may fill the memory too.
_LARGE_FILE = 64 << 20
# Larger images are decoded at a reduced size if they can be.
_LARGE_PIXELS = 16_000_000
# Larger ones are turned to RGB so many rows at a time.
_WHOLE_PIXELS, _ROWS_AT_ONCE = 4_000_000, 256

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
# Pillow refuses a PNG with more than 1 MiB of text or colour profile, whose pixels are whole. There
# stays a limit, as a few bytes can decompress to any number.
_MOST_METADATA = 64 << 20
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = _MOST_METADATA


class _PixelBudget:
    """Bounds the pixels that all threads decode at once: to as many as one image may have."""

    def __init__(self, most: int) -> None:
        self._most = self._free = most
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def taking(self, pixels: int) -> Iterator[None]:
        """Wait until this many are free, or all, and take them for the block."""
        pixels = min(pixels, self._most)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= pixels)
            self._free -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._free += pixels
                self._changed.notify_all()


_budget = _PixelBudget(MOST_PIXELS)


class BadImage(Exception):
    """An image that cannot be used; the message is the reason, without the file's name."""


@dataclass(frozen=True)
class ResizeSquare:
    """Resize the whole image to ``side`` × ``side`` pixels, as transformers' ViT does."""

    side: int

    def size(self, width: int, height: int) -> tuple[int, int]:
        """The new (width, height)."""
        return self.side, self.side


@dataclass(frozen=True)
class ResizeShorterSide:
    """Shrink the image until its shorter side has at most ``side`` pixels; never enlarge it.

    Proportions are kept up to 4:1; more elongated images are squashed to that.
    """

    side: int

    def size(self, width: int, height: int) -> tuple[int, int]:
        """The new (width, height)."""
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
        file: of a format in ``DECODED``, whatever its suffix.
        resize: the size to bring it to.
        smallest: the least number of pixels that a side may have in the file.

    Returns:
        uint8 [H, W, 3].

    Raises:
        BadImage: it cannot be read or decoded, a side is too small, or it has more than 100 million
            pixels, or fewer in ``MOST_PIXELS_OF`` (checked before decoding).
    """
    with _opened(file) as image:
        width, height = image.size
        if min(width, height) < smallest:
            raise BadImage(f"{width} × {height} pixels, a side must have at least {smallest}")
        size = resize.size(width, height)
        if isinstance(resize, ResizeShorterSide) or width * height > _LARGE_PIXELS:
            # Decoding a JPEG at a half, a quarter or an eighth of its size is faster.
            image.draft(None, size)
        # A progressive JPEG is held whole all the same.
        is_whole = "progressive" in image.info
        pixels = width * height if is_whole else image.width * image.height
        pixels = pixels * MOST_PIXELS // _most_pixels(image)
        with _budget.taking(0 if _is_large_file(file) else pixels):
            return _pixels(image, size)


def image_size(file: Path) -> tuple[int, int]:
    """The (width, height) in pixels from an image's header, before turning it as EXIF says.

    Raises:
        BadImage: it cannot be read, or has too many pixels.
    """
    with _opened(file) as image:
        return image.size


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[Image.Image]:
    """Open an image file; whatever goes wrong until it is closed becomes a ``BadImage``."""
    try:
        if kind := special_kind(file):
            raise BadImage(f"a {kind}, not a file")
        if file.stat().st_size > MOST_FILE_BYTES:
            raise BadImage(f"too large (more than {MOST_FILE_BYTES >> 20:,} MiB)")
        if why := why_not_decoded(file):
            raise BadImage(why)
        with (
            _budget.taking(MOST_PIXELS if _is_large_file(file) else 0),
            Image.open(file, formats=DECODED) as image,
        ):
            width, height = image.size
            most = _most_pixels(image)
            if width * height > most:
                many = f"more than {most // 1_000_000} million pixels"
                raise BadImage(f"too large ({width} × {height}, {many})")
            yield image
    except BadImage:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadImage(f"too large (more than {MOST_PIXELS // 1_000_000} million pixels)") from None
    except Exception as error:  # Each of Pillow's readers raises its own kinds on damaged files.
        raise BadImage(_reason(error)) from None


def _most_pixels(image: Image.Image) -> int:
    return MOST_PIXELS_OF.get(image.format or "", MOST_PIXELS)


def _is_large_file(file: Path) -> bool:
    return file.stat().st_size > _LARGE_FILE


def _pixels(image: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """The pixels of an opened image, scaled to a (width, height) before it is turned upright."""
    image.load()
    orientation = _orientation(image)
    is_whole = image.width * image.height <= _WHOLE_PIXELS
    upright = _as_rgb(image) if is_whole else _as_rgb_in_parts(image)
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


def _as_rgb_in_parts(image: Image.Image) -> Image.Image:
    """The same as ``_as_rgb``, with no copy of the whole image but the one returned."""
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    whole = Image.new("RGB", image.size)
    for top in range(0, image.height, _ROWS_AT_ONCE):
        bottom = min(top + _ROWS_AT_ONCE, image.height)
        whole.paste(_as_rgb(image.crop((0, top, image.width, bottom))), (0, top))
    return whole


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
    if "MAX_TEXT" in str(error):
        return f"more than {_MOST_METADATA >> 20} MiB of text or colour profile"
    said = (str(error) or type(error).__name__).splitlines()[0]
    return f"damaged ({said})"


# Width to height of a crop, as in Inception and in MAE (He et al. 2021, §4.1, "RandResizedCrop").
_NARROWEST, _WIDEST = 3 / 4, 4 / 3
_PURPOSE = 0x43524F50  # makes these numbers independent of others of the same seed and epoch
_AREA, _SHAPE, _LEFT, _TOP, _FLIP = range(5)


class StoredImages(Protocol):
    """Images by number, such as ``ImageShards`` or a list of arrays."""

    def __getitem__(self, number: int, /) -> np.ndarray:
        """One image, uint8 [H, W, 3]."""
        ...


def random_crops(
    images: StoredImages,
    examples: np.ndarray,
    *keys: int,
    side: int,
    smallest_area: float = 0.2,
    mirror: bool = True,
    threads: Executor | None = None,
) -> np.ndarray:
    """A random crop of each image, half of them mirrored, scaled to one size.

    The crop's fraction of the image's area is uniform in [``smallest_area``, 1]. Its width is 3/4
    to 4/3 of its height, log-uniform, and clipped to the image.

    Args:
        images: the stored images.
        examples: int64 [B], numbers of images.
        keys: further integers that the crops depend on, such as the seed and the epoch.
        side: S, in pixels.
        smallest_area: between 0 and 1.
        mirror: whether to mirror; false if a mirrored image means something else, as with digits.
        threads: scale images in parallel; the result is the same.

    Returns:
        uint8 [B, S, S, 3].
    """
    stored = [images[number] for number in examples.tolist()]
    sizes = np.array([image.shape[:2] for image in stored], np.int64).reshape(-1, 2)
    boxes, mirrored = crop_boxes(examples, sizes, *keys, smallest_area=smallest_area)
    parts = [
        image[top:bottom, left:right]
        for image, (top, left, bottom, right) in zip(stored, boxes.tolist(), strict=True)
    ]
    crops = _scaled(parts, side, threads)
    if mirror:
        crops[mirrored] = crops[mirrored, :, ::-1]
    return crops


def whole_images(
    images: StoredImages, examples: np.ndarray, *, side: int, threads: Executor | None = None
) -> np.ndarray:
    """Each whole image, squashed to a square, with the shapes of ``random_crops``."""
    return _scaled((images[number] for number in examples.tolist()), side, threads)


def crop_boxes(
    examples: np.ndarray, sizes: np.ndarray, *keys: int, smallest_area: float
) -> tuple[np.ndarray, np.ndarray]:
    """The boxes that ``random_crops`` crops, and which of them it mirrors.

    Args:
        examples: int64 [B], numbers of images.
        sizes: int64 [B, 2], their heights and widths.
        keys, smallest_area: as for ``random_crops``.

    Returns:
        Boxes, int64 [B, 4] of (top, left, bottom, right), the last two exclusive, and bool [B].
    """
    start = hash64(_PURPOSE, *keys)
    chance = [uniform(examples, purpose, after=start) for purpose in range(_FLIP + 1)]
    area = (smallest_area + (1 - smallest_area) * chance[_AREA]) * sizes.prod(axis=1)
    shape = _NARROWEST * (_WIDEST / _NARROWEST) ** chance[_SHAPE]
    # [B, 2]: height and width
    wanted = np.sqrt(np.stack([area / shape, area * shape], axis=1))
    lengths = np.clip(np.rint(wanted).astype(np.int64), 1, sizes)
    where = np.stack([chance[_TOP], chance[_LEFT]], axis=1)
    starts = (where * (sizes - lengths + 1)).astype(np.int64)
    return np.concatenate([starts, starts + lengths], axis=1), chance[_FLIP] < 0.5


def _scaled(parts: Iterable[np.ndarray], side: int, threads: Executor | None) -> np.ndarray:
    def scale(part: np.ndarray) -> np.ndarray:
        if part.shape[:2] == (side, side):
            return part
        return np.asarray(Image.fromarray(part).resize((side, side), Image.Resampling.BILINEAR))

    scaled = list(map(scale, parts) if threads is None else threads.map(scale, parts))
    return np.stack(scaled) if scaled else np.zeros((0, side, side, 3), np.uint8)
