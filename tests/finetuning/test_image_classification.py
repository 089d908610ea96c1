"""Image classification from the folders of images to the run's folder, and what cannot be done."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from selfsup.encoder.huggingface.vit_folder import read_vit_weights
from selfsup.errors import UserError
from selfsup.finetuning.run import finetune
from selfsup.inference.evaluate import evaluate
from selfsup.inference.predict import predict
from selfsup.settings.finetune import FinetuneSettings
from selfsup.settings.inference import EvaluateSettings, PredictSettings
from selfsup.settings.yaml_file import from_yaml
from tests.toy_tasks import (
    CLASSES,
    write_toy_file,
    write_toy_images,
    write_toy_model,
    write_toy_vit,
)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    write_toy_images(folder / "train", 12, seed=1)
    write_toy_images(folder / "validation", 6, seed=2)
    write_toy_vit(folder / "vit")
    write_toy_model(folder / "bert")
    write_toy_file(folder / "texts.tsv", 8, seed=1)
    return folder


def settings(files: Path, out: Path, **changed: Any) -> FinetuneSettings:
    values = {
        "task": "image-classification",
        "encoder": str(files / "vit"),
        "train": str(files / "train"),
        "validation": str(files / "validation"),
        "out": str(out),
        "epochs": 10,
        "batch_size": 12,
        "learning_rate": 2e-3,
        "device": "cpu",
        "precision": "float32",
        "threads": 1,
    }
    return FinetuneSettings(**(values | changed))


MACHINE = {"device": "cpu", "precision": "float32", "threads": 1}


@pytest.fixture(scope="module")
def run(files, tmp_path_factory) -> tuple[Path, dict]:
    out = tmp_path_factory.mktemp("runs") / "first"
    return out, finetune(settings(files, out))


def test_it_learns_which_way_the_stripes_run(run):
    out, summary = run
    assert summary["metrics"]["accuracy"]["mean"] > 0.8
    assert summary["confusion"]["labels"] == list(CLASSES)
    assert np.sum(summary["confusion"]["matrix"]) == 18
    assert json.loads((out / "summary.json").read_text())["metrics"] == summary["metrics"]
    chosen = from_yaml(FinetuneSettings, out / "run.yaml", "finetune")
    assert (chosen.image_size, chosen.patch_size, chosen.dropout) == (16, 4, 0.0)
    assert chosen.max_length is None


def test_the_run_keeps_what_its_model_says_of_each_validation_image(run, files):
    lines = (run[0] / "validation_predictions.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert [record["image"] for record in records] == sorted(
        map(str, (files / "validation").rglob("*.png"))
    )
    right = np.mean([record["label"] == record["prediction"] for record in records])
    assert right == run[1]["metrics"]["accuracy"]["mean"]


def test_evaluate_finds_what_training_measured(run, files, tmp_path):
    answers = tmp_path / "answers.jsonl"
    found = evaluate(
        EvaluateSettings(
            model=str(run[0]), data=str(files / "validation"), predictions=str(answers), **MACHINE
        )
    )
    assert found["metrics"]["accuracy"] == run[1]["metrics"]["accuracy"]["mean"]
    assert found["confusion"] == run[1]["confusion"]
    kept = (run[0] / "validation_predictions.jsonl").read_text().splitlines()
    for ours, theirs in zip(answers.read_text().splitlines(), kept, strict=True):
        assert json.loads(ours)["image"] == json.loads(theirs)["image"]
        probabilities = json.loads(theirs)["probabilities"]
        assert json.loads(ours)["probabilities"] == pytest.approx(probabilities, abs=1e-5)


def test_predict_takes_an_image_or_a_folder(run, files, tmp_path):
    image = files / "validation" / "along" / "002.png"
    one = predict(PredictSettings(model=str(run[0]), text=str(image), **MACHINE))
    assert one["image"] == str(image)
    assert one["label"] in CLASSES
    assert sum(one["probabilities"].values()) == pytest.approx(1)
    out = tmp_path / "answers.jsonl"
    several = predict(
        PredictSettings(model=str(run[0]), data=str(files / "train"), out=str(out), **MACHINE)
    )
    assert several["examples"] == 36 == sum(several["labels"].values())
    assert len(out.read_text().splitlines()) == 36


def test_the_same_run_twice_is_the_same(run, files, tmp_path):
    again = finetune(settings(files, tmp_path / "again"))
    assert again["metrics"] == run[1]["metrics"]
    weights = [read_vit_weights(out / "model") for out in (run[0], tmp_path / "again")]
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())


def test_a_frozen_encoder_stays_and_transformers_sees_the_head_as_it_was_trained(files, tmp_path):
    summary = finetune(settings(files, tmp_path / "run", freeze="encoder", epochs=20))
    assert summary["metrics"]["accuracy"]["mean"] > 0.5
    before, after = read_vit_weights(files / "vit"), read_vit_weights(tmp_path / "run" / "model")
    assert len(before) > 30
    for name, tensor in before.items():
        assert torch.equal(after[name], tensor), name
    found = evaluate(
        EvaluateSettings(model=str(tmp_path / "run"), data=str(files / "validation"), **MACHINE)
    )
    assert found["metrics"]["accuracy"] == summary["metrics"]["accuracy"]["mean"]
    pipeline: Any = transformers.pipeline(
        "image-classification",
        model=str(tmp_path / "run" / "model"),
        image_processor=str(tmp_path / "run" / "model"),
    )
    lines = (tmp_path / "run" / "validation_predictions.jsonl").read_text().splitlines()
    for line in lines:
        record = json.loads(line)
        theirs = {entry["label"]: entry["score"] for entry in pipeline(record["image"], top_k=3)}
        assert record["probabilities"] == pytest.approx(theirs, abs=1e-4)


def test_from_random_weights_the_size_is_by_the_images(files, tmp_path):
    finetune(settings(files, tmp_path / "run", encoder="vit-mini", epochs=1))
    chosen = from_yaml(FinetuneSettings, tmp_path / "run" / "run.yaml", "finetune")
    assert chosen.image_size is not None
    assert chosen.patch_size is not None
    assert 20 <= chosen.image_size <= 27
    assert chosen.image_size % chosen.patch_size == 0


def test_larger_images_than_it_was_pre_trained_on(files, tmp_path):
    finetune(settings(files, tmp_path / "run", epochs=1, image_size=24))
    processor = json.loads((tmp_path / "run" / "model" / "preprocessor_config.json").read_text())
    assert processor["size"] == {"height": 24, "width": 24}
    config = json.loads((tmp_path / "run" / "model" / "config.json").read_text())
    assert config["image_size"] == 24


def test_layers_are_frozen_reinitialized_and_shown(files, tmp_path):
    chosen = settings(
        files, tmp_path / "run", print_layers=True, layer_decay=0.5, reinit_layers=1, freeze="1"
    )
    layers = {row["pattern"]: row for row in finetune(chosen)["layers"]}
    assert not (tmp_path / "run").exists()
    rates = {pattern: row["learning_rate"] for pattern, row in layers.items()}
    assert rates == {
        "encoder.embeddings.*": None,
        "encoder.layers.0.*": None,
        "encoder.layers.1.*": 2e-3,
        "encoder.norm.*": 2e-3,
        "*": 2e-3,
    }
    drawn = [pattern for pattern, row in layers.items() if row["reinitialized"]]
    assert drawn == ["encoder.layers.1.*", "encoder.norm.*"]


def test_a_broken_image_is_left_out_and_said(files, tmp_path, capsys):
    train = shutil.copytree(files / "train", tmp_path / "train")
    (train / "along" / "003.png").write_bytes(b"not an image")
    with pytest.raises(UserError, match=r"003\.png: no image.* raise --max-bad-fraction"):
        finetune(settings(files, tmp_path / "run", train=str(train), epochs=1))
    assert not (tmp_path / "run").exists()
    allowed = settings(files, tmp_path / "run", train=str(train), epochs=1, max_bad_fraction=0.05)
    finetune(allowed)
    said = " ".join(capsys.readouterr().err.split())
    assert "1 of 36 images cannot be read and are left out" in said
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["train_examples"] == 35


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"encoder": "bert-mini"}, r"--encoder bert-mini: takes text, but image-classification"),
        (
            {"encoder": "{files}/bert"},
            r"bert: takes text, but image-classification is learned",
        ),
        ({"encoder": "none"}, r"--encoder none: no such model folder or run, and no size \(vit-"),
        ({"task": "sequence-classification"}, "vit: takes images, but sequence-classification"),
        (
            {"task": "sequence-classification", "encoder": "vit-tiny"},
            r"--encoder vit-tiny: takes images, but .* is learned from text: .*\(bert-tiny",
        ),
        ({"train": "{files}/nothing"}, "nothing: no such file or folder"),
        ({"train": "{files}/train/along"}, "along/000.png: lies in no class's folder"),
        ({"train": "{files}/texts.tsv"}, "texts.tsv: a file: name a folder"),
        ({"train": "{files}"}, "holds train and validation, which are no classes"),
        ({"patch_size": 8}, "--patch-size 8: .* was trained with patches of 4 pixels"),
        ({"image_size": 18}, "--image-size 18: "),
        ({"encoder": "vit-mini", "patch_size": 16}, "--patch-size 16: .* no room for 2 × 2"),
        (
            {"encoder": "vit-mini", "image_size": 24, "patch_size": 7},
            "--image-size, --patch-size: .*not a multiple",
        ),
    ],
)
def test_what_cannot_be_learned_is_said_in_a_line_before_anything_is_written(
    files, tmp_path, changed, said
):
    changed = {
        name: value.format(files=files) if isinstance(value, str) else value
        for name, value in changed.items()
    }
    if changed.get("task"):
        texts = str(files / "texts.tsv")
        changed |= {"train": texts, "validation": texts}
    with pytest.raises(UserError, match=said) as refused:
        finetune(settings(files, tmp_path / "run", **changed))
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "run").exists()


def test_a_class_that_was_not_trained_on_is_named(files, run, tmp_path):
    validation = shutil.copytree(files / "validation", tmp_path / "validation")
    (validation / "plain").rename(validation / "zigzag")
    said = "zigzag/000.png: its class 'zigzag' was not among those trained on"
    with pytest.raises(UserError, match=said):
        finetune(settings(files, tmp_path / "run", validation=str(validation)))
    with pytest.raises(UserError, match=said):
        evaluate(EvaluateSettings(model=str(run[0]), data=str(validation), **MACHINE))


def test_a_pre_trained_model_cannot_predict_and_a_text_is_no_image(files, run):
    with pytest.raises(UserError, match=r"vit: not fine-tuned for a task .* names ViTModel"):
        predict(PredictSettings(model=str(files / "vit"), text="image.png", **MACHINE))
    with pytest.raises(UserError, match=r"A film\.: no such file: this model takes an image"):
        predict(PredictSettings(model=str(run[0]), text="A film.", **MACHINE))
