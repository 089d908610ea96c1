"""``finetune --freeze encoder``: a head fitted to the output of an encoder that stays as it is."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegressionCV
from sklearn.preprocessing import StandardScaler
from transformers import pipeline

from selfsup.encoder.huggingface.folder import read_weights
from selfsup.errors import UserError
from selfsup.finetuning import linear_probe
from selfsup.finetuning.run import finetune, resume
from selfsup.finetuning.training_run import FinetuneLog
from selfsup.inference.predictor import Predictor
from selfsup.settings.finetune import FinetuneSettings
from selfsup.settings.pretrain import ResumeSettings
from tests.toy_tasks import (
    ON_CPU,
    toy_examples,
    write_toy_conll,
    write_toy_file,
    write_toy_images,
    write_toy_model,
    write_toy_questions,
    write_toy_vit,
)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("probe")
    write_toy_model(folder / "encoder")
    write_toy_vit(folder / "vit")
    for part, count, seed in (("train", 60, 1), ("dev", 40, 2)):
        write_toy_file(folder / f"{part}.tsv", count, seed)
        write_toy_conll(folder / f"{part}.conll", count, seed)
        write_toy_questions(folder / f"{part}.json", count, seed)
        write_toy_images(folder / part, count // 4, seed)
        numbers = [
            f"{1000 + 50 * (label == 'up') + len(text)}\t{text}"
            for label, text in toy_examples(count, seed)
        ]
        (folder / f"{part}-number.tsv").write_text("\n".join(["score\tsentence", *numbers]) + "\n")
        several = [
            f"{label},{'long' if len(text) > 30 else 'short'}\t{text}"
            for label, text in toy_examples(count, seed)
        ]
        (folder / f"{part}-multi.tsv").write_text("\n".join(["labels\tsentence", *several]) + "\n")
    return folder


def settings(files: Path, out: Path, ending: str = ".tsv", **changed) -> FinetuneSettings:
    values = {
        "task": "sequence-classification", "encoder": str(files / "encoder"),
        "train": f"{files}/train{ending}", "validation": f"{files}/dev{ending}", "out": str(out),
        "max_length": 24, "freeze": "encoder", **ON_CPU,
    }  # fmt: skip
    return FinetuneSettings(**values | changed)


TASKS = {
    "one label": {},
    "number": {"ending": "-number.tsv", "label_type": "number"},
    "several labels": {"ending": "-multi.tsv", "label_type": "multi", "label_separator": ","},
    "windows": {"long_text": "window", "max_length": 8},
    "tags": {"task": "token-classification", "ending": ".conll"},
    "images": {"task": "image-classification", "ending": "", "encoder": "vit", "max_length": None},
    "random weights": {"encoder": "bert-tiny"},
}  # fmt: skip


@pytest.mark.parametrize("task", TASKS)
def test_a_head_is_fitted_in_no_epoch_and_beats_chance(task: str, files, tmp_path):
    changed = dict(TASKS[task])
    if changed.get("encoder") == "vit":
        changed["encoder"] = str(files / "vit")
    summary = finetune(settings(files, tmp_path / "run", **changed))
    selection = summary["selection_metric"]
    assert summary["metrics"][selection]["mean"] > summary["chance"] + 0.1
    assert summary["epochs"] == 0
    (line,) = map(json.loads, (tmp_path / "run" / "metrics.jsonl").read_text().splitlines())
    assert (line["epoch"], line["step"], line["train_loss"]) == (0, 0, None)


def test_the_encoder_below_the_pooled_layer_stays_as_it_was(files, tmp_path):
    finetune(settings(files, tmp_path, pooling="mean-1"))
    before, after = read_weights(files / "encoder"), read_weights(tmp_path / "model")
    kept = [name for name in before if name.startswith(("bert.embeddings", "bert.encoder.layer.0"))]
    assert len(kept) == 5 + 16
    assert all(torch.equal(before[name], after[name]) for name in kept)
    config = json.loads((tmp_path / "model" / "config.json").read_bytes())
    assert config["num_hidden_layers"] == 2  # one of its own, and one that averages


def test_it_is_scikit_learns_regression_on_the_mean_vectors(files, tmp_path):
    finetune(settings(files, tmp_path, pooling="mean"))
    predictor = Predictor.load(tmp_path / "model", "cpu", "float32")
    train, dev = toy_examples(60, 1), toy_examples(40, 2)

    def vectors(examples: list[tuple[str, str]]) -> np.ndarray:
        from transformers import AutoModel, AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(files / "encoder")
        model = AutoModel.from_pretrained(files / "encoder").eval()
        with torch.inference_mode():
            return np.stack(
                [
                    model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0)
                    for _, text in examples
                ]
            )

    scaler = StandardScaler().fit(vectors(train))
    strengths: Any = [10.0**power for power in range(-5, 2)]
    peer = LogisticRegressionCV(
        Cs=strengths, cv=5, scoring="neg_log_loss", max_iter=5000,
    )  # fmt: skip
    peer.fit(scaler.transform(vectors(train)), [label for label, _ in train])
    answers = peer.predict(scaler.transform(vectors(dev)))
    expected = np.mean([answer == label for answer, (label, _) in zip(answers, dev, strict=True)])
    found = [
        answer["label"] == label
        for answer, (label, _) in zip(
            predictor.predict([text for _, text in dev]), dev, strict=True
        )
    ]
    assert abs(np.mean(found) - expected) <= 0.075  # three of 40


def test_transformers_runs_the_result_with_the_same_probabilities(files, tmp_path):
    finetune(settings(files, tmp_path))
    texts = [text for _, text in toy_examples(10, 3)]
    peer: Any = pipeline("text-classification", str(tmp_path / "model"), top_k=None)
    predictor = Predictor.load(tmp_path / "model", "cpu", "float32")
    for text, answers in zip(texts, peer(texts), strict=True):
        (ours,) = predictor.predict([text])
        assert ours["probabilities"] == pytest.approx(
            {each["label"]: each["score"] for each in answers}, abs=1e-5
        )


def test_a_pooling_is_chosen_by_training_examples_alone(files, tmp_path, monkeypatch):
    seen = []
    fit = linear_probe.cross_validated_loss
    monkeypatch.setattr(
        linear_probe, "cross_validated_loss", lambda given: seen.append(given) or fit(given)
    )
    finetune(settings(files, tmp_path))
    losses = [fit(given) for given in seen]
    assert [len(given) for given in seen] == [60, 60]  # the means of two layers
    chosen = ("mean", "mean-1")[int(np.argmin(losses))]
    assert f"\npooling: {chosen}\n" in (tmp_path / "run.yaml").read_text()


def test_the_features_are_computed_once_for_all_seeds(files, tmp_path, monkeypatch):
    from selfsup.tasks.classification.task import SequenceClassifier

    computed: list[int] = []
    features = SequenceClassifier.features

    def counted(self, batch):
        computed.append(len(batch.packing.first_rows))
        return features(self, batch)

    monkeypatch.setattr(SequenceClassifier, "features", counted)
    summary = finetune(settings(files, tmp_path, seeds=3))
    assert sum(computed) == 60 + 40
    assert summary["metrics"]["accuracy"]["std"] == 0


def learning(files: Path, out: Path, **changed) -> FinetuneSettings:
    flags = {
        "freeze": None, "head": "fitted", "epochs": 3, "batch_size": 16, "learning_rate": 3e-4,
        "checkpoint_every": 2,
    }  # fmt: skip
    return settings(files, out, **flags | changed)


def test_training_of_all_layers_begins_with_the_fitted_head_and_ends_no_worse(files, tmp_path):
    frozen = finetune(settings(files, tmp_path / "frozen", pooling="mean"))
    whole = finetune(learning(files, tmp_path / "whole", pooling="mean"))
    lines = [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").open()]
    assert [line["epoch"] for line in lines] == [0, 1, 2, 3]
    first = {name: values["mean"] for name, values in frozen["metrics"].items()}
    assert first.items() <= lines[0]["validation"].items()
    assert whole["metrics"]["accuracy"]["mean"] >= first["accuracy"]
    assert whole["metrics"]["accuracy"]["mean"] == max(
        line["validation"]["accuracy"] for line in lines
    )


def test_a_head_that_is_best_as_it_was_fitted_is_kept(files, tmp_path):
    finetune(settings(files, tmp_path / "frozen", pooling="mean"))
    # A rate that destroys everything.
    summary = finetune(learning(files, tmp_path / "whole", pooling="mean", learning_rate=0.5))
    assert summary["best_epochs"] == {"0": 0}
    frozen, whole = (read_weights(tmp_path / name / "model") for name in ("frozen", "whole"))
    assert frozen.keys() == whole.keys()
    assert all(torch.equal(frozen[name], whole[name]) for name in frozen)


def test_the_layer_that_averages_never_learns(files, tmp_path):
    finetune(learning(files, tmp_path, pooling="mean", epochs=12, learning_rate=1e-3))
    before, after = read_weights(files / "encoder"), read_weights(tmp_path / "model")
    key = "bert.encoder.layer.{}.attention.output.dense.weight"
    assert torch.equal(after[key.format(2)], 4096 * torch.eye(32))
    pooler = after["bert.pooler.dense.weight"]
    assert torch.equal(pooler, torch.diag(pooler.diagonal()))
    assert not torch.equal(before[key.format(1)], after[key.format(1)])


@pytest.mark.parametrize(("epochs", "steps"), [(3, 1), (3, 3), (3, 7), (45, 19)])
def test_a_stopped_run_ends_as_one_that_was_not(epochs, steps, files, tmp_path, monkeypatch):
    flags = {"checkpoint_every": 1, "dropout": 0.2, "seeds": 2, "epochs": epochs}
    finetune(learning(files, tmp_path / "whole", **flags))
    after_step, taken = FinetuneLog.after_step, []

    def count_and_die(self, seed, report):
        taken.append(seed)
        if len(taken) == steps + 1:
            raise ZeroDivisionError
        after_step(self, seed, report)

    stopped = learning(files, tmp_path / "stopped", **flags)
    with monkeypatch.context() as patch:
        patch.setattr(FinetuneLog, "after_step", count_and_die)
        with pytest.raises(ZeroDivisionError):
            finetune(stopped)
    resume(ResumeSettings(run=str(tmp_path / "stopped")))
    for name in ("model/model.safetensors", "metrics.jsonl", "validation_predictions.jsonl"):
        first, second = (tmp_path / run / name for run in ("whole", "stopped"))
        assert first.read_bytes() == second.read_bytes(), name


MISTAKES = {
    "answers": (
        {"task": "question-answering", "ending": ".json", "head": "fitted", "max_length": 32},
        "--head fitted: question-answering has no head that can be fitted",
    ),
    "pooling of tags": (
        {"task": "token-classification", "ending": ".conll", "pooling": "mean"},
        "--pooling mean: token-classification has no pooling to choose",
    ),
    "pooling of random weights": (
        {"encoder": "bert-tiny", "pooling": "mean"},
        "--pooling mean: bert-tiny, which starts at random, has no pooling to choose",
    ),
    "a layer too high": ({"pooling": "mean-3"}, "with a layer N from 1 to 2, not 'mean-3'"),
    "no epoch": ({"head": "trained", "epochs": 0}, "--epochs 0 is for a head that is fitted"),
    "new layers": (
        {"freeze": None, "head": "fitted", "reinit_layers": 1},
        "--reinit-layers draws layers anew that --head fitted builds on",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_flags_that_do_not_fit_are_refused_in_one_line(mistake: str, files, tmp_path):
    changed, said = MISTAKES[mistake]
    with pytest.raises(UserError, match=said.replace("(", r"\(")) as raised:
        finetune(settings(files, tmp_path / "run", **changed))
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "run").exists()


def test_a_saved_pooling_stays_when_the_model_is_the_next_encoder(files, tmp_path):
    finetune(settings(files, tmp_path / "first", pooling="mean-1"))
    finetune(learning(files, tmp_path / "second", encoder=str(tmp_path / "first"), epochs=1))
    assert "\npooling: pooler\n" in (tmp_path / "second" / "run.yaml").read_text()
    pooler = read_weights(tmp_path / "second" / "model")["bert.pooler.dense.weight"]
    assert torch.equal(pooler, torch.diag(pooler.diagonal()))


def test_contrast_is_a_second_loss_in_training(files, tmp_path):
    for name, weight in (("without", 0.0), ("with", 1.0)):
        finetune(learning(files, tmp_path / name, contrast=weight, pooling="mean"))
    without, contrasted = (
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").open()]
        for name in ("without", "with")
    )
    assert without[0] == contrasted[0]  # the head was fitted alike
    assert contrasted[1]["train_loss"] > without[1]["train_loss"] + 0.5
    assert contrasted[1]["validation"] != without[1]["validation"]


def test_contrast_is_refused_where_examples_have_no_label_in_common(files, tmp_path):
    for changed in (TASKS["number"], TASKS["tags"]):
        with pytest.raises(UserError, match="--contrast 1 is for single texts of one label each"):
            finetune(settings(files, tmp_path / "run", contrast=1.0, **changed))


def test_many_short_epochs_are_validated_now_and_then(files, tmp_path):
    finetune(learning(files, tmp_path, epochs=50))
    epochs = [json.loads(line)["epoch"] for line in (tmp_path / "metrics.jsonl").open()]
    assert epochs == [0, *range(3, 50, 3), 50]
