"""Pre-training from the data to the run folder, and through kills."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, BertForPreTraining

from selfsup.corpus.prepare import prepare
from selfsup.corpus.tokenizer.folder import load_tokenizer
from selfsup.corpus.tokenizer.training import train_from_corpus
from selfsup.errors import UserError
from selfsup.pretraining import run as pretraining_run
from selfsup.pretraining.run import pretrain, resume
from selfsup.pretraining.text import data as text_data
from selfsup.pretraining.text.model import TextPretrainingModel
from selfsup.settings.corpus import TrainTokenizerSettings
from selfsup.settings.pretrain import PretrainSettings, ResumeSettings
from selfsup.settings.yaml_file import from_yaml
from selfsup.training import loop
from tests.toy_corpus import write_toy_corpus


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> Path:
    return write_toy_corpus(tmp_path_factory.mktemp("texts") / "texts.txt")


@pytest.fixture(scope="module")
def shards(texts, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    train_from_corpus(
        TrainTokenizerSettings(corpus=(str(texts),), out=str(folder / "tokenizer"), vocab_size=150)
    )
    prepare([str(texts)], folder / "tokenizer", folder / "shards", workers=1, show_progress=False)
    return folder / "shards"


def settings(data: Path, out: Path, **changed: Any) -> PretrainSettings:
    values = {
        "data": (str(data),),
        "out": str(out),
        "encoder": "bert-tiny",
        "steps": 6,
        "batch_size": 4,
        "max_length": 32,
        "device": "cpu",
        "precision": "float32",
        "threads": 1,
        "workers": 1,
    }
    return PretrainSettings(**(values | changed))


@pytest.fixture(scope="module")
def run(shards, tmp_path_factory) -> tuple[Path, dict]:
    out = tmp_path_factory.mktemp("runs") / "first"
    return out, pretrain(settings(shards, out, evaluate_every=2))


def metrics_of(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_the_summary_holds_what_the_contract_names(run):
    out, summary = run
    assert json.loads((out / "summary.json").read_bytes()) == summary
    assert set(summary) >= {
        "steps", "tokens", "seconds", "tokens_per_second", "flops_utilization", "mlm_loss",
        "mlm_accuracy", "nsp_accuracy",
    }  # fmt: skip
    assert summary["steps"] == 6
    assert 6 * 4 * 8 < summary["tokens"] <= 6 * 4 * 32
    assert 0 < summary["mlm_loss"] < 10
    assert 0 <= summary["mlm_accuracy"] <= 1
    assert 0 <= summary["nsp_accuracy"] <= 1


def test_the_metrics_hold_training_and_held_out_measurements_in_the_order_of_the_steps(run):
    out, summary = run
    lines = metrics_of(out)
    assert [line["step"] for line in lines] == sorted(line["step"] for line in lines)
    measured = [line for line in lines if "held_out_mlm_loss" in line]
    assert [line["step"] for line in measured] == [2, 4]
    last = lines[-1]
    assert set(last) == {
        "step", "seconds", "tokens", "loss", "mlm_loss", "nsp_loss", "learning_rate",
        "tokens_per_second", "flops_utilization", "max_length",
    }  # fmt: skip
    assert (last["step"], last["tokens"]) == (6, summary["tokens"])
    assert last["loss"] == pytest.approx(last["mlm_loss"] + last["nsp_loss"])


def test_the_settings_of_the_run_say_what_was_left_open(run):
    out, _ = run
    resolved = from_yaml(PretrainSettings, out / "run.yaml", "pretrain")
    assert (resolved.dropout, resolved.start) == (0.0, "structured")
    assert resolved.learning_rate is not None


def test_nothing_but_the_run_is_left_when_it_has_ended(run):
    out, _ = run
    names = sorted(path.name for path in out.iterdir())
    assert names == ["metrics.jsonl", "model", "run.yaml", "summary.json"]


def test_transformers_loads_the_whole_model_and_its_tokenizer(run):
    out, summary = run
    loaded: Any = BertForPreTraining.from_pretrained(out / "model", output_loading_info=True)
    model, report = loaded
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    assert model.config.hidden_dropout_prob == 0.1  # for whoever fine-tunes it
    tokenizer = AutoTokenizer.from_pretrained(out / "model")
    ids = tokenizer("The cat sees 12 small dogs.")["input_ids"]
    assert ids == load_tokenizer(out / "model").encode("The cat sees 12 small dogs.").ids
    assert summary["encoder"] == "bert-tiny"


def test_training_lowers_the_loss_on_documents_that_were_held_out(shards, tmp_path):
    short = pretrain(settings(shards, tmp_path / "short", steps=1, learning_rate=1e-9))
    longer = pretrain(settings(shards, tmp_path / "longer", steps=60, learning_rate=2e-3))
    assert longer["mlm_loss"] < short["mlm_loss"] - 0.3


def test_the_same_seed_gives_the_same_model_and_another_seed_another(shards, run, tmp_path):
    first, _ = run
    for name, seed in (("same", 0), ("other", 1)):
        pretrain(settings(shards, tmp_path / name, seed=seed))
    weights = [
        (folder / "model" / "model.safetensors").read_bytes()
        for folder in (first, tmp_path / "same", tmp_path / "other")
    ]
    assert weights[0] == weights[1]
    assert weights[0] != weights[2]


def test_masked_words_alone_make_a_model_without_a_next_sentence_head(shards, tmp_path):
    summary = pretrain(settings(shards, tmp_path, objectives=("mlm",)))
    assert summary["nsp_accuracy"] is None
    assert all("nsp_loss" not in line for line in metrics_of(tmp_path))
    config = json.loads((tmp_path / "model" / "config.json").read_bytes())
    assert config["architectures"] == ["BertForMaskedLM"]


def test_a_budget_ends_with_the_step_that_uses_it_up_and_the_rate_falls_to_fit(
    shards, tmp_path, monkeypatch
):
    seconds = iter(range(1_000_000))
    clock = SimpleNamespace(perf_counter=lambda: next(seconds))  # a step takes one second
    monkeypatch.setattr(loop, "time", clock)
    monkeypatch.setattr(pretraining_run, "_LOG_SECONDS", 0.0)
    summary = pretrain(settings(shards, tmp_path, steps=None, budget="20s", warmup=0.1))
    assert (summary["steps"], summary["seconds"]) == (20, 20)
    rates = [line["learning_rate"] for line in metrics_of(tmp_path) if "learning_rate" in line]
    assert len(rates) == 20
    peak = max(rates)
    assert rates.index(peak) == 2
    assert rates[-1] == pytest.approx(peak / 35)  # in the middle of the last step


def test_sequences_are_short_at_first_where_that_is_asked_for(shards, tmp_path, monkeypatch):
    monkeypatch.setattr(pretraining_run, "_LOG_SECONDS", 0.0)
    pretrain(settings(shards, tmp_path, short_length=16, short_share=0.5))
    assert [line["max_length"] for line in metrics_of(tmp_path) if "loss" in line] == [
        16, 16, 16, 32, 32, 32,
    ]  # fmt: skip


def test_held_out_documents_never_appear_in_training(tmp_path, monkeypatch):
    # Every document has an ideograph of its own, which is a token of its own.
    marks = [chr(0x4E00 + number) for number in range(30)]
    texts = "\n\n".join(
        " ".join(f"The {mark} sees {mark} and {mark} number {n}." for n in range(6))
        for mark in marks
    )
    (tmp_path / "texts.txt").write_text(texts, encoding="utf-8")
    seen: dict[bool, set[int]] = {True: set(), False: set()}
    forward = TextPretrainingModel.forward

    def watched(self, batch):
        original = batch.input_ids.clone()
        original[batch.masked_rows] = batch.labels["mlm"]
        seen[self.training] |= set(original.tolist())
        return forward(self, batch)

    monkeypatch.setattr(TextPretrainingModel, "forward", watched)
    chosen = settings(
        tmp_path / "texts.txt", tmp_path / "run", held_out_fraction=0.2, steps=40, vocab_size=64
    )
    pretrain(chosen)
    tokenizer = load_tokenizer(tmp_path / "run" / "tokenizer")
    ids = {tokenizer.token_to_id(mark) for mark in marks}
    assert None not in ids
    trained, measured = seen[True] & ids, seen[False] & ids
    assert len(measured) == 6
    assert len(trained) == 24
    assert not trained & measured


def test_raw_text_is_enough_and_it_is_said_where_what_was_missing_lies(texts, tmp_path, capsys):
    run = tmp_path / "run"
    summary = pretrain(settings(texts, run, steps=2))
    said = capsys.readouterr().err
    assert f"Training a tokenizer in {run / 'tokenizer'}" in said
    assert f"Preparing the text in {run / 'shards'}" in said
    assert (run / "shards" / "manifest.json").exists()
    assert summary["steps"] == 2
    assert (run / "tokenizer" / "vocab.txt").read_bytes() == (
        run / "model" / "vocab.txt"
    ).read_bytes()


def test_how_plain_text_is_divided_into_documents_is_as_the_flag_says(texts, tmp_path):
    pretrain(settings(texts, tmp_path / "lines", steps=1, text_documents="blank-line"))
    manifest = json.loads((tmp_path / "lines" / "shards" / "manifest.json").read_bytes())
    assert manifest["documents"] == 40
    pretrain(settings(texts, tmp_path / "file", steps=1, text_documents="file"))
    manifest = json.loads((tmp_path / "file" / "shards" / "manifest.json").read_bytes())
    assert manifest["documents"] == 1


def test_raw_text_is_cut_by_the_tokenizer_that_is_named(texts, shards, tmp_path):
    pretrain(settings(texts, tmp_path, steps=1, tokenizer=str(shards / "tokenizer")))
    assert not (tmp_path / "tokenizer").exists()
    manifest = json.loads((tmp_path / "shards" / "manifest.json").read_bytes())
    assert manifest["vocab_size"] == 150


def test_a_model_can_be_trained_further(run, shards, tmp_path, capsys):
    first, _ = run
    further = {"init": str(first), "encoder": None, "steps": 1, "learning_rate": 1e-9}
    pretrain(settings(shards, tmp_path, **further))
    assert "New weights" not in capsys.readouterr().err
    before, after = (
        BertForPreTraining.from_pretrained(folder / "model").state_dict()
        for folder in (first, tmp_path)
    )
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before)


def test_a_loss_that_is_no_number_any_more_ends_in_the_fix(shards, tmp_path, monkeypatch):
    def diverging(*_):
        raise loop.NotFinite("the gradient is not finite at step 3")

    monkeypatch.setattr(pretraining_run, "train", diverging)
    with pytest.raises(UserError, match=r"not finite at step 3: .*--learning-rate below"):
        pretrain(settings(shards, tmp_path))
    assert not (tmp_path / "summary.json").exists()


def test_a_tokenizer_that_another_text_left_in_the_folder_is_not_used(texts, tmp_path):
    run = tmp_path / "run"
    (tmp_path / "other.txt").write_text("Quite other words.\n\nQuite so.\n")

    def stopped(*_, **__):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_data, "prepare", stopped)
        with pytest.raises(KeyboardInterrupt):
            pretrain(settings(tmp_path / "other.txt", run))
    assert "quite" in (run / "tokenizer" / "vocab.txt").read_text().split()
    pretrain(settings(texts, run, steps=1))
    assert "quite" not in (run / "model" / "vocab.txt").read_text().split()


def test_a_run_that_stopped_before_its_first_step_is_resumed_from_its_beginning(
    texts, tmp_path, monkeypatch
):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(text_data, "prepare", stopped)
        with pytest.raises(KeyboardInterrupt):
            pretrain(settings(texts, tmp_path))
    assert resume(ResumeSettings(run=str(tmp_path)))["steps"] == 6


def test_a_run_that_has_ended_is_not_resumed(run):
    out, _ = run
    with pytest.raises(UserError, match="has ended; its model is in"):
        resume(ResumeSettings(run=str(out)))


def test_a_folder_without_a_run_is_not_resumed(tmp_path):
    with pytest.raises(UserError, match=r"no run that can be resumed"):
        resume(ResumeSettings(run=str(tmp_path)))
