"""The pictures that pre-training on images leaves, taken apart again."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from selfsup.encoder.config import VitConfig
from selfsup.encoder.layers import initialize
from selfsup.encoder.vit import VitEncoder
from selfsup.errors import UserError
from selfsup.pretraining.images.batches import HeldOutImages, ImageData
from selfsup.pretraining.images.model import ImagePretrainingModel, image_objectives
from selfsup.pretraining.images.pictures import write_pictures
from selfsup.pretraining.run import pretrain
from selfsup.report.page import write_report
from selfsup.settings.objectives import IMAGE_OBJECTIVES
from tests.pretraining.images.test_pretrain_images import settings
from tests.pretraining.images.toy_pictures import write_toy_pictures

PATCH, GRID = 4, 4
SIDE = PATCH * GRID
FACTOR = 144 // SIDE  # small pictures are enlarged
GREY, RED = (128, 128, 128), (230, 30, 60)
CPU = torch.device("cpu")


def model_of(*objectives: str) -> ImagePretrainingModel:
    config = VitConfig(
        image_size=SIDE, patch_size=PATCH, hidden_size=64, num_hidden_layers=1,
        num_attention_heads=2, intermediate_size=64,
    )  # fmt: skip
    model = ImagePretrainingModel(VitEncoder(config), objectives)
    initialize(model, 0.5, 0)
    return model


def held_out(model: ImagePretrainingModel, count: int = 3) -> HeldOutImages:
    images = np.random.default_rng(0).integers(0, 256, (count, 20, 20, 3)).astype(np.uint8)
    objectives = image_objectives(tuple(model.heads))
    data = ImageData(images, np.arange(count), objectives, model.encoder.config, 0.75)
    return HeldOutImages(data)


def written(folder: Path, *objectives: str) -> tuple[ImagePretrainingModel, list[dict]]:
    model = model_of(*objectives)
    write_pictures(folder, model, held_out(model), CPU)
    return model, json.loads((folder / "pictures.json").read_bytes())


def read(file: Path) -> np.ndarray:
    with Image.open(file) as image:
        assert (image.format, image.mode) == ("PNG", "RGB")
        return np.asarray(image)


def patches_of(picture: np.ndarray) -> np.ndarray:
    """uint8 [16, 4, 4, 3] of an enlarged picture without frames."""
    small = picture[::FACTOR, ::FACTOR]
    assert (small.repeat(FACTOR, 0).repeat(FACTOR, 1) == picture).all()
    return small.reshape(GRID, PATCH, GRID, PATCH, 3).swapaxes(1, 2).reshape(-1, PATCH, PATCH, 3)


def tiles_of(picture: np.ndarray) -> tuple[np.ndarray, list[tuple[int, ...]]]:
    """Tiles uint8 [16, 4, 4, 3] out of their frames, and the colour of each frame."""
    cell = FACTOR * PATCH + 2
    cells = picture.reshape(GRID, cell, GRID, cell, 3).swapaxes(1, 2).reshape(-1, cell, cell, 3)
    frames = []
    for one in cells:
        edge = np.concatenate([one[0], one[-1], one[:, 0], one[:, -1]])
        assert (edge == edge[0]).all()
        frames.append(tuple(int(value) for value in edge[0]))
    return cells[:, 1:-1:FACTOR, 1:-1:FACTOR], frames


def test_visible_patches_stay_missing_ones_are_grey_and_then_filled_in(tmp_path):
    _, records = written(tmp_path, "inpainting")
    assert len(records) == 3
    for record in records:
        original, visible, filled = (
            patches_of(read(tmp_path / record[stage]))
            for stage in ("original", "visible", "reconstruction")
        )
        is_grey = (visible == GREY).all((1, 2, 3))
        assert is_grey.sum() == 12  # three quarters of 16
        assert (visible[~is_grey] == original[~is_grey]).all()
        assert (filled[~is_grey] == original[~is_grey]).all()
        differs = (filled != original).any((1, 2, 3))
        assert (differs == is_grey).all()


def test_the_errors_are_those_that_are_measured_on_the_same_images(tmp_path):
    model, records = written(tmp_path, "inpainting")
    measured = held_out(model).measure(model, CPU)
    for ours, theirs in (
        ("pixel_error", measured["inpainting_pixel_error"]),
        ("mean_colour_error", measured["mean_colour_error"]),
    ):
        assert np.mean([record[ours] for record in records]) == pytest.approx(theirs, abs=2e-6)


def test_tiles_are_shuffled_and_put_in_the_order_that_the_model_gives(tmp_path, monkeypatch):
    model = model_of("jigsaw")

    def two_exchanged(encoder, shuffled) -> torch.Tensor:
        said = shuffled.positions.clone()
        said[0][shuffled.positions[0] == 3], said[0][shuffled.positions[0] == 5] = 5, 3
        return 9.0 * torch.nn.functional.one_hot(said, GRID**2).float()

    monkeypatch.setattr(model.heads["jigsaw"], "scores", two_exchanged)
    write_pictures(tmp_path, model, held_out(model), CPU)
    records = json.loads((tmp_path / "pictures.json").read_bytes())
    assert [(record["tiles_right"], record["tile_count"]) for record in records] == [
        (14, 16), (16, 16), (16, 16),
    ]  # fmt: skip
    for number, record in enumerate(records):
        (tiles, grey), (shuffled, also_grey), (restored, frames) = (
            tiles_of(read(tmp_path / record[stage])) for stage in ("tiles", "shuffled", "restored")
        )
        assert set(grey) == set(also_grey) == {GREY}
        assert (shuffled != tiles).any()
        assert sorted(tile.tobytes() for tile in shuffled) == sorted(
            tile.tobytes() for tile in tiles
        )
        wrong = [place for place, frame in enumerate(frames) if frame == RED]
        assert wrong == ([3, 5] if number == 0 else [])
        order = np.arange(16)
        order[wrong] = wrong[::-1]
        assert (restored == tiles[order]).all()


def test_a_batch_of_pictures_holds_those_of_what_is_learned(tmp_path):
    stages = {
        "inpainting": {"original", "visible", "reconstruction"},
        "jigsaw": {"tiles", "shuffled", "restored"},
    }
    for objectives in (*((name,) for name in IMAGE_OBJECTIVES), IMAGE_OBJECTIVES):
        folder = tmp_path / "-".join(objectives)
        written(folder, *objectives)
        names = {file.name for file in folder.iterdir()} - {"pictures.json"}
        kinds = set().union(*(stages[name] for name in objectives))
        assert names == {f"{number:02d}-{kind}.png" for number in (1, 2, 3) for kind in kinds}


def test_at_most_six_images_are_shown_and_the_model_is_left_as_it_was(tmp_path):
    model = model_of("inpainting").train()
    write_pictures(tmp_path, model, held_out(model, 9), CPU)
    assert len(list(tmp_path.glob("*-original.png"))) == 6
    assert model.training


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("x")
    model = model_of("jigsaw")
    with pytest.raises(UserError, match=r"cannot write .*pictures"):
        write_pictures(tmp_path / "file" / "pictures", model, held_out(model), CPU)


def test_a_run_leaves_pictures_that_its_report_shows(tmp_path):
    photos = write_toy_pictures(tmp_path / "photos", 12)
    pretrain(settings(photos, tmp_path / "run", steps=1))
    assert len(list((tmp_path / "run" / "pictures").glob("*-restored.png"))) == 3
    page = Path(write_report([tmp_path / "run"])["report"]).read_text(encoding="utf-8")
    # Of each image the original, what is visible, what is filled in, the tiles before and after.
    assert page.count('<img src="data:image/png;base64,') == 15
