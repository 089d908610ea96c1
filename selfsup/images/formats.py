"""Tell image files from others: by their first bytes, whatever their names."""

import re
from pathlib import Path
from stat import S_ISREG

from PIL import features

# What is decoded, by Pillow's names. It supports more, but some formats start other programs.
_CODECS = {"JPEG2000": "jpg_2000", "AVIF": "avif"}  # not in every build of Pillow
DECODED = ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "ICO"]
DECODED += [name for name, codec in _CODECS.items() if features.check(codec)]

_SIGNATURES = {
    "JPEG": rb"\xff\xd8\xff",
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "GIF": rb"GIF8[79]a",
    "WEBP": rb"RIFF....WEBP",
    "BMP": rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0",
    "TIFF": rb"II[*+]\0|MM\0[*+]",
    "PPM": rb"P[1-6]\s+(\d+\s+\d+\s|#[^\n]*\n\s*\d)",
    "ICO": rb"\0\0\x01\0[^\0]\0",
    "JPEG2000": rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",
    "AVIF": rb"....ftyp(....){0,8}?avi[fs]",
    "HEIC": rb"....ftyp(hei[cmsx]|hev[cmsx]|mif1|msf1)",
    "JPEG XL": rb"\xff\x0a|\0\0\0\x0cJXL ",
    "DICOM": rb".{128}DICM",
    "Photoshop": rb"8BPS\0[\x01\x02]",
}
_KINDS = [(name, re.compile(pattern, re.DOTALL)) for name, pattern in _SIGNATURES.items()]
_FIRST_BYTES = 132

# Files with these suffixes are images, damaged if they hold something else.
_IMAGES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"),
    *(".avif", ".jp2", ".j2k", ".ppm", ".pgm", ".pbm", ".pnm", ".ico"),
}  # fmt: skip
_SUFFIXES_OF_OTHERS = {
    "HEIC": (".heic", ".heif", ".hif"),
    "JPEG XL": (".jxl",),
    "DICOM": (".dcm", ".dicom"),
    "Photoshop": (".psd",),
    "SVG": (".svg", ".svgz"),
    "TGA": (".tga",),
    # These begin as a TIFF does, and as such hold a small preview.
    "camera raw": (".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".raf", ".rw2", ".pef", ".srw"),
}
_NOT_DECODED = {suffix: name for name, many in _SUFFIXES_OF_OTHERS.items() for suffix in many}
# Files that often lie beside images, many of them; they are not opened.
_TEXTS = {".txt", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".html", ".md", ".yaml", ".yml"}


def is_image(file: Path) -> bool:
    """Whether a file is an image, by its suffix or else by its content, decoded here or not.

    Raises:
        OSError: it cannot be read.
    """
    suffix = file.suffix.lower()
    if suffix in _IMAGES or suffix in _NOT_DECODED:
        return True
    return suffix not in _TEXTS and _format(file) is not None


def why_not_decoded(file: Path) -> str | None:
    """That an image is of a format that is not decoded, and what to do; None if it is not."""
    name = _NOT_DECODED.get(file.suffix.lower())
    if name != "camera raw":
        name = _format(file) or name
    if name is None or name in DECODED:
        return None
    return f"in the format {name}, which is not read: convert it to JPEG or PNG"


def _format(file: Path) -> str | None:
    if not S_ISREG(file.stat().st_mode):  # such as a pipe, which would be waited for
        return None
    with file.open("rb") as opened:
        head = opened.read(_FIRST_BYTES)
    return next((name for name, pattern in _KINDS if pattern.match(head)), None)
