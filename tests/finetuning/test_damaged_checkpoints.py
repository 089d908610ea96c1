"""A damaged checkpoint of fine-tuning: one line, and nothing is trained."""

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from selfsup.errors import UserError
from selfsup.finetuning import run as run_module
from selfsup.finetuning.run import finetune, resume
from selfsup.settings.pretrain import ResumeSettings
from tests.toy_tasks import toy_settings, write_toy_file, write_toy_model


@pytest.fixture(scope="module")
def stopped(tmp_path_factory) -> Path:
    """A run that was stopped in the last step of its second seed."""
    files = tmp_path_factory.mktemp("files")
    write_toy_file(files / "train.tsv", 32, seed=1)
    write_toy_file(files / "dev.tsv", 8, seed=2)
    write_toy_model(files / "encoder")
    settings = toy_settings(files, files / "run", epochs=2, seeds=2, checkpoint_every=1)
    with pytest.MonkeyPatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr(run_module, "summarize", interrupt)
        finetune(settings)
    return files / "run"


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.fixture
def checkpoint(stopped, tmp_path) -> Path:
    shutil.copytree(stopped, tmp_path / "run")
    (found,) = (tmp_path / "run" / "checkpoints").iterdir()
    return found


def go_on(checkpoint: Path) -> dict[str, Any]:
    return resume(ResumeSettings(run=str(checkpoint.parents[1])))


def test_the_sound_checkpoint_is_gone_on_from(checkpoint):
    state = json.loads((checkpoint / "state.json").read_bytes())
    assert state["best"] is not None
    assert state["kept"] == 0
    assert go_on(checkpoint)["seeds"] == [0, 1]


STATES: dict[str, Callable[[dict[str, Any]], object]] = {
    "no data": lambda state: state.pop("data_sha256"),
    "no state": lambda state: state.pop("state"),
    "no ended seeds": lambda state: state.pop("ended"),
    "no step": lambda state: state["state"].pop("step"),
    "a negative step": lambda state: state["state"].update(step=-1),
    "a step beyond the end": lambda state: state["state"].update(step=99, batches_taken=[99]),
    "another step": lambda state: state["state"].update(step=2),
    "other batches": lambda state: state["state"].update(batches_taken=[2**40]),
    "lost losses": lambda state: state.update(losses=[]),
    "no best epoch": lambda state: state.update(best=None),
    "a best epoch without its step": lambda state: state["best"].pop("step"),
    "metrics in words": lambda state: state["best"].update(validation="good"),
    "a seed in words": lambda state: state["ended"].update(one=state["ended"]["0"]),
    "a seed that is none of the run": lambda state: state.update(seed=5),
    "an ended seed that is none of the run": lambda state: state["ended"].update(
        {"5": state["ended"]["0"]}
    ),
    "a kept seed that has not ended": lambda state: state.update(kept=7),
    "no kept seed": lambda state: state.update(kept=None),
    "a kept seed that diverged": lambda state: state["ended"]["0"].update(best=None),
    "an ended seed of another task": lambda state: state["ended"].update(
        {"1": {"best": {**state["ended"]["0"]["best"], "validation": {"x": 1}}, "diverged": False}}
    ),
    "seconds in words": lambda state: state.update(seconds="long"),
}


def test_lines_of_no_known_seed_are_dropped_from_the_metrics(checkpoint):
    metrics = checkpoint.parents[1] / "metrics.jsonl"
    with metrics.open("a") as file:
        file.write('{"seed": "one", "step": 1}\n{"seed": null, "step": 1}\n')
    go_on(checkpoint)
    seeds = [json.loads(line)["seed"] for line in metrics.read_text().splitlines()]
    assert seeds == [0, 0, 1, 1]


@pytest.mark.parametrize("name", STATES)
def test_a_damaged_state_is_refused(name, checkpoint):
    file = checkpoint / "state.json"
    state = json.loads(file.read_bytes())
    STATES[name](state)
    file.write_text(json.dumps(state))
    with pytest.raises(UserError, match=r"state\.json.*: start the run again") as caught:
        go_on(checkpoint)
    assert "\n" not in str(caught.value)


TENSORS: dict[str, Callable[[dict[str, torch.Tensor]], object]] = {
    "no scores": lambda tensors: tensors.pop("scores"),
    "fewer scores": lambda tensors: tensors.update(scores=tensors["scores"][1:].clone()),
    "scores of more labels": lambda tensors: tensors.update(scores=tensors["scores"].repeat(1, 2)),
    "whole scores": lambda tensors: tensors.update(scores=tensors["scores"].int()),
    "scores in bfloat16": lambda tensors: tensors.update(scores=tensors["scores"].bfloat16()),
    "no number": lambda tensors: tensors["scores"].fill_(torch.nan),
    "a lost weight": lambda tensors: tensors.pop(next(n for n in tensors if n != "scores")),
}


@pytest.mark.parametrize("file", ["best", "kept"])
@pytest.mark.parametrize("name", TENSORS)
def test_damaged_tensors_are_refused(name, file, checkpoint):
    path = checkpoint / f"{file}.safetensors"
    tensors = {key: value.clone() for key, value in load_file(path).items()}
    TENSORS[name](tensors)
    save_file(tensors, path)
    with pytest.raises(UserError, match=f"{file}.safetensors: its scores|another model") as caught:
        go_on(checkpoint)
    assert "\n" not in str(caught.value)
