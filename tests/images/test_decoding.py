import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from selfsup.images.decoding import BadImage, ResizeShorterSide, ResizeSquare, decode, image_size

RED, WHITE = (255, 0, 0), (255, 255, 255)
AS_STORED = ResizeShorterSide(1000)


def save(path, image: Image.Image, **how):
    image.save(path, **how)
    return path


def noise(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (height, width, channels), np.uint8)


def png_header(width: int, height: int) -> bytes:
    """A PNG that states a size and holds hardly any pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels)


def test_rgb_pixels_come_back_as_they_are(tmp_path):
    pixels = noise(9, 17)
    file = save(tmp_path / "a name with spaces, ü.png", Image.fromarray(pixels))
    decoded = decode(file, AS_STORED)
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, pixels)


@pytest.mark.parametrize("suffix", ["webp", "bmp", "tif"])
def test_other_lossless_formats_come_back_as_they_are(tmp_path, suffix):
    pixels = noise(9, 17)
    file = save(tmp_path / f"a.{suffix}", Image.fromarray(pixels), lossless=True)
    np.testing.assert_array_equal(decode(file, AS_STORED), pixels)


def test_the_format_is_told_by_the_content_not_by_the_name(tmp_path):
    file = save(tmp_path / "a.jpg", Image.fromarray(noise(9, 17)), format="PNG")
    np.testing.assert_array_equal(decode(file, AS_STORED), noise(9, 17))


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_grey_and_palettes_become_rgb(tmp_path, mode):
    pixels = np.where(noise(9, 17, 1) > 127, 255, 0).astype(np.uint8)
    image = Image.fromarray(pixels[:, :, 0]).convert(mode)
    decoded = decode(save(tmp_path / "a.png", image), AS_STORED)
    np.testing.assert_array_equal(decoded, np.broadcast_to(pixels, (9, 17, 3)))


def test_sixteen_bits_of_grey_become_eight(tmp_path):
    values = np.linspace(0, 65535, 64).reshape(8, 8).astype(np.uint16)
    decoded = decode(save(tmp_path / "a.png", Image.fromarray(values)), AS_STORED)
    expected = np.rint(values / 257).astype(np.uint8)
    np.testing.assert_array_equal(decoded, np.repeat(expected[:, :, None], 3, 2))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.full((8, 8), 0.5, np.float32), "floating point"),
        (np.full((8, 8), 70_000, np.int32), "more than 16 bits for each pixel"),
    ],
)
def test_pixels_of_which_none_is_known_to_be_white_are_refused(tmp_path, values, reason):
    file = save(tmp_path / "a.tif", Image.fromarray(values))
    with pytest.raises(BadImage, match=f"{reason}.*, of which none is known to be white"):
        decode(file, AS_STORED)


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_cmyk_becomes_rgb(tmp_path, suffix):
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # all magenta and yellow: red
    decoded = decode(save(tmp_path / f"a.{suffix}", image), AS_STORED).astype(int)
    assert np.abs(decoded - RED).max() <= 3


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_pixels_are_laid_over_white(tmp_path, mode):
    alpha = np.zeros((8, 8), np.uint8)
    alpha[:, 4:] = 255
    black = np.zeros((8, 8, 3), np.uint8)
    image = Image.fromarray(np.concatenate([black, alpha[:, :, None]], 2)).convert(mode)
    decoded = decode(save(tmp_path / "a.png", image), AS_STORED)
    assert (decoded[:, :4] == 255).all()
    assert (decoded[:, 4:] == 0).all()


def test_a_transparent_colour_of_a_palette_is_laid_over_white(tmp_path):
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, *RED])
    image.paste(0, (0, 0, 8, 4))
    decoded = decode(save(tmp_path / "a.png", image, transparency=0), AS_STORED)
    assert (decoded[:4] == WHITE).all()
    assert (decoded[4:] == RED).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_turned_as_its_exif_data_say(tmp_path, orientation):
    # What is stored, for each orientation of the EXIF standard, of one upright image.
    upright = noise(9, 17)
    by_columns = upright.transpose(1, 0, 2)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: by_columns,
        6: by_columns[::-1],
        7: by_columns[::-1, ::-1],
        8: by_columns[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(np.ascontiguousarray(stored))
    decoded = decode(save(tmp_path / "a.png", image, exif=exif), AS_STORED)
    np.testing.assert_array_equal(decoded, upright)


def test_damaged_exif_data_leave_the_image_as_stored(tmp_path):
    file = save(tmp_path / "a.png", Image.fromarray(noise(9, 17)), exif=b"Exif\x00\x00nonsense")
    np.testing.assert_array_equal(decode(file, AS_STORED), noise(9, 17))


def test_of_an_animation_the_first_frame_is_taken(tmp_path):
    first, second = Image.new("RGB", (16, 16), RED), Image.new("RGB", (16, 16), (0, 0, 255))
    file = save(tmp_path / "a.gif", first, save_all=True, append_images=[second])
    assert (decode(file, AS_STORED) == RED).all()


@pytest.mark.parametrize(
    ("stored", "form", "wanted"),
    [
        ((40, 60), ResizeShorterSide(20), (20, 30)),
        ((60, 40), ResizeShorterSide(20), (30, 20)),
        ((40, 60), ResizeShorterSide(50), (40, 60)),
        ((10, 100), ResizeShorterSide(50), (10, 40)),
        ((400, 40), ResizeShorterSide(20), (80, 20)),
        ((40, 60), ResizeSquare(50), (50, 50)),
        ((8, 8), ResizeSquare(50), (50, 50)),
    ],
)
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_sizes_are_those_of_the_form(tmp_path, stored, form, wanted, suffix):
    file = save(tmp_path / f"a.{suffix}", Image.fromarray(noise(*stored)))
    assert decode(file, form).shape == (*wanted, 3)


def test_a_jpeg_decoded_small_shows_the_same_picture(tmp_path):
    ramp = np.linspace(0, 255, 400).astype(np.uint8)
    pixels = np.stack([np.tile(ramp, (300, 1)), np.tile(ramp[:300, None], (1, 400))], 2)
    pixels = np.concatenate([pixels, pixels[:, :, :1] // 2], 2)
    images = [
        decode(
            save(tmp_path / f"a.{suffix}", Image.fromarray(pixels)), ResizeShorterSide(30)
        ).astype(int)
        for suffix in ("png", "jpg")
    ]
    assert np.abs(images[0] - images[1]).max() <= 6


def test_a_square_is_what_the_vit_processor_of_transformers_makes(tmp_path):
    from transformers import ViTImageProcessorPil

    processor = ViTImageProcessorPil(size={"height": 32, "width": 32}, resample=2)
    for number, (height, width) in enumerate([(50, 70), (33, 20), (32, 32)]):
        image = Image.fromarray(noise(height, width))
        file = save(tmp_path / f"{number}.png", image)
        expected = processor(image, do_rescale=False, do_normalize=False, return_tensors="np")
        decoded = decode(file, ResizeSquare(32)).transpose(2, 0, 1)
        np.testing.assert_array_equal(decoded, expected["pixel_values"][0].astype(np.uint8))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no image, or damaged at its beginning"),
        (b"This is a text.\n" * 50, "no image, or damaged at its beginning"),
        (png_header(20_000, 20_000), r"too large \(more than 100 million pixels\)"),
        (png_header(500, 500), "damaged"),
    ],
)
def test_what_is_no_image_is_refused_with_a_reason(tmp_path, content, reason):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(BadImage, match=reason):
        decode(tmp_path / "a.png", ResizeSquare(32))


def test_pillow_is_not_heard_when_an_image_is_too_large(tmp_path):
    # In a process of its own, since pytest sets filters for warnings.
    (tmp_path / "a.png").write_bytes(png_header(11_000, 11_000))
    script = (
        "import sys; from pathlib import Path; from selfsup.images.decoding import *\n"
        "try: decode(Path(sys.argv[1]), ResizeSquare(8))\n"
        "except BadImage as error: print(error)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "a.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "too large (11000 × 11000, more than 100 million pixels)\n"
    assert done.stderr == ""


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "gif", "tif", "bmp"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7])
def test_a_truncated_image_is_refused(tmp_path, suffix, share):
    file = save(tmp_path / f"a.{suffix}", Image.fromarray(noise(100, 100)))
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(BadImage, match="damaged"):
        decode(file, ResizeSquare(32))


@pytest.mark.filterwarnings("ignore")  # pytest sets aside those that the module itself ignores
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "gif", "tif", "bmp"])
def test_damaged_bytes_give_pixels_or_a_reason_in_one_line(tmp_path, suffix):
    file = save(tmp_path / f"a.{suffix}", Image.fromarray(noise(20, 30)))
    content = np.frombuffer(file.read_bytes(), np.uint8)
    random = np.random.default_rng(5)
    reasons = []
    for _ in range(40):
        damaged = content.copy()
        damaged[random.integers(0, min(len(content), 200), 5)] = random.integers(0, 256, 5)
        file.write_bytes(damaged.tobytes())
        try:
            pixels = decode(file, ResizeSquare(16))
        except BadImage as error:
            reasons.append(str(error))
        else:
            assert pixels.shape == (16, 16, 3)
    assert reasons
    assert not any("\n" in reason for reason in reasons)


def test_a_side_that_is_too_small_is_refused(tmp_path):
    dot = save(tmp_path / "dot.png", Image.new("RGB", (1, 1)))
    line = save(tmp_path / "line.png", Image.new("RGB", (100, 7)))
    with pytest.raises(BadImage, match=r"1 × 1 pixels, a side must have at least 8"):
        decode(dot, ResizeSquare(32))
    with pytest.raises(BadImage, match="100 × 7 pixels"):
        decode(line, ResizeSquare(32))
    assert decode(line, ResizeSquare(32), smallest=7).shape == (32, 32, 3)


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(BadImage, match="cannot be read"):
        decode(tmp_path / "folder.png", ResizeSquare(32))
    with pytest.raises(BadImage, match="cannot be read"):
        image_size(tmp_path / "missing.png")


def test_the_size_is_known_from_the_header_alone(tmp_path):
    (tmp_path / "a.png").write_bytes(png_header(500, 300))
    assert image_size(tmp_path / "a.png") == (500, 300)
    (tmp_path / "b.png").write_bytes(png_header(50_000, 50_000))
    with pytest.raises(BadImage, match="too large"):
        image_size(tmp_path / "b.png")
