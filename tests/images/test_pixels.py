import struct
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from selfsup.images.pixels import (
    BadImage,
    ResizeShorterSide,
    ResizeSquare,
    crop_boxes,
    decode,
    image_size,
    random_crops,
    whole_images,
)

RED, WHITE = (255, 0, 0), (255, 255, 255)
AS_STORED = ResizeShorterSide(1000)
SEED, EPOCH = 3, 5


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
        "import sys; from pathlib import Path; from selfsup.images.pixels import *\n"
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


def pictures(*sizes: tuple[int, int]) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return [random.integers(0, 256, (*size, 3), np.uint8) for size in sizes]


def boxes_of_many(size: tuple[int, int], smallest_area: float):
    examples = np.arange(20_000)
    sizes = np.tile(np.array(size), (len(examples), 1))
    return crop_boxes(examples, sizes, SEED, EPOCH, smallest_area=smallest_area)


def test_a_crop_is_the_part_in_its_box_scaled_and_mirrored_where_it_says_so():
    images, examples = pictures((20, 30), (50, 40), (9, 9), (64, 32)), np.arange(4)
    crops = random_crops(images, examples, SEED, EPOCH, side=16)
    sizes = np.array([image.shape[:2] for image in images])
    boxes, mirrored = crop_boxes(examples, sizes, SEED, EPOCH, smallest_area=0.2)
    assert crops.shape == (4, 16, 16, 3)
    assert crops.dtype == np.uint8
    assert 0 < mirrored.sum() < 4
    for crop, image, (top, left, bottom, right), is_mirrored in zip(
        crops, images, boxes, mirrored, strict=True
    ):
        part = Image.fromarray(np.ascontiguousarray(image[top:bottom, left:right]))
        expected = np.asarray(part.resize((16, 16), Image.Resampling.BILINEAR))
        np.testing.assert_array_equal(crop, expected[:, ::-1] if is_mirrored else expected)


def test_a_crop_depends_on_its_own_example_and_keys_alone():
    images = pictures(*[(40, 40)] * 6)
    together = random_crops(images, np.arange(6), SEED, EPOCH, side=16)
    alone = random_crops(images, np.array([4]), SEED, EPOCH, side=16)
    np.testing.assert_array_equal(alone[0], together[4])
    for other in [(SEED, EPOCH + 1), (SEED + 1, EPOCH), (EPOCH, SEED)]:
        different = random_crops(images, np.arange(6), *other, side=16)
        assert all((a != b).any() for a, b in zip(different, together, strict=True))


def test_threads_change_nothing():
    images = pictures((20, 30), (50, 40), (9, 9))
    with ThreadPoolExecutor(3) as threads:
        for examples in (np.array([2, 0, 1, 2]), np.array([], np.int64)):
            np.testing.assert_array_equal(
                random_crops(images, examples, SEED, side=16, threads=threads),
                random_crops(images, examples, SEED, side=16),
            )
            np.testing.assert_array_equal(
                whole_images(images, examples, side=16, threads=threads),
                whole_images(images, examples, side=16),
            )


def test_areas_are_uniform_and_shapes_log_uniform():
    # In an image as wide as high, the areas up to 3/4 fit whatever the shape.
    boxes, mirrored = boxes_of_many((1000, 1000), smallest_area=0.2)
    heights, widths = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    areas = heights * widths / 1e6
    for area in (0.3, 0.5, 0.7):
        assert abs((areas < area).mean() - (area - 0.2) / 0.8) < 0.015
    small = areas < 0.7
    shapes = np.log((widths / heights)[small])
    for share in (0.1, 0.5, 0.9):
        assert abs(np.quantile(shapes, share) - np.log(4 / 3) * (2 * share - 1)) < 0.02
    assert abs(mirrored.mean() - 0.5) < 0.015
    # Where a crop lies is uniform in what its size leaves free, and independent in both directions.
    top = boxes[:, 0] / (1000 - heights + 1)
    left = boxes[:, 1] / (1000 - widths + 1)
    inside = (heights < 1000) & (widths < 1000)
    for position in (top[inside], left[inside]):
        assert abs(position.mean() - 0.5) < 0.015
        assert abs((position < 0.25).mean() - 0.25) < 0.015
    assert abs(np.corrcoef(top[inside], left[inside])[0, 1]) < 0.03


def test_with_the_whole_area_a_square_is_cut_only_by_its_shape():
    boxes, _ = boxes_of_many((1000, 1000), smallest_area=1.0)
    lengths = boxes[:, 2:] - boxes[:, :2]
    assert (lengths.max(axis=1) == 1000).all()
    assert lengths.min() >= np.floor(1000 * np.sqrt(3 / 4))


@given(st.integers(1, 300), st.integers(1, 300), st.floats(0.001, 1))
def test_boxes_lie_inside_their_image(height, width, smallest_area):
    sizes = np.tile(np.array([height, width]), (50, 1))
    boxes, _ = crop_boxes(np.arange(50), sizes, SEED, smallest_area=smallest_area)
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= sizes).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()


def test_whole_images_are_squashed_and_not_mirrored():
    images = pictures((20, 30), (16, 16))
    squares = whole_images(images, np.array([1, 0]), side=16)
    np.testing.assert_array_equal(squares[0], images[1])
    expected = Image.fromarray(images[0]).resize((16, 16), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(squares[1], np.asarray(expected))


def test_without_mirroring_the_others_are_the_same_and_none_is_turned_round():
    images = [np.arange(12 * 9 * 3, dtype=np.uint8).reshape(12, 9, 3) for _ in range(32)]
    numbers = np.arange(32)
    _, mirrored = crop_boxes(numbers, np.array([[12, 9]] * 32), SEED, smallest_area=0.2)
    assert mirrored.any()
    usual = random_crops(images, numbers, SEED, side=8)
    plain = random_crops(images, numbers, SEED, side=8, mirror=False)
    assert np.array_equal(plain[~mirrored], usual[~mirrored])
    assert np.array_equal(plain[mirrored], usual[mirrored, :, ::-1])
