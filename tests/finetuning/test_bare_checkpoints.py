"""A checkpoint of a bare `BertModel`, without a pooler or a head: what can be made of it."""

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
from transformers import BertConfig, BertModel

from selfsup import cli
from selfsup.corpus.tokenizer.folder import save_tokenizer
from selfsup.errors import UserError
from selfsup.finetuning.run import finetune
from selfsup.inference.evaluate import evaluate
from selfsup.inference.predict import predict
from selfsup.settings.inference import EvaluateSettings, PredictSettings
from tests.toy_tasks import (
    ON_CPU,
    VOCABULARY,
    toy_settings,
    toy_tokenizer,
    write_toy_conll,
    write_toy_file,
)

WRITE = {
    "sequence-classification": ("tsv", write_toy_file),
    "token-classification": ("conll", write_toy_conll),
}


def write_bare(folder: Path) -> Path:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=32,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    save_tokenizer(toy_tokenizer(), folder)
    names = safetensors.torch.load_file(folder / "model.safetensors")
    assert not any(name.startswith(("bert.", "pooler.")) for name in names)
    return folder


@pytest.fixture
def bare(tmp_path) -> Path:
    return write_bare(tmp_path / "encoder")


@pytest.mark.parametrize("task", WRITE)
def test_it_is_fine_tuned_and_then_predicts_and_is_measured(task, bare, tmp_path, capsys):
    ending, write = WRITE[task]
    for name, count in (("train", 40), ("dev", 20)):
        write(tmp_path / f"{name}.{ending}", count, seed=1)
    result = finetune(toy_settings(tmp_path, tmp_path / "run", task=task, epochs=2))
    said = capsys.readouterr().err
    # Only classification has a use for a pooler.
    lacking = "lacks bert.pooler.dense.bias, bert.pooler.dense.weight: drawn at random"
    assert (lacking in said) == (task == "sequence-classification")
    run, data = str(tmp_path / "run"), str(tmp_path / f"dev.{ending}")
    measured = evaluate(EvaluateSettings(model=run, data=data, **ON_CPU))["metrics"]
    for name, score in result["metrics"].items():
        assert measured[name] == pytest.approx(score["mean"], abs=1e-5)
    answer = predict(PredictSettings(model=run, text="a fine film", **ON_CPU))
    assert answer.keys() & {"label", "entities", "prediction"}


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_by_itself_it_is_refused_in_one_line_that_names_the_fix(command, bare, tmp_path, capsys):
    data = write_toy_file(tmp_path / "dev.tsv", 20, seed=1)
    out = ["--out", str(tmp_path / "answers.jsonl")] if command == "predict" else []
    assert cli.main([command, str(bare), "--data", str(data), "--device", "cpu", *out]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{bare}: not fine-tuned for a task" in line
    assert "its config.json names BertModel; make one with selfsup finetune" in line
    assert not (tmp_path / "answers.jsonl").exists()


def test_a_classifier_whose_head_was_not_saved_is_refused_in_one_line(bare):
    path = bare / "config.json"
    config = json.loads(path.read_text()) | {"architectures": ["BertForSequenceClassification"]}
    path.write_text(json.dumps(config))
    with pytest.raises(UserError) as refusal:
        predict(PredictSettings(model=str(bare), text="a fine film", **ON_CPU))
    assert str(refusal.value) == (
        f"{bare}: lacks bert.pooler.dense.bias and 3 more: the model was saved without its head; "
        f"save it whole, or train a new one with selfsup finetune --encoder {bare}"
    )
