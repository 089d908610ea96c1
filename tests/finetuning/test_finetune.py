"""Fine-tuning from the files to the run folder."""

import json
import math
import statistics
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from selfsup.encoder.huggingface.folder import read_weights
from selfsup.errors import UserError
from selfsup.finetuning import training_run
from selfsup.finetuning.progress import EpochReport, selection_key
from selfsup.finetuning.run import finetune
from selfsup.finetuning.summary import mean_and_std
from selfsup.inference.evaluate import evaluate
from selfsup.inference.predict import predict
from selfsup.settings.finetune import FinetuneSettings
from selfsup.settings.inference import EvaluateSettings, PredictSettings
from selfsup.settings.yaml_file import from_yaml
from selfsup.tasks.classification.task import Classification, SequenceClassifier
from selfsup.tasks.labels import Labels
from selfsup.training import loop
from selfsup.training.loop import NotFinite
from tests.toy_tasks import VOCABULARY, toy_settings, write_toy_file, write_toy_model

settings = partial(toy_settings, epochs=4)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    write_toy_file(folder / "train.tsv", 320, seed=1)
    write_toy_file(folder / "dev.tsv", 60, seed=2)
    write_toy_model(folder / "encoder")
    return folder


@pytest.fixture(scope="module")
def run(files, tmp_path_factory) -> tuple[Path, dict]:
    out = tmp_path_factory.mktemp("runs") / "first"
    return out, finetune(settings(files, out, seeds=2))


def metrics_of(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_the_task_is_learned(run):
    _, result = run
    assert result["metrics"]["accuracy"]["mean"] > 0.95
    assert result["failed_seeds"] == []


def test_the_summary_holds_each_metric_over_the_seeds(run):
    out, result = run
    summary = json.loads((out / "summary.json").read_bytes())
    assert result == {**summary, "out": str(out)}
    assert list(summary["metrics"]) == ["accuracy", "f1", "matthews_correlation"]
    assert (summary["task"], summary["seeds"]) == ("sequence-classification", [0, 1])
    assert (summary["train_examples"], summary["validation_examples"]) == (320, 60)
    assert summary["epochs"] == 4
    assert sum(map(sum, summary["confusion"]["matrix"])) == 60
    for score in summary["metrics"].values():
        assert score["mean"] == pytest.approx(statistics.fmean(score["values"]))
        assert score["std"] == pytest.approx(statistics.stdev(score["values"]))


def test_the_metrics_have_a_line_for_each_epoch_of_each_seed(run):
    out, result = run
    lines = metrics_of(out)
    assert [(line["seed"], line["epoch"], line["step"]) for line in lines] == [
        (seed, epoch, 20 * epoch) for seed in (0, 1) for epoch in (1, 2, 3, 4)
    ]
    for seed, value in enumerate(result["metrics"]["accuracy"]["values"]):
        of_seed = [line["validation"]["accuracy"] for line in lines if line["seed"] == seed]
        assert value == max(of_seed)


def test_the_settings_of_the_run_say_what_was_left_open(files, tmp_path):
    given = settings(files, tmp_path, epochs=None, learning_rate=None, batch_size=320)
    finetune(given)
    resolved = from_yaml(FinetuneSettings, tmp_path / "run.yaml", "finetune")
    assert resolved.epochs == 20
    assert resolved.learning_rate == resolved.head_learning_rate == pytest.approx(5e-4)
    assert resolved.train == given.train


def test_the_model_of_the_best_seed_in_its_best_epoch_is_kept(run, files):
    out, result = run
    measured = evaluate(
        EvaluateSettings(
            model=str(out), data=str(files / "dev.tsv"), device="cpu", precision="float32"
        )
    )
    assert measured["metrics"]["accuracy"] == max(result["metrics"]["accuracy"]["values"])
    assert measured["confusion"] == result["confusion"]


def test_of_several_seeds_the_best_ones_weights_are_kept(files, tmp_path):
    finetune(settings(files, tmp_path / "all", epochs=1, seeds=3))
    measured = {line["seed"]: line["validation"] for line in metrics_of(tmp_path / "all")}
    ranked = sorted(measured, key=lambda s: (measured[s]["accuracy"], -measured[s]["loss"]))
    kept = read_weights(tmp_path / "all" / "model")
    for seed in (ranked[0], ranked[-1]):
        out = tmp_path / str(seed)
        finetune(settings(files, out, epochs=1, seed=seed))
        alone = read_weights(out / "model")
        is_same = all(torch.equal(kept[name], alone[name]) for name in kept)
        assert is_same == (seed == ranked[-1])


def test_of_epochs_with_the_same_metric_the_lower_loss_is_better():
    labels = Labels("class", ("up", "down"))
    better, worse = (
        EpochReport(1, 10, 0.0, {"accuracy": 0.75, "loss": loss}, np.zeros((1, 2)), labels)
        for loss in (0.5, 0.6)
    )
    task = Classification(paired=False)
    assert selection_key(better, task) > selection_key(worse, task)


def test_what_is_written_runs_in_the_pipeline_of_transformers(run):
    out, _ = run
    pipeline = transformers.pipeline("text-classification", model=str(out / "model"))
    for text in ("the film was very witty", "a dull plot"):
        ours = predict(
            PredictSettings(model=str(out), text=text, device="cpu", precision="float32")
        )
        (theirs,) = pipeline(text)
        assert ours["label"] == theirs["label"] == ("up" if "witty" in text else "down")
        assert ours["probability"] == pytest.approx(theirs["score"], abs=1e-5)


def test_the_same_seed_gives_the_same_run_bit_for_bit(files, tmp_path):
    for name in ("a", "b"):
        finetune(settings(files, tmp_path / name, epochs=1))
    assert metrics_of(tmp_path / "a") == metrics_of(tmp_path / "b")
    first, second = (read_weights(tmp_path / name / "model") for name in ("a", "b"))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_seed_is_the_same_run_alone_and_among_others(run, files, tmp_path):
    out, _ = run
    finetune(settings(files, tmp_path, seed=1))
    assert metrics_of(tmp_path) == [line for line in metrics_of(out) if line["seed"] == 1]


def test_a_frozen_encoder_stays_as_it_was_and_its_head_learns(files, tmp_path):
    result = finetune(settings(files, tmp_path, freeze="encoder", epochs=8))
    before, after = read_weights(files / "encoder"), read_weights(tmp_path / "model")
    frozen = [name for name in before if name.startswith(("bert.embeddings", "bert.encoder"))]
    assert frozen
    assert all(torch.equal(before[name], after[name]) for name in frozen)
    assert not torch.equal(before["bert.pooler.dense.weight"], after["bert.pooler.dense.weight"])
    assert result["metrics"]["accuracy"]["mean"] > 0.6


def test_a_frozen_encoder_computes_each_text_once_for_all_epochs_and_seeds(
    files, tmp_path, monkeypatch
):
    computed: list[int] = []
    features = SequenceClassifier.features

    def counted(self, batch):
        computed.append(len(batch.packing.first_rows))
        return features(self, batch)

    monkeypatch.setattr(SequenceClassifier, "features", counted)
    finetune(settings(files, tmp_path, freeze="encoder", epochs=3, seeds=2))
    assert sum(computed) == 320 + 60


def test_frozen_layers_stay_as_they_were(files, tmp_path):
    finetune(settings(files, tmp_path, freeze="1", epochs=1))
    before, after = read_weights(files / "encoder"), read_weights(tmp_path / "model")
    for name in before.keys() & after.keys():
        frozen = name.startswith(("bert.embeddings.", "bert.encoder.layer.0."))
        if name.endswith("weight"):
            assert torch.equal(before[name], after[name]) == frozen, name


def test_an_encoder_by_name_starts_from_random_weights_and_a_tokenizer_of_its_own(files, tmp_path):
    result = finetune(settings(files, tmp_path, encoder="bert-tiny", epochs=6, learning_rate=1e-3))
    assert result["metrics"]["accuracy"]["mean"] > 0.9
    vocabulary = (tmp_path / "model" / "vocab.txt").read_text().split()
    assert {"witty", "[CLS]"} <= set(vocabulary)
    config = json.loads((tmp_path / "model" / "config.json").read_bytes())
    assert config["vocab_size"] == len(vocabulary)


def test_an_encoder_by_name_takes_the_tokenizer_it_is_given(files, tmp_path):
    given = settings(
        files, tmp_path, encoder="bert-tiny", tokenizer=str(files / "encoder"), epochs=1
    )
    finetune(given)
    assert (tmp_path / "model" / "vocab.txt").read_text().split() == list(VOCABULARY)


def test_a_fine_tuned_model_can_be_fine_tuned_again(run, files, tmp_path):
    out, _ = run
    finetune(settings(files, tmp_path, encoder=str(out), epochs=1, learning_rate=1e-9))
    before, after = read_weights(out / "model"), read_weights(tmp_path / "model")
    for name in before:
        is_head = name.startswith("classifier")
        assert torch.allclose(before[name], after[name], atol=1e-6) != is_head, name


def test_a_seed_that_learns_nothing_is_named(files, tmp_path):
    result = finetune(settings(files, tmp_path, epochs=1, learning_rate=1e-9, seeds=2))
    chance = [
        seed for seed, value in enumerate(result["metrics"]["accuracy"]["values"]) if value <= 0.5
    ]
    assert result["failed_seeds"] == chance


def test_a_run_that_diverges_keeps_its_best_epoch_and_is_named(files, tmp_path, monkeypatch):
    def diverging(model, optimizer, stages, extent, step, compute, state, after_step, **_):
        def stop(report):
            after_step(report)
            if step.seed == 1 and report.state.step == 70:
                raise NotFinite("the gradient is not finite at step 70")

        loop.train(model, optimizer, stages, extent, step, compute, state, stop)

    monkeypatch.setattr(training_run, "train", diverging)
    result = finetune(settings(files, tmp_path, seeds=2))
    # Though until then it had learned well.
    assert result["failed_seeds"] == [1]
    assert result["metrics"]["accuracy"]["values"][1] > 0.7
    of_seed = [line["validation"]["accuracy"] for line in metrics_of(tmp_path) if line["seed"] == 1]
    assert len(of_seed) == 3
    assert of_seed[result["best_epochs"]["1"] - 1] == max(of_seed)


@pytest.mark.parametrize("labels", [("up", "down"), ("1.5", "2.5")])
def test_a_run_that_diverges_in_its_last_step_has_diverged(files, tmp_path, labels, monkeypatch):
    """No loss after it would tell."""
    for part in ("train.tsv", "dev.tsv"):
        text = (files / part).read_text(encoding="utf-8")
        text = text.replace("up\t", f"{labels[0]}\t").replace("down\t", f"{labels[1]}\t")
        (tmp_path / part).write_text(text, encoding="utf-8")

    def diverging(model, optimizer, stages, extent, step, compute, state, after_step, **_):
        def ruin(report):
            if report.state.step == extent.steps:
                with torch.no_grad():
                    next(model.parameters()).fill_(math.nan)
            after_step(report)

        loop.train(model, optimizer, stages, extent, step, compute, state, ruin)

    monkeypatch.setattr(training_run, "train", diverging)
    changed = {part: str(tmp_path / f"{name}.tsv") for part, name in
               (("train", "train"), ("validation", "dev"))}  # fmt: skip
    with pytest.raises(UserError, match="lower --learning-rate"):
        finetune(settings(files, tmp_path / "run", epochs=1, **changed))
    assert not (tmp_path / "run" / "model").exists()


def test_a_run_whose_seeds_all_diverge_at_once_asks_for_a_lower_rate(files, tmp_path, monkeypatch):
    def diverging(*_, **__):
        raise NotFinite("the gradient is not finite at step 1")

    monkeypatch.setattr(training_run, "train", diverging)
    with pytest.raises(UserError, match="lower --learning-rate"):
        finetune(settings(files, tmp_path))
    assert not (tmp_path / "summary.json").exists()


def test_an_interrupted_run_leaves_no_model_and_no_summary(files, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(training_run, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        finetune(settings(files, tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.jsonl", "run.yaml"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"encoder": "bert-huge"}, "no such model folder or run, and no size"),
        ({"freeze": "3"}, "has 2 layers"),
        ({"max_length": 64}, "has positions for 32 tokens"),
        ({"tokenizer": "anything"}, "brings its own tokenizer"),
        ({"text_column": "txt"}, "--text-column txt: no such column"),
        ({"validation": "nowhere.tsv"}, r"nowhere\.tsv"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(files, tmp_path, changed, said):
    out = tmp_path / "run"
    with pytest.raises(UserError, match=said):
        finetune(settings(files, out, **changed))
    assert not out.exists()


def test_a_label_in_validation_that_was_never_trained_on_is_named(files, tmp_path):
    (tmp_path / "dev.tsv").write_text("label\tsentence\nup\ta\nsideways\tthe\n")
    given = settings(files, tmp_path / "run", validation=str(tmp_path / "dev.tsv"))
    with pytest.raises(UserError, match=r"dev\.tsv, line 3: label 'sideways'"):
        finetune(given)


def test_results_are_not_written_over(run, files):
    out, _ = run
    with pytest.raises(UserError, match="choose another --out"):
        finetune(settings(files, out))


def test_what_was_guessed_left_out_and_cut_is_said_on_standard_error(files, tmp_path, capsys):
    lines = (files / "train.tsv").read_text() + "up\t\n" + "down\t" + "a " * 30 + "dull\n"
    (tmp_path / "train.tsv").write_text(lines)
    finetune(settings(files, tmp_path / "run", train=str(tmp_path / "train.tsv"), epochs=1))
    said = capsys.readouterr().err
    assert 'taking the text from column "sentence" and the label from column "label"' in said
    assert "1 empty texts left out (the first is in line 322)" in said
    assert "1 of 321 texts cut at 16 tokens" in said


def test_one_value_has_no_spread():
    assert mean_and_std([0.5]) == {"mean": 0.5, "std": 0.0, "values": [0.5]}
