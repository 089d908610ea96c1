"""What is chosen for images where the user says nothing."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from selfsup.encoder.config import VIT_SIZES
from selfsup.errors import UserError
from selfsup.pretraining.images.pretraining import (
    ImagePretraining,
    fitting_image_size,
    fitting_patch_size,
)
from selfsup.settings.pretrain import PretrainSettings


@pytest.mark.parametrize(
    ("side", "chosen"),
    [
        (8, (8, 2)),
        (28, (28, 2)),
        (32, (32, 4)),
        (64, (64, 8)),
        (80, (80, 8)),
        (127, (120, 8)),
        (128, (128, 16)),
        (150, (144, 16)),
        (224, (224, 16)),
        (4000, (224, 16)),
    ],
)
def test_images_are_seen_as_large_as_they_are_in_a_grid_of_eight_at_least(side: int, chosen):
    assert fitting_image_size(side, None) == chosen


@given(st.integers(1, 3000), st.integers(1, 256))
def test_an_image_size_is_a_multiple_of_the_patch_size_and_no_larger_than_the_images(side, patch):
    image_size, patch_size = fitting_image_size(side, patch)
    assert patch_size == patch
    assert image_size % patch == 0
    assert min(side, 224) - patch < image_size <= min(side, 224)


@pytest.mark.parametrize(
    ("image_size", "patch_size"),
    [(224, 16), (128, 16), (96, 8), (100, 4), (30, 2), (8, 2), (14, 2)],
)
def test_a_patch_size_divides_the_image_size(image_size: int, patch_size: int):
    assert fitting_patch_size(image_size) == patch_size


def test_a_size_that_only_tiny_patches_divide_is_refused():
    said = r"250: only patches of 2 pixels divide it, 15,625 of them, .*: take 240 or 256"
    with pytest.raises(UserError, match=said):
        fitting_patch_size(250)


def test_an_odd_image_size_has_none():
    with pytest.raises(UserError, match="--image-size 81: no patch size of 16, 8, 4, 2 divides it"):
        fitting_patch_size(81)


def folder_of(tmp_path: Path, *sizes: tuple[int, int]) -> str:
    for number, size in enumerate(sizes):
        Image.new("RGB", size).save(tmp_path / f"{number}.png")
    return str(tmp_path)


def settings(data: str, **changed: Any) -> PretrainSettings:
    return PretrainSettings(**({"data": (data,), "out": "run", "steps": 1} | changed))


def test_the_median_of_the_shorter_sides_decides_and_images_that_cannot_be_read_do_not(tmp_path):
    data = folder_of(tmp_path, (500, 70), (70, 90), (400, 300), (64, 64), (2000, 66))
    (tmp_path / "broken.png").write_text("no image")
    chosen = ImagePretraining.resolve(settings(data))
    assert (chosen.image_size, chosen.patch_size) == (64, 8)  # the median is 70


def test_what_is_given_stays_as_it_is(tmp_path):
    data = folder_of(tmp_path, (300, 300))
    given = settings(
        data, encoder="vit-small", image_size=48, patch_size=6, mask_ratio=0.5, batch_size=3,
        learning_rate=0.1, dropout=0.2, objectives=("inpainting",), optimizer="muon",
    )  # fmt: skip
    chosen = ImagePretraining.resolve(given)
    for name in (
        "encoder", "image_size", "patch_size", "mask_ratio", "batch_size", "learning_rate",
        "dropout", "objectives", "optimizer", "steps",
    ):  # fmt: skip
        assert getattr(chosen, name) == getattr(given, name), name


@pytest.mark.parametrize("name", VIT_SIZES)
def test_every_size_has_defaults(name: str, tmp_path):
    chosen = ImagePretraining.resolve(
        settings(folder_of(tmp_path, (224, 224)), encoder=name, steps=None)
    )
    assert chosen.objectives == ("inpainting", "jigsaw")
    assert (chosen.image_size, chosen.patch_size, chosen.budget) == (224, 16, "20m")
    assert None not in (chosen.batch_size, chosen.learning_rate, chosen.mask_ratio, chosen.dropout)
    assert "auto" not in (chosen.optimizer, chosen.start)
