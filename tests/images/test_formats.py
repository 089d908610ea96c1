import os

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from selfsup.errors import UserError
from selfsup.images.files import find_images, search_images
from selfsup.images.formats import DECODED, is_image
from selfsup.images.pixels import BadImage, ResizeSquare, decode

SQUARE = ResizeSquare(16)
PICTURE = Image.fromarray(np.tile(np.arange(0, 256, 8, dtype=np.uint8), (32, 1))).convert("RGB")
# The first bytes of formats that Pillow cannot decode, as their specifications give them.
_BOX = b"\0\0\0\x24ftyp"
HEIC = _BOX + b"heic\0\0\0\0mif1heic" + bytes(200)
OTHERS = {
    "HEIC": HEIC,
    "JPEG XL": b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(200),
    "DICOM": bytes(128) + b"DICM" + bytes(200),
    "Photoshop": b"8BPS\0\x01" + bytes(200),
}


@pytest.mark.parametrize("name", ["photo", "photo.jfif", "photo.image", "photo.JPG_large"])
@pytest.mark.parametrize("form", DECODED)
def test_an_image_is_known_and_decoded_whatever_its_name(tmp_path, form, name):
    PICTURE.save(tmp_path / name, form)
    assert find_images(tmp_path) == [tmp_path / name]
    assert decode(tmp_path / name, SQUARE).shape == (16, 16, 3)


@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_the_kinds_of_ppm_and_tiff_are_known(tmp_path, mode):
    PICTURE.convert(mode).save(tmp_path / "bits", "PPM")
    PICTURE.convert(mode).save(tmp_path / "tagged", "TIFF")
    PICTURE.convert(mode).save(tmp_path / "large", "TIFF", big_tiff=True)
    (tmp_path / "words").write_bytes(b"P2\n# by hand\n8 8 255\n" + b"7 " * 64)
    for file in find_images(tmp_path):
        assert decode(file, SQUARE).shape == (16, 16, 3)
    assert len(find_images(tmp_path)) == 4


@pytest.mark.parametrize(
    "text",
    [
        b"BMI of 2,000 patients, by age and sex", b"P1 is the first patient", b"P5 2 of them",
        b"GIF is a format", b"RIFF raff, said the WEBP", b"MM are soldiers", b"", b"\xff\xfe\0a",
        b"ID3\x04 a song", b"%PDF-1.7 a page", b"PK\x03\x04 an archive", _BOX + b"isom a film",
    ],
)  # fmt: skip
def test_other_files_are_no_images(tmp_path, text):
    PICTURE.save(tmp_path / "a.png")
    (tmp_path / "other").write_bytes(text)
    (tmp_path / "README.txt").write_bytes(b"\xff\xd8\xff by its name a text, and not opened")
    found = search_images(tmp_path)
    assert found.files == [tmp_path / "a.png"]
    assert [file.name for file in found.others] == ["README.txt", "other"]


@pytest.mark.parametrize("name", ["photo", "photo.jpg", "photo.PNG", "photo.heic", "photo.dat"])
@pytest.mark.parametrize("form", OTHERS)
def test_images_of_other_formats_are_found_and_told_by_their_content(tmp_path, form, name):
    (tmp_path / name).write_bytes(OTHERS[form])
    assert find_images(tmp_path) == [tmp_path / name]
    with pytest.raises(BadImage, match=f"in the format {form}, which is not read: convert it to"):
        decode(tmp_path / name, SQUARE)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.heic", "HEIC"), ("a.HEIF", "HEIC"), ("a.jxl", "JPEG XL"), ("a.dcm", "DICOM"),
        ("a.svg", "SVG"), ("a.tga", "TGA"), ("a.CR2", "camera raw"), ("a.dng", "camera raw"),
    ],
)  # fmt: skip
def test_images_of_other_formats_are_told_by_their_suffix(tmp_path, name, form):
    (tmp_path / name).write_bytes(b"<svg></svg>")
    assert find_images(tmp_path) == [tmp_path / name]
    with pytest.raises(BadImage, match=f"in the format {form}, which is not read"):
        decode(tmp_path / name, SQUARE)


def test_the_preview_in_a_raw_file_is_not_taken_for_the_image(tmp_path):
    PICTURE.save(tmp_path / "a.nef", "TIFF")
    with pytest.raises(BadImage, match="in the format camera raw"):
        decode(tmp_path / "a.nef", SQUARE)


def test_a_jpeg_that_is_called_heic_is_read(tmp_path):
    PICTURE.save(tmp_path / "a.heic", "JPEG")
    assert decode(tmp_path / "a.heic", SQUARE).shape == (16, 16, 3)


def test_a_page_that_is_called_jpg_is_a_damaged_image(tmp_path):
    (tmp_path / "a.jpg").write_text("<html>404</html>")
    assert is_image(tmp_path / "a.jpg")
    with pytest.raises(BadImage, match="no image, or damaged at its beginning"):
        decode(tmp_path / "a.jpg", SQUARE)


def test_a_pipe_is_not_waited_for(tmp_path):
    PICTURE.save(tmp_path / "a.png")
    os.mkfifo(tmp_path / "pipe")
    assert find_images(tmp_path) == [tmp_path / "a.png"]


def test_a_single_file_is_known_by_its_content(tmp_path):
    PICTURE.save(tmp_path / "download", "WEBP")
    assert find_images(tmp_path / "download") == [tmp_path / "download"]
    (tmp_path / "note").write_text("a text")
    with pytest.raises(UserError, match="note: no image, by its name or by its content"):
        find_images(tmp_path / "note")


@pytest.mark.parametrize("size", [2 << 20, 20 << 20])
@pytest.mark.parametrize("what", ["text", "compressed text", "international text", "profile"])
def test_large_metadata_in_a_png_do_not_matter(tmp_path, what, size):
    said, profile = PngImagePlugin.PngInfo(), None
    if what == "profile":
        profile = bytes(size)
    elif what == "international text":
        said.add_itxt("prompt", "a" * size, zip=True)
    else:
        said.add_text("prompt", "a" * size, zip=what == "compressed text")
    PICTURE.save(tmp_path / "a.png", pnginfo=said, icc_profile=profile)
    PICTURE.save(tmp_path / "b.png")
    assert np.array_equal(decode(tmp_path / "a.png", SQUARE), decode(tmp_path / "b.png", SQUARE))


def test_a_text_in_a_png_that_fills_the_memory_is_refused(tmp_path):
    said = PngImagePlugin.PngInfo()
    said.add_text("bomb", "a" * (65 << 20), zip=True)
    PICTURE.save(tmp_path / "a.png", pnginfo=said)
    with pytest.raises(BadImage, match="more than 64 MiB of text or colour profile"):
        decode(tmp_path / "a.png", SQUARE)
