"""The pages of runs on images: curves, pictures, and the images that a classifier errs on."""

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from selfsup.report.markup import read_picture
from selfsup.settings.finetune import FinetuneSettings
from selfsup.settings.pretrain import PretrainSettings
from tests.report.conftest import write_run
from tests.report.made_up_answers import keep
from tests.report.outline import Outline, report_on

SUMMARY = {
    "steps": 40, "images": 2560, "seconds": 20.0, "images_per_second": 128.0,
    "flops_utilization": 0.4, "inpainting_loss": 0.812, "inpainting_pixel_error": 0.012,
    "mean_colour_error": 0.03, "jigsaw_loss": 2.0, "jigsaw_accuracy": 0.4,
    "jigsaw_chance": 1 / 36,
}  # fmt: skip
BOTH = ("inpainting", "jigsaw")


def image_lines(objectives: tuple[str, ...]) -> list[dict]:
    """A training line a step, a measurement every ten."""
    lines = []
    for step in range(1, 41):
        at = {"step": step, "seconds": step / 2, "images": 64 * step}
        losses = {f"{name}_loss": 3 / step**0.1 for name in objectives}
        rates = {"learning_rate": 1e-3 / step, "images_per_second": 128.0}
        lines.append(at | {"loss": sum(losses.values())} | losses | rates)
        if step % 10 == 0:
            measured = {f"held_out_{name}_loss": 3.1 / step**0.1 for name in objectives}
            if "inpainting" in objectives:
                measured["held_out_inpainting_pixel_error"] = 0.05 - step / 1000
                measured["held_out_mean_colour_error"] = 0.03
            if "jigsaw" in objectives:
                measured["held_out_jigsaw_accuracy"] = step / 100
                measured["held_out_jigsaw_chance"] = 1 / 36
            lines.append(at | measured)
    return lines


def write_png(file: Path, colour: tuple[int, int, int], side: int = 144) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (side, side), colour).save(file)
    return file


def image_run(
    folder: Path, objectives: tuple[str, ...] = BOTH, *, ended: bool = True, pictures: int = 0
) -> Path:
    chosen = PretrainSettings(
        data=("photos",), out="run", encoder="vit-mini", objectives=objectives
    )
    summary = {
        key: value
        for key, value in SUMMARY.items()
        if not key.startswith(tuple(set(BOTH) - set(objectives)))
    }
    run = write_run(folder, chosen, image_lines(objectives), summary if ended else None)
    stages = ("original", "visible", "reconstruction") * ("inpainting" in objectives)
    stages += ("tiles", "shuffled", "restored") * ("jigsaw" in objectives)
    records: list[dict[str, Any]] = []
    for number in range(pictures):
        record: dict[str, Any] = {}
        for place, stage in enumerate(stages):
            record[stage] = f"{number}-{stage}.png"
            write_png(run / "pictures" / record[stage], (40 * number, 20 * place, 255))
        if "inpainting" in objectives:
            record |= {"pixel_error": 0.0123, "mean_colour_error": 0.0456}
        if "jigsaw" in objectives:
            record |= {"tiles_right": 30 + number, "tile_count": 36}
        records.append(record)
    if pictures:
        (run / "pictures" / "pictures.json").write_text(json.dumps(records))
    return run


def charts_of(page: Outline) -> list[str | None]:
    return [value for tag, name, value in page.attributes if (tag, name) == ("svg", "aria-label")]


def images_of(page: Outline) -> list[np.ndarray]:
    """The pixels of the page's images, each of which lies in the page itself."""
    pictures = []
    for tag, name, value in page.attributes:
        if (tag, name) == ("img", "src"):
            found = re.fullmatch(r"data:image/(png|jpeg);base64,(.*)", value or "")
            assert found
            with Image.open(io.BytesIO(base64.b64decode(found[2]))) as image:
                assert image.format == found[1].upper()
                pictures.append(np.asarray(image))
    return pictures


def heads_of_pictures(page: Outline) -> list[str]:
    return next(table[0] for table in page.tables if {"Shuffled", "Filled in"} & set(table[0]))


def test_a_run_on_images_shows_what_each_objective_came_to(tmp_path):
    page = report_on(image_run(tmp_path / "run"))
    shown = page.all_text()
    # 0.012 is 60 % less than 0.03.
    assert "−60.0 % squared error compared with the mean colour's: 0.0120 against 0.0300" in shown
    assert "40.0 % of the tiles put right; chance is 2.8 %" in shown
    for result in ("0.812", "2.56k", "in 40 steps", "128", "20 s"):
        assert result in shown
    assert charts_of(page) == [
        "Inpainting loss", "Reconstruction", "Jigsaw loss", "Jigsaw", "Learning rate", "Speed",
    ]  # fmt: skip
    assert {"mean colour", "guessing", "chance"} <= set(page.of("text"))
    assert page.of("text").count("held out") == 4


def test_the_settings_are_those_that_the_run_has_a_use_for(tmp_path, pretraining_run):
    on_images = report_on(image_run(tmp_path / "run")).of("dt")
    assert {"mask_ratio", "image_size", "dropout"} <= set(on_images)
    assert not {"max_length", "masking", "tokenizer"} & set(on_images)
    on_text = report_on(pretraining_run()).of("dt")
    assert {"max_length", "masking", "tokenizer", "dropout"} <= set(on_text)
    assert not {"mask_ratio", "image_size"} & set(on_text)
    classes = report_on(classified(tmp_path / "classes")).of("dt")
    assert {"image_size", "epochs"} <= set(classes)
    assert not {"max_length", "label_column"} & set(classes)


@pytest.mark.parametrize("name", BOTH)
def test_of_one_objective_alone_there_is_nothing_of_the_other(name: str, tmp_path):
    (other,) = set(BOTH) - {name}
    page = report_on(image_run(tmp_path / "run", (name,), pictures=1))
    titles = [str(title) for title in charts_of(page)]
    assert sum(title.startswith(name.capitalize()) for title in titles) >= 1
    assert not any(title.startswith(other.capitalize()) for title in titles)
    assert (
        heads_of_pictures(page)
        == {
            "inpainting": ["Original", "Left visible", "Filled in"],
            "jigsaw": ["Tiles", "Shuffled", "Put in order"],
        }[name]
    )


def test_a_run_on_images_that_has_not_ended_shows_what_it_had_logged(tmp_path):
    page = report_on(image_run(tmp_path / "run", ended=False))
    shown = page.all_text()
    assert "This run has not ended" in shown
    assert "−66.7 % squared error compared with the mean colour's: 0.0100 against 0.0300" in shown
    assert "What it makes of images it never saw" not in page.of("h2")


def test_the_pictures_lie_in_the_page_with_what_is_measured_of_each(tmp_path):
    page = report_on(image_run(tmp_path / "run", pictures=2))
    assert heads_of_pictures(page) == [
        "Original", "Left visible", "Filled in", "Shuffled", "Put in order",
    ]  # fmt: skip
    pictures = images_of(page)
    assert len(pictures) == 10
    # As written: blue, with 40 of red in the second row, and 20 more of green in each stage.
    for place, green in enumerate((0, 20, 40, 80, 100)):
        assert np.allclose(pictures[place], (0, green, 255), atol=2)
        assert np.allclose(pictures[5 + place], (40, green, 255), atol=2)
    assert page.of("small")[-4:] == [
        "0.0123 (mean colour 0.0456)", "30 of 36 right",
        "0.0123 (mean colour 0.0456)", "31 of 36 right",
    ]  # fmt: skip


@pytest.mark.parametrize("broken", ["{", "7", '[1, {"original": 3}]', '[{"original": "no.png"}]'])
def test_broken_pictures_leave_the_rest_of_the_page(broken: str, tmp_path):
    run = image_run(tmp_path / "run", pictures=1)
    (run / "pictures" / "pictures.json").write_text(broken)
    page = report_on(run)
    assert "Curves" in page.of("h2")
    assert images_of(page) == []


def test_only_files_of_the_folder_of_pictures_are_read(tmp_path):
    run = image_run(tmp_path / "run", pictures=1)
    outside = write_png(tmp_path / "outside.png", (9, 9, 9))
    (run / "pictures" / "pictures.json").write_text(json.dumps([{"original": str(outside)}]))
    assert images_of(report_on(run)) == []


def test_runs_on_images_stand_comparison(tmp_path):
    runs = [
        image_run(tmp_path / "both", pictures=1),
        image_run(tmp_path / "inpainting", ("inpainting",), pictures=1),
        image_run(tmp_path / "again", pictures=1),
    ]
    page = report_on(*runs, out=tmp_path / "all.html")
    assert charts_of(page) == [
        "Inpainting loss", "Reconstruction", "Reconstruction, against time", "Jigsaw",
        "Jigsaw, against time", "Speed",
    ]  # fmt: skip
    (results,) = [table for table in page.tables if ["Images seen", *3 * ["2.56k"]] in table]
    assert ["Tiles put right", "40.0 %", "–", "40.0 %"] in results
    assert ["The same, with the mean colour", *3 * ["0.03000"]] in results
    filled, ordered = [
        table for table in page.tables if table[0][1] in ("Left visible", "Shuffled")
    ]
    assert filled[0] == ["Original", "Left visible", "both", "inpainting", "again"]
    assert ordered[0] == ["Tiles", "Shuffled", "both", "again"]
    # One level, since it is the same for all.
    assert page.of("text").count("mean colour") == 2


def test_pictures_of_different_images_are_not_compared(tmp_path):
    runs = [image_run(tmp_path / name, pictures=1) for name in ("one", "two")]
    for stage in ("original", "tiles"):
        write_png(runs[1] / "pictures" / f"0-{stage}.png", (1, 2, 3))
    assert images_of(report_on(*runs, out=tmp_path / "all.html")) == []


def test_text_and_images_are_compared_in_sections_of_their_own(tmp_path, pretraining_run):
    runs = [image_run(tmp_path / "photos"), pretraining_run("texts")]
    page = report_on(*runs, out=tmp_path / "all.html")
    assert page.of("h2")[:2] == ["Pre-training: text", "Pre-training: images"]


# Image classification.


def classified(folder: Path, *records: tuple[str, str, str, float]) -> Path:
    """A run with answers: (file, label, prediction, its probability)."""
    summary = {
        "task": "image-classification",
        "metrics": {"accuracy": {"mean": 0.5, "std": 0.0, "values": [0.5]}},
        "confusion": {"labels": ["cat", "dog"], "matrix": [[3, 1], [0, 2]]},
        "classes": [{"label": "cat", "precision": 1.0, "recall": 0.75, "f1": 0.857, "examples": 4}],
    }
    chosen = FinetuneSettings(
        task="image-classification",
        encoder="m",
        train="a",
        validation=str(folder.parent),
        out="c",
    )
    lines = [{"seed": 0, "epoch": 1, "train_loss": 1.0, "validation": {"accuracy": 0.5}}]
    answers = [
        {
            "image": file,
            "label": label,
            "prediction": prediction,
            "probabilities": {label: 1 - probability, prediction: probability},
        }
        for file, label, prediction, probability in records
    ]
    return keep(write_run(folder, chosen, lines, summary), answers)


def test_the_images_that_it_is_surest_of_and_wrong_about_are_shown(tmp_path):
    red = write_png(tmp_path / "red.png", (250, 0, 0), side=300)
    blue = write_png(tmp_path / "blue.png", (0, 0, 250), side=300)
    page = report_on(
        classified(
            tmp_path / "run",
            (str(red), "cat", "dog", 0.6),
            (str(tmp_path / "right.png"), "cat", "cat", 0.99),
            (str(blue), "dog", "cat", 0.9),
        )
    )
    first, second = images_of(page)
    assert first.shape == second.shape == (96, 96, 3)
    assert np.allclose(first, (0, 0, 250), atol=3)
    assert np.allclose(second, (250, 0, 0), atol=3)
    shown = page.all_text()
    assert "2 of the 3 images are wrong. The surest first." in shown
    assert "dog taken for cat 90.0 % cat taken for dog 60.0 %" in shown
    assert ["cat", "100.0 %", "75.0 %", "85.7 %", "4"] in page.tables[2]
    assert page.tables[1] == [["", "cat", "dog"], ["cat", "3", "1"], ["dog", "0", "2"]]
    assert "nats an image" in shown


def test_images_that_are_gone_or_broken_are_named_instead(tmp_path):
    (tmp_path / "text.png").write_text("no image")
    here = write_png(tmp_path / "here.png", (1, 2, 3))
    page = report_on(
        classified(
            tmp_path / "run",
            ("photos/dog/<gone>.png", "dog", "cat", 0.9),
            (str(tmp_path / "text.png"), "dog", "cat", 0.8),
            (str(here), "dog", "cat", 0.7),
        )
    )
    shown = page.all_text()
    assert len(images_of(page)) == 1
    assert "2 of these could not be read" in shown
    assert "dog/<gone>.png" in shown
    assert "/text.png" in shown


@pytest.mark.parametrize("name", ["outside.png", "run/link.png", "run/../outside.png"])
def test_an_image_outside_of_the_data_is_not_embedded(tmp_path, name: str):
    """The file of predictions may come from somebody else, and the page may be given to others."""
    data = tmp_path / "run"
    data.mkdir()
    outside = write_png(tmp_path / "outside.png", (9, 9, 9))
    (data / "link.png").symlink_to(outside)
    here = write_png(data / "here.png", (1, 2, 3))
    answers = [(str(tmp_path / name), "dog", "cat", 0.9), (str(here), "dog", "cat", 0.7)]
    page = report_on(classified(data / "task", *answers))
    assert len(images_of(page)) == 1
    assert "1 of these could not be read" in page.all_text()


def test_at_most_twenty_mistakes_are_shown_and_none_where_all_are_right(tmp_path):
    file = str(write_png(tmp_path / "one.png", (1, 2, 3)))
    many = classified(tmp_path / "many", *[(file, "cat", "dog", 0.9)] * 21)
    assert len(images_of(report_on(many))) == 20
    right = report_on(classified(tmp_path / "right", (file, "cat", "cat", 0.9)))
    assert images_of(right) == []
    assert "All 1 images are right." in right.all_text()


# Pictures.


def test_a_picture_keeps_its_proportions_and_is_at_most_so_large(tmp_path):
    Image.new("L", (400, 200)).save(tmp_path / "wide.jpg")
    found = read_picture(tmp_path / "wide.jpg", 96)
    assert found is not None
    assert found[1:] == (96, 48)


def test_a_tiny_picture_is_enlarged_without_blurring_it(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "tiny.png")
    found = read_picture(tmp_path / "tiny.png", 96)
    assert found is not None
    kind, _, data = found.uri.partition(",")
    assert kind == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert (np.asarray(image) == pixels.repeat(12, 0).repeat(12, 1)).all()
