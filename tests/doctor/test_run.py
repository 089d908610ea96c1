"""Runs that stopped, lost a file or did not learn, and sound ones."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selfsup.doctor import doctor
from selfsup.runs.folder import run_yaml
from selfsup.settings.finetune import FinetuneSettings
from selfsup.settings.pretrain import PretrainSettings
from selfsup.settings.showing import DoctorSettings
from tests.doctor.found_problems import found_in, only_one

SUMMARY = {"mlm_loss": 4.5, "unigram_loss": 6.9, "nsp_accuracy": 0.8, "steps": 100}


def pretraining_run(
    folder: Path,
    *,
    losses: list[float] | None = None,
    summary: dict[str, Any] | None = SUMMARY,
    checkpoint: int | None = None,
) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "run.yaml").write_text(
        run_yaml("pretrain", PretrainSettings(data=("texts",), out=str(folder)))
    )
    losses = losses or [7 - 0.02 * step for step in range(100)]
    lines = [{"step": step, "loss": loss} for step, loss in enumerate(losses, 1)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if summary is not None:
        (folder / "summary.json").write_text(json.dumps(summary))
        add_model(folder)
    if checkpoint is not None:
        saved = folder / "checkpoints" / f"step-{checkpoint:09d}"
        saved.mkdir(parents=True)
        (saved / "state.json").write_text("{}")
    return folder


def add_model(folder: Path) -> None:
    (folder / "model").mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (folder / "model" / name).touch()


def test_a_sound_run_has_no_problems(tmp_path):
    result = doctor(DoctorSettings(path=str(pretraining_run(tmp_path))))
    assert (result["kind"], result["problems"]) == ("a pre-training run", [])


def test_a_run_that_stopped_is_to_be_resumed_from_where_it_was_saved(tmp_path):
    run = pretraining_run(tmp_path, summary=None, checkpoint=1200)
    problem = only_one(found_in(run))
    assert "saved at step 1,200" in problem
    assert problem.endswith(f"→ selfsup resume {run}")


def test_a_run_of_which_nothing_was_saved_is_said_to_begin_again(tmp_path):
    assert "nothing of it was saved yet" in only_one(
        found_in(pretraining_run(tmp_path, summary=None))
    )


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_a_number_is_found_with_its_step(loss: float, tmp_path):
    run = pretraining_run(tmp_path, losses=[6.0] * 41 + [loss] * 3, summary=None, checkpoint=40)
    assert any("not a number from step 42 on" in problem for problem in found_in(run))


def test_a_loss_that_rises_again_is_found_and_one_that_is_noisy_is_not(tmp_path):
    noise = 0.3 * np.random.default_rng(1).standard_normal(200)
    falling = np.linspace(7, 5, 200) + noise
    assert found_in(pretraining_run(tmp_path / "noisy", losses=list(falling))) == []
    rising = np.concatenate([np.linspace(7, 5, 100), np.linspace(5, 6.5, 100)]) + noise
    problem = only_one(found_in(pretraining_run(tmp_path / "rising", losses=list(rising))))
    assert "the training loss has risen from 5." in problem
    assert "lower --learning-rate" in problem


def test_a_model_that_knows_word_frequencies_alone_is_found(tmp_path):
    run = pretraining_run(tmp_path, summary=SUMMARY | {"mlm_loss": 6.8})
    assert "guessing by word frequency (6.90)" in only_one(found_in(run))


def test_next_sentences_guessed_by_chance_are_found(tmp_path):
    run = pretraining_run(tmp_path, summary=SUMMARY | {"nsp_accuracy": 0.51})
    assert "recognised 51% of the time" in only_one(found_in(run))


def test_a_run_without_next_sentences_is_not_blamed_for_them(tmp_path):
    assert found_in(pretraining_run(tmp_path, summary=SUMMARY | {"nsp_accuracy": None})) == []


def test_a_run_may_have_an_older_tokenizer(tmp_path):
    run = pretraining_run(tmp_path)
    (run / "model" / "tokenizer.json").unlink()
    assert f"{run / 'model' / 'tokenizer.json'} is missing" in only_one(found_in(run))
    (run / "model" / "vocab.txt").write_text("")
    assert found_in(run) == []


@pytest.mark.parametrize("name", ["model/model.safetensors", "model/config.json", "metrics.jsonl"])
def test_a_file_that_is_missing_is_named(name: str, tmp_path):
    run = pretraining_run(tmp_path)
    (run / name).unlink()
    assert f"{run / name} is missing" in only_one(found_in(run))


def test_a_run_that_does_not_name_its_command_is_said_to_lack_it(tmp_path):
    file = pretraining_run(tmp_path) / "run.yaml"
    file.write_text(file.read_text().removeprefix("command: pretrain\n"))
    assert "does not say which command made the run" in only_one(found_in(tmp_path))


def test_missing_settings_are_named(tmp_path):
    run = pretraining_run(tmp_path)
    (run / "run.yaml").unlink()
    assert "run.yaml is missing" in only_one(found_in(run))


def test_seeds_that_learned_nothing_are_named(tmp_path):
    chosen = FinetuneSettings(
        task="sequence-classification", encoder="bert-tiny", train="a", validation="b", out="c"
    )
    (tmp_path / "run.yaml").write_text(run_yaml("finetune", chosen))
    (tmp_path / "metrics.jsonl").write_text("")
    (tmp_path / "summary.json").write_text(json.dumps({"task": "x", "failed_seeds": [1, 2]}))
    add_model(tmp_path)
    problem = only_one(found_in(tmp_path))
    assert "2 of 2 seeds (seeds 1 and 2) did no better than a constant answer" in problem


def test_a_fine_tuning_run_that_broke_off_is_to_be_resumed(tmp_path):
    chosen = FinetuneSettings(
        task="sequence-classification", encoder="bert-tiny", train="a", validation="b", out="c"
    )
    (tmp_path / "run.yaml").write_text(run_yaml("finetune", chosen))
    assert f"→ selfsup resume {tmp_path} starts it again" in only_one(found_in(tmp_path))
    checkpoint = tmp_path / "checkpoints" / "step-000000040"
    checkpoint.mkdir(parents=True)
    (checkpoint / "state.json").write_text("{}")
    assert f"saved at step 40 → selfsup resume {tmp_path}" in only_one(found_in(tmp_path))
