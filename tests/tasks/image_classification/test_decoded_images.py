"""Images are decoded once, also when several threads ask for them, and kept outside memory."""

import os

import numpy as np
import pytest

from selfsup.errors import UserError
from selfsup.images.pixels import ResizeShorterSide, ResizeSquare, decode
from selfsup.tasks.image_classification.data import DecodedImages
from tests.toy_tasks import write_toy_images


def toy_files(tmp_path):
    return sorted(write_toy_images(tmp_path / "images", 3).rglob("*.png"))


@pytest.mark.parametrize("form", [ResizeSquare(12), ResizeShorterSide(10)])
@pytest.mark.parametrize("keep", [True, False])
def test_they_are_as_their_files_say_whatever_the_order(tmp_path, form, keep):
    files = toy_files(tmp_path)
    images = DecodedImages(files, form, smallest=8, keep=keep)
    order = np.array([7, 2, 2, 0, 8, 7, 1])
    for _ in range(2):
        for number, pixels in zip(order, images.several(order), strict=True):
            np.testing.assert_array_equal(pixels, decode(files[number], form))
    shapes = {image.shape for image in images.several(np.arange(9))}
    assert (len(shapes) == 1) == isinstance(form, ResizeSquare)


def test_what_is_kept_needs_its_file_no_more(tmp_path):
    files = toy_files(tmp_path)
    images = DecodedImages(files, ResizeSquare(12), smallest=8, keep=True)
    before = images[4]
    files[4].unlink()
    np.testing.assert_array_equal(images[4], before)


def test_a_file_that_is_gone_is_named(tmp_path):
    files = toy_files(tmp_path)
    images = DecodedImages(files, ResizeSquare(12), smallest=8, keep=False)
    images[4]
    files[4].unlink()
    with pytest.raises(UserError, match=r"images/along/001\.png: cannot be read .*fix the image"):
        images[4]


@pytest.mark.parametrize("written", [10, OSError(28, "No space left on device")])
def test_a_full_disk_is_named_and_nothing_is_kept_by_half(tmp_path, monkeypatch, written):
    def pwrite(*_):
        if isinstance(written, OSError):
            raise written
        return written

    images = DecodedImages(toy_files(tmp_path), ResizeSquare(12), smallest=8, keep=True)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", pwrite)
        with pytest.raises(UserError, match=r"too full to keep decoded images in: .* TMPDIR"):
            images[0]
    np.testing.assert_array_equal(images[0], decode(images._files[0], ResizeSquare(12)))
