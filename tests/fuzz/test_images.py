"""Images, damaged: the reader of one, the reader of a folder, and ``prepare`` of images."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image

from selfsup.images.files import find_images, search_images
from selfsup.images.pixels import BadImage, ResizeShorterSide, ResizeSquare, decode, image_size
from selfsup.images.prepare import prepare_images
from selfsup.tasks.base import Reading
from selfsup.tasks.registry import TASKS
from tests.fuzz.mutations import mutated
from tests.fuzz.target import FUZZED, check_message, few, refusal_of

NOISE = np.random.default_rng(1).integers(0, 256, (24, 40, 4), dtype=np.uint8)
SQUARE, SHORTER = ResizeSquare(16), ResizeShorterSide(20)


def written(image: Image.Image, form: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def examples() -> dict[str, list[bytes]]:
    """Images of every format that is read, of several kinds each."""
    colour, clear = Image.fromarray(NOISE[..., :3]), Image.fromarray(NOISE)
    grey = Image.fromarray(NOISE[..., 0])
    deep = Image.fromarray(NOISE[..., 0].astype(np.uint16) * 257)
    indexed = colour.quantize(16)
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    film = [colour, colour.rotate(90), colour.rotate(180)]
    return {
        "PNG": [written(each, "PNG") for each in (colour, clear, grey, deep, indexed)],
        "JPEG": [
            written(colour, "JPEG", exif=turned),
            written(grey, "JPEG", progressive=True),
            written(colour.convert("CMYK"), "JPEG"),
        ],
        "GIF": [written(film[0], "GIF", save_all=True, append_images=film[1:])],
        "BMP": [written(colour, "BMP"), written(indexed, "BMP"), written(grey.convert("1"), "BMP")],
        "TIFF": [
            written(colour, "TIFF"),
            written(deep, "TIFF", compression="tiff_lzw"),
            written(clear, "TIFF", compression="tiff_adobe_deflate"),
            written(colour, "TIFF", compression="jpeg"),
        ],
        "WEBP": [written(clear, "WEBP"), written(colour, "WEBP", lossless=True)],
        "ICO": [written(clear, "ICO", sizes=[(16, 16)])],
        "PPM": [written(colour, "PPM"), b"P2\n# by hand\n8 8 255\n" + b"7 " * 64],
    }


EXAMPLES = examples()
ALL = [image for images in EXAMPLES.values() for image in images]


@pytest.mark.parametrize("form", EXAMPLES)
@FUZZED
@given(data=st.data())
def test_an_image(folder, form: str, data):
    file = folder / "image"
    file.write_bytes(data.draw(mutated(EXAMPLES[form])))
    try:
        width, height = image_size(file)
        pixels = decode(file, data.draw(st.sampled_from((SQUARE, SHORTER))))
    except BadImage as error:
        check_message(str(error), ())
    else:
        assert min(width, height) > 0
        assert (pixels.ndim, pixels.shape[2], pixels.dtype) == (3, 3, np.uint8)


def write_folder(folder: Path, data) -> None:
    """Two classes with some images of each, a few of which are damaged, and other files."""
    suffixes = st.sampled_from((".png", ".JPG", ".tiff", "", ".webp", ".heic", ".txt", ".gif"))
    for name in data.draw(
        st.sampled_from((("cats", "dogs"), ("train", "val"), ("가", "가", "b\n")))
    ):
        (folder / name).mkdir(exist_ok=True)
        for number in range(data.draw(st.integers(0, 3))):
            file = folder / name / f"{number}{data.draw(suffixes)}"
            file.write_bytes(data.draw(mutated(ALL)))


@few(2)
@given(data=st.data())
def test_a_folder_of_classes(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("images")
    write_folder(folder, data)
    task = TASKS["image-classification"]
    with refusal_of(folder.name):
        search_images(folder).labels()
        read = task.read_examples(str(folder), Reading(max_bad_fraction=0.5), labelled=True)
        labels = task.learn_labels(read, None)
        task.reading_notes(read, read, labels)


@few(4)
@given(data=st.data())
def test_prepare_leaves_whole_shards_or_none(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("images")
    write_folder(folder, data)
    with refusal_of(folder.name):
        out = folder.parent / f"{folder.name}-out"
        manifest = prepare_images(find_images(folder), folder, out, SHORTER, workers=1,
                                  max_bad_fraction=0.5, show_progress=False)  # fmt: skip
        assert manifest["images"] > 0
