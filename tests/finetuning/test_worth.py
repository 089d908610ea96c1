"""What the encoder is worth: the table of a run, and the comparison with the best other model."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from selfsup.finetuning.intervals import wilson_interval
from selfsup.finetuning.run import finetune
from tests.toy_tasks import (
    toy_settings,
    write_toy_conll,
    write_toy_file,
    write_toy_images,
    write_toy_model,
    write_toy_questions,
    write_toy_vit,
)

settings = partial(toy_settings, epochs=2)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    write_toy_file(folder / "train.tsv", 120, seed=1)
    write_toy_file(folder / "dev.tsv", 40, seed=2)
    write_toy_conll(folder / "train.conll", 60, seed=1)
    write_toy_conll(folder / "dev.conll", 30, seed=2)
    write_toy_questions(folder / "train.json", 12, seed=1)
    write_toy_model(folder / "encoder")
    return folder


def test_a_run_is_compared_with_models_without_an_encoder(files, tmp_path):
    result = finetune(settings(files, tmp_path / "run", seeds=2))
    found = result["comparison"]
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["comparison"] == found
    assert [(model["name"], model["has_encoder"]) for model in found["models"]] == [
        ("fine-tuned encoder", True),
        ("constant answer", False),
        ("bag of words", False),
        ("bag of characters (1–4)", False),
    ]
    tuned, constant, words, _ = found["models"]
    assert constant["metrics"] == result["baseline"]
    assert words["metrics"]["accuracy"] > 0.95  # a single word tells the label
    assert (found["metric"], found["interval_method"]) == ("accuracy", "Wilson")
    mean = result["metrics"]["accuracy"]["mean"]
    assert tuned["interval"] == list(wilson_interval(mean, 40))
    best = max(model["metrics"]["accuracy"] for model in found["models"][1:])
    assert found["worth"]["difference"] == pytest.approx(mean - best)
    low, high = found["worth"]["interval"]
    assert low <= found["worth"]["difference"] <= high


def test_the_comparison_can_be_left_out(files, tmp_path):
    result = finetune(settings(files, tmp_path / "run", baselines=False))
    assert "comparison" not in result


def test_the_comparison_is_the_same_each_time(files, tmp_path):
    first, second = (
        finetune(settings(files, tmp_path / name, epochs=1))["comparison"] for name in "ab"
    )
    assert first == second


def test_tags_are_compared_by_the_f1_of_entities(files, tmp_path):
    found = finetune(settings(files, tmp_path / "run", task="token-classification"))["comparison"]
    assert [model["name"] for model in found["models"]][2:] == ["word windows"]
    assert found["metric"] == "f1"
    assert found["interval_method"].startswith("bootstrap")
    for model in found["models"]:
        low, high = model["interval"]
        assert low <= model["metrics"]["f1"] <= high


def test_images_are_compared_by_their_pixels(tmp_path):
    write_toy_images(tmp_path / "train", 8, seed=1)
    write_toy_images(tmp_path / "dev", 4, seed=2)
    write_toy_vit(tmp_path / "vit")
    images = {
        "encoder": str(tmp_path / "vit"),
        "train": str(tmp_path / "train"),
        "validation": str(tmp_path / "dev"),
        "max_length": None,
    }
    result = finetune(settings(tmp_path, tmp_path / "run", task="image-classification", **images))
    assert [model["name"] for model in result["comparison"]["models"]][2:] == ["raw pixels"]


@pytest.mark.parametrize("kind", ["multi", "number"])
def test_several_labels_and_numbers_are_compared_by_their_own_metric(files, tmp_path, kind: str):
    random = np.random.default_rng(1)
    for part in ("train", "dev"):
        head, *rows = (files / f"{part}.tsv").read_text().splitlines()
        changed = [head]
        for row in rows:
            label, text = row.split("\t")
            several = label + ("|long" if len(text) > 30 else "")
            number = f"{(label == 'up') + random.normal(0, 0.1):.3f}"
            changed.append(f"{several if kind == 'multi' else number}\t{text}")
        (tmp_path / f"{part}.tsv").write_text("\n".join(changed) + "\n")
    separator = "|" if kind == "multi" else None
    found = finetune(
        settings(
            tmp_path, tmp_path / "run", encoder=str(files / "encoder"), label_type=kind,
            label_separator=separator,
        )
    )["comparison"]  # fmt: skip
    _, constant, words, _ = found["models"]
    assert found["metric"] == {"multi": "f1", "number": "spearman"}[kind]
    assert words["metrics"][found["metric"]] > constant["metrics"][found["metric"]]


def test_questions_have_no_models_without_an_encoder(files, tmp_path):
    squad = {"train": str(files / "train.json"), "validation": str(files / "train.json")}
    result = finetune(
        settings(
            files, tmp_path / "run", task="question-answering", epochs=1, max_length=32, **squad
        )
    )
    assert "comparison" not in result
