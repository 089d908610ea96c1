"""`selfsup finetune`: what it prints of the layers, and what they then do."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from selfsup import cli
from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.huggingface.folder import read_weights
from selfsup.errors import UserError
from selfsup.finetuning import training_run
from selfsup.finetuning.run import finetune
from selfsup.finetuning.setup import prepare_finetuning
from selfsup.finetuning.starting_point import StartingPoint
from selfsup.settings.finetune import ResolvedFinetuneSettings
from selfsup.tasks.classification.task import Classification
from selfsup.tasks.labels import Labels
from selfsup.training.loop import StepSettings
from tests.toy_tasks import CONFIG, toy_settings, write_toy_file, write_toy_model

task = Classification(paired=False)

settings = partial(toy_settings, epochs=2, head_learning_rate=1e-2)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    write_toy_file(folder / "train.tsv", 64, seed=1)
    write_toy_file(folder / "dev.tsv", 30, seed=2)
    write_toy_model(folder / "encoder", "mlm")
    return folder


def moved(files: Path, run: Path) -> set[str]:
    """The parts of the encoder that are not as they were pre-trained."""
    before, after = read_weights(files / "encoder"), read_weights(run / "model")
    parts = ("bert.embeddings.", "bert.encoder.layer.0.", "bert.encoder.layer.1.", "bert.pooler.")
    return {
        part
        for part in parts
        if any(not torch.equal(before[n], after[n]) for n in before if n.startswith(part))
    }


def test_the_layers_are_printed_and_nothing_is_written(files, tmp_path):
    result = finetune(
        settings(files, tmp_path / "run", freeze="embeddings", layer_decay=0.5, print_layers=True)
    )
    assert not (tmp_path / "run").exists()
    rows = {row["pattern"]: row for row in result["layers"]}
    assert {pattern: row["learning_rate"] for pattern, row in rows.items()} == {
        "encoder.embeddings.*": None,
        "encoder.layers.0.*": 1.5e-3,
        "encoder.layers.1.*": 3e-3,
        "encoder.pooler.*": 3e-3,
        "*": 1e-2,
    }
    weights = read_weights(files / "encoder")
    layer = [t for name, t in weights.items() if name.startswith("bert.encoder.layer.1.")]
    assert rows["encoder.layers.1.*"]["size"] == sum(tensor.numel() for tensor in layer)
    assert rows["*"]["size"] == 2 * 32 + 2
    embeddings = rows["encoder.embeddings.*"]["size"]
    assert embeddings == sum(t.numel() for n, t in weights.items() if "bert.embeddings." in n)
    assert result["size"] - result["learning"] == embeddings


def test_the_command_prints_a_table_and_with_json_an_object(files, tmp_path, capsys):
    arguments = [
        "finetune", "sequence-classification", "--encoder", str(files / "encoder"),
        "--train", str(files / "train.tsv"), "--validation", str(files / "dev.tsv"),
        "--out", str(tmp_path / "run"), "--max-length", "16", "--freeze", "1", "--print-layers",
        "--unfreeze-every", "2", "--reinit-layers", "1", "--device", "cpu",
    ]  # fmt: skip
    assert cli.main(arguments) == 0
    table = capsys.readouterr().out
    assert [line.split()[0] for line in table.splitlines() if "." in line][:2] == [
        "encoder.embeddings.*", "encoder.layers.0.*",
    ]  # fmt: skip
    assert "frozen" in table
    assert "reinitialised" in table
    assert cli.main([*arguments, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["layers"]
    assert [(row["pattern"], row["from_epoch"], row["reinitialized"]) for row in rows] == [
        ("encoder.embeddings.*", None, False),
        ("encoder.layers.0.*", None, False),
        ("encoder.layers.1.*", 3, True),
        ("encoder.pooler.*", 1, True),
        ("*", 1, False),
    ]


def test_the_rate_of_the_word_embeddings_is_theirs_alone(files, tmp_path):
    chosen = settings(files, tmp_path, embedding_learning_rate=5e-2, print_layers=True)
    rates = {row["pattern"]: row["learning_rate"] for row in finetune(chosen)["layers"]}
    assert rates["encoder.embeddings.word.*"] == 5e-2
    assert rates["encoder.embeddings.*"] == 3e-3


def test_matrices_decay_and_vectors_do_not_also_those_that_thaw_later():
    chosen = ResolvedFinetuneSettings(
        task="sequence-classification", encoder="bert-tiny", train="a", validation="b", out="run",
        learning_rate=1e-3, head_learning_rate=1e-3, weight_decay=0.3, unfreeze_every=1,
        epochs=3, dropout=0.1,
    )  # fmt: skip
    model = task.build_model(BertEncoder(CONFIG), Labels("class", ("0", "1")), 0.1)
    setup = prepare_finetuning(chosen, model)
    sizes = []
    for epoch in (1, 2, 3):
        setup.begin_epoch(epoch)
        for group in setup.optimizer.param_groups:
            (is_matrix,) = {parameter.ndim > 1 for parameter in group["params"]}
            assert group["weight_decay"] == (0.3 if is_matrix else 0.0)
        sizes.append(sum(len(group["params"]) for group in setup.optimizer.param_groups))
    assert sizes[0] < sizes[1] < sizes[2]


@pytest.mark.parametrize(("said", "expected"), [({}, 0.1), ({"dropout": 0.3}, 0.3)])
def test_dropout_is_berts_unless_another_is_said(files, tmp_path, monkeypatch, said, expected):
    found: set[tuple] = set()
    real = StartingPoint.build_model

    def watched(self, *arguments):
        model: Any = real(self, *arguments)
        attention = {layer.attention.dropout for layer in model.encoder.layers}
        hidden = {part.p for part in model.modules() if isinstance(part, torch.nn.Dropout)}
        found.add((*attention, *hidden))
        return model

    monkeypatch.setattr(StartingPoint, "build_model", watched)
    finetune(settings(files, tmp_path / "run", epochs=1, **said))
    assert found == {(expected, expected)}


def test_the_loop_is_given_what_the_settings_say(files, tmp_path, monkeypatch):
    given: list[StepSettings] = []
    real = training_run.train

    def watched(model, optimizer, stages, extent, steps, *further, **named):
        given.append(steps)
        return real(model, optimizer, stages, extent, steps, *further, **named)

    monkeypatch.setattr(training_run, "train", watched)
    finetune(settings(files, tmp_path / "run", epochs=1, warmup=0.3, gradient_clip=0.7, seed=5))
    assert given
    for steps in given:
        assert (steps.schedule, steps.warmup, steps.gradient_clip) == ("linear", 0.3, 0.7)
        assert steps.accumulate == 1
    assert {steps.seed for steps in given} == {5}


@pytest.mark.parametrize(
    ("epochs", "learned"),
    [
        (1, {"bert.pooler."}),
        (2, {"bert.pooler.", "bert.encoder.layer.1."}),
        (3, {"bert.pooler.", "bert.encoder.layer.1.", "bert.encoder.layer.0."}),
    ],
)
def test_one_more_layer_learns_in_each_epoch(files, tmp_path, monkeypatch, epochs, learned, capsys):
    # So that the last epoch's weights are those that are kept.
    monkeypatch.setattr(
        training_run, "selection_key", lambda report, task: (float(report.epoch), 0.0)
    )
    finetune(settings(files, tmp_path, epochs=epochs, unfreeze_every=1))
    assert moved(files, tmp_path) == learned
    assert "they would with --epochs 4 or more" in capsys.readouterr().err


def test_what_thawed_after_the_best_epoch_is_kept_as_it_was_in_it(files, tmp_path, monkeypatch):
    monkeypatch.setattr(
        training_run, "selection_key", lambda report, task: (-float(report.epoch), 0.0)
    )
    finetune(settings(files, tmp_path, epochs=4, unfreeze_every=1))
    assert moved(files, tmp_path) == {"bert.pooler."}


def test_layers_reinitialized_are_new_and_those_below_are_not(files, tmp_path):
    finetune(settings(files, tmp_path, reinit_layers=1, learning_rate=1e-12, epochs=1))
    before, after = read_weights(files / "encoder"), read_weights(tmp_path / "model")
    for name in before.keys() & after.keys():
        if name.endswith("dense.weight") and "layer." in name:
            same = torch.allclose(before[name], after[name], atol=1e-6)
            assert same == (".layer.1." not in name), name


def test_weights_that_lack_or_are_left_over_are_named_but_not_the_new_head(files, tmp_path, capsys):
    finetune(settings(files, tmp_path / "run", print_layers=True))
    said = capsys.readouterr().err
    assert "heads ignored, as usual" in said
    assert "left out" not in said
    assert "lacks bert.pooler.dense.bias, bert.pooler.dense.weight: drawn at random" not in said
    folder = write_toy_model(tmp_path / "bare", "mlm")
    path = folder / "model.safetensors"
    weights = safetensors.torch.load_file(path)
    kept = {n: t for n, t in weights.items() if "pooler" not in n and not n.startswith("cls.")}
    safetensors.torch.save_file(kept, path)
    finetune(settings(files, tmp_path / "run", encoder=str(folder), print_layers=True))
    said = capsys.readouterr().err
    assert "lacks bert.pooler.dense.bias, bert.pooler.dense.weight: drawn at random" in said
    assert "left out" not in said
    assert "classifier" not in said


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"reinit_layers": 3}, "--reinit-layers 3: .* has 2 layers"),
        ({"reinit_layers": 2, "freeze": "1"}, "--freeze 1 would leave some of these"),
        ({"reinit_layers": 1, "encoder": "bert-tiny"}, "all of bert-tiny is new"),
    ],
)
def test_layers_that_cannot_be_reinitialized_are_refused(files, tmp_path, changed, said):
    with pytest.raises(UserError, match=said):
        finetune(settings(files, tmp_path / "run", **changed))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("flag", "value"), [("unfreeze_every", 1), ("reinit_layers", 1), ("layer_decay", 0.9)]
)
def test_a_frozen_encoder_neither_thaws_nor_is_reinitialized_nor_has_rates(
    files, tmp_path, flag, value
):
    changed: dict[str, Any] = {"freeze": "encoder", flag: value}
    with pytest.raises(UserError, match="is for layers that learn"):
        settings(files, tmp_path, **changed)
