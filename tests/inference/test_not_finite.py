"""A model whose scores are no numbers is refused in one line, and no NaN gets into any output."""

import json
import re
from pathlib import Path

import pytest
import safetensors.torch
import torch

from selfsup.corpus.tokenizer.folder import save_tokenizer
from selfsup.encoder.layers import initialize
from selfsup.tasks.encoders import Limits
from selfsup.tasks.labels import Labels
from selfsup.tasks.registry import TASKS, save_task_model
from tests.fuzz.target import run_command
from tests.tokenizer_folder import text_preparation
from tests.toy_tasks import CONFIG, toy_tokenizer, write_toy_file, write_toy_model

ON_CPU = ("--device", "cpu", "--precision", "float32")
COMMANDS = {
    "predict": ("predict", "model", "a fine film"),
    "predict for a file": ("predict", "model", "--data", "dev.tsv", "--out", "out.jsonl"),
    "predict as CSV": ("predict", "model", "--data", "dev.tsv", "--out", "out.csv"),
    "predict to standard output": ("predict", "model", "--data", "dev.tsv"),
    "evaluate": ("evaluate", "model", "--data", "dev.tsv", "--predictions", "out.jsonl"),
    "fill-mask": ("fill-mask", "encoder", "a [MASK] film"),
}


def alter_weights(folder: Path, value: float) -> None:
    """Give the weights of the first layer norm this value."""
    file = folder / "model.safetensors"
    weights = safetensors.torch.load_file(file)
    (name,) = (name for name in weights if name.endswith("embeddings.LayerNorm.weight"))
    weights[name] = torch.full_like(weights[name], value)
    safetensors.torch.save_file(weights, file, {"format": "pt"})


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    task, folder = TASKS["sequence-classification"], tmp_path / "model"
    save_tokenizer(toy_tokenizer(), folder)
    labels = Labels("class", ("down", "up"))
    encoder = task.family.build_encoder(CONFIG, pooled=task.pooled)
    model = task.build_model(encoder, labels, 0.1)
    initialize(model, 0.3, seed=3)
    preparation = text_preparation(folder, Limits(32, 0))
    save_task_model(folder, task, model.eval(), labels, preparation, "# Card\n")
    write_toy_model(tmp_path / "encoder")
    write_toy_file(tmp_path / "dev.tsv", 12, seed=1)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 3e38])
@pytest.mark.parametrize("name", COMMANDS)
def test_it_is_refused_in_one_line_and_nothing_is_written(folder, name, value):
    words = COMMANDS[name]
    alter_weights(folder / words[1], value)
    why = "scores are not numbers" if value == 3e38 else "values that are not finite"
    status, out = run_command(*words, *ON_CPU, "--json", names=(why,))
    assert (status, out) == (2, "")
    assert not list(folder.glob("out.*"))


@pytest.mark.parametrize("name", COMMANDS)
def test_json_of_a_sound_model_holds_numbers(folder, name):
    """The same commands succeed without the damage."""
    status, out = run_command(*COMMANDS[name], *ON_CPU, "--json")
    assert status == 0
    for line in out.splitlines():
        json.loads(line, parse_constant=pytest.fail)
    written = "".join(path.read_text() for path in folder.glob("out.*"))
    assert not re.search(r"\b(nan|inf)", (out + written).lower())
