"""The demo with images on a few of the digits: its results, its parts, what it may write over."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from selfsup import cli
from selfsup.demo import images as demo_images
from selfsup.demo import run as demo_run
from selfsup.demo.images import ImageDemo, write_digits
from selfsup.demo.run import demo_folder
from selfsup.errors import UserError
from selfsup.report.demo import IMAGE_WAYS
from selfsup.settings.showing import DemoSettings

QUICK: dict[str, Any] = {
    "data": "images", "device": "cpu", "precision": "float32", "threads": 1, "workers": 1,
    "seeds": 1, "minutes": 0.01,
}  # fmt: skip
WAYS = [way for way, _, _ in IMAGE_WAYS]
PRETRAININGS = ("inpainting", "jigsaw", "both")


def settings(out: Path, **changed: Any) -> DemoSettings:
    return DemoSettings(out=str(out), **(QUICK | changed))


def demo(chosen: DemoSettings) -> dict[str, Any]:
    return ImageDemo(chosen).run()


def first_digits() -> tuple[np.ndarray, np.ndarray]:
    """120 images of 0, 1 and 2, and which each is."""
    pixels, labels = map(np.asarray, load_digits(n_class=3, return_X_y=True))
    return pixels[:120].reshape(-1, 8, 8), labels[:120]


@pytest.fixture(autouse=True, scope="module")
def a_small_demo():
    few = first_digits()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo_images, "_digits", lambda: few)
        patch.setattr(demo_images, "EXAMPLES", {"test": 4, "validation": 2, "train": 3})
        patch.setattr(demo_images, "EPOCHS", 1)
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> tuple[Path, dict]:
    out = tmp_path_factory.mktemp("runs") / "demo"
    return out, demo(settings(out))


def test_the_summary_holds_the_accuracy_of_each_way_over_the_seeds(run):
    out, result = run
    summary = json.loads((out / "summary.json").read_bytes())
    assert result == {**summary, "out": str(out), "report": str(out / "report.html")}
    assert {"inpainting", "jigsaw", "both", "both_frozen", "scratch"} <= set(WAYS)
    for way in WAYS:
        accuracy = summary[way]["accuracy"]
        assert set(accuracy) == {"mean", "std", "values"}
        assert len(accuracy["values"]) == 1
        assert 0 <= accuracy["mean"] <= 1


def test_the_summary_says_how_each_pretraining_went_and_what_the_task_was(run):
    _, result = run
    assert set(result["pretraining"]) == set(PRETRAININGS)
    assert all(each["steps"] >= 1 for each in result["pretraining"].values())
    assert result["pretraining"]["inpainting"]["jigsaw_accuracy"] is None
    assert result["pretraining"]["jigsaw"]["inpainting_loss"] is None
    assert result["task"] == {
        "labels": ["0", "1", "2"], "train_examples": 9, "validation_examples": 6,
        "test_examples": 12, "pretraining_images": 120 - 27,
    }  # fmt: skip


def test_every_part_lies_in_a_run_folder_of_its_own(run):
    out, _ = run
    for part in [f"pretrain-{name}" for name in PRETRAININGS] + [f"{way}/seed-0" for way in WAYS]:
        for name in ("run.yaml", "metrics.jsonl", "summary.json", "model/model.safetensors"):
            assert (out / part / name).exists(), f"{part}/{name}"


def test_the_ways_differ_in_nothing_but_where_they_start(run):
    out, _ = run

    def chosen(way: str) -> dict[str, str]:
        lines = (out / way / "seed-0" / "run.yaml").read_text().splitlines()
        return dict(line.split(": ", 1) for line in lines)

    scratch = chosen("scratch")
    assert scratch["encoder"] == "vit-mini"
    for way in WAYS:
        other = chosen(way)
        differing = {name for name in scratch if other[name] != scratch[name]}
        if way.endswith("_frozen"):
            assert other["freeze"] == "encoder"
            differing -= {"freeze", "head_learning_rate"}
        assert differing <= {"encoder", "out"}, way
    assert chosen("jigsaw_frozen")["encoder"] == f"{out}/pretrain-jigsaw"


def test_the_budget_is_divided_among_the_pretrainings(run):
    out, _ = run
    for name in PRETRAININGS:
        assert "budget: 0.200s" in (out / f"pretrain-{name}" / "run.yaml").read_text()


def test_each_digit_is_in_one_part_only_and_looks_as_it_was(tmp_path):
    write_digits(tmp_path, seed=0)
    files = sorted(tmp_path.glob("**/*.png"))
    assert len({file.name for file in files}) == len(files) == 120
    assert len(list((tmp_path / "test" / "2").iterdir())) == 4
    images, _ = first_digits()
    for file in files[::10]:
        small = np.asarray(Image.open(file).reduce(4), np.float64)
        ink = 16 * (1 - small / 255)
        assert np.corrcoef(ink.ravel(), images[int(file.stem[-4:])].ravel())[0, 1] > 0.97


def test_another_seed_divides_the_digits_otherwise(tmp_path):
    parts = []
    for seed in (0, 0, 1):
        folder = tmp_path / str(len(parts))
        write_digits(folder, seed)
        parts.append({file.name for file in folder.glob("test/**/*.png")})
    assert parts[0] == parts[1] != parts[2]


def test_the_scores_are_those_of_the_test_images(run, capsys):
    out, result = run
    words = ["evaluate", str(out / "both" / "seed-0"), "--data", str(out / "data" / "test"),
             "--json", "--device", "cpu", "--precision", "float32"]  # fmt: skip
    assert cli.main(words) == 0
    measured = json.loads(capsys.readouterr().out)["metrics"]["accuracy"]
    assert measured == result["both"]["accuracy"]["values"][0]


def test_trials_in_several_processes_give_the_same_models_as_one_after_the_other(
    run, tmp_path, monkeypatch
):
    out, result = run
    monkeypatch.setattr(demo_run, "default_workers", lambda: 2)
    trials = {}
    for way in ("inpainting", "scratch"):
        trial = ImageDemo(settings(out)).trial(way, way, 0)
        there = str(tmp_path / way)
        trials[way] = [
            trial._replace(
                finetuning=replace(trial.finetuning, out=there),
                evaluation=replace(trial.evaluation, model=there),
            )
        ]
    scores = demo_run.accuracies_on_test(trials, settings(out, threads=None))
    assert scores == {way: result[way] for way in trials}
    for way in trials:
        weights = Path("model", "model.safetensors")
        alone = (out / way / "seed-0" / weights).read_bytes()
        assert (tmp_path / way / weights).read_bytes() == alone


def die(trial: demo_run.Trial) -> float:
    os._exit(1)


def test_a_process_that_is_killed_ends_the_demo_in_one_line(run, monkeypatch):
    out, _ = run
    monkeypatch.setattr(demo_run, "default_workers", lambda: 2)
    monkeypatch.setattr(demo_run, "_accuracy_on_one_thread", die)
    trial = ImageDemo(settings(out)).trial("scratch", "scratch", 0)
    with pytest.raises(
        UserError, match="killed, probably because memory ran out: with --threads 1"
    ):
        demo_run.accuracies_on_test({"scratch": [trial] * 3}, settings(out, threads=None))


def test_the_page_shows_the_ways_the_curves_and_the_pictures(run):
    page = (run[0] / "report.html").read_text(encoding="utf-8")
    for what in (
        "from scratch", "jigsaw, frozen", "Pre-training: inpainting and jigsaw",
        "which digit was written by hand, 0 to 2", "data:image/png;base64,",
    ):  # fmt: skip
        assert what in page


def test_the_command_prints_the_table_and_what_to_try_next(monkeypatch, run, capsys):
    _, result = run
    monkeypatch.setattr(ImageDemo, "run", lambda _: result)
    assert cli.main(["demo", "images"]) == 0
    said = capsys.readouterr().out
    for what in (
        "inpainting, frozen", "The effect of pre-training: inpainting ",
        f"Report: {result['report']}", "selfsup pretrain my-photos/",
    ):  # fmt: skip
        assert what in said
    assert "fill-mask" not in said


def test_a_new_demo_takes_the_place_of_an_earlier_one_and_of_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(demo_run, "finetune", lambda chosen, display: None)
    scores = {"metrics": {"accuracy": 0.5}}
    monkeypatch.setattr(demo_run, "evaluate", lambda chosen, display: scores)
    demo(settings(tmp_path))
    mine = {"notes.txt", "pretrain-jigsaw/mine.txt", "both/mine/model.bin", "data/test/1/mine.png"}
    for name in mine:
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("mine")
    with demo_folder(settings(tmp_path, seeds=2)):
        pass
    left = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()}
    assert left == mine | {"run.yaml"}


def test_a_folder_of_anything_else_is_refused_unharmed(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="holds what no demo wrote"):
        demo(settings(tmp_path))
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("word", ["image", "sounds"])
def test_a_demo_of_something_else_is_refused(word: str, capsys):
    assert cli.main(["demo", word]) == 2
    assert f"demo takes text or images, not '{word}'" in capsys.readouterr().err
