"""A checkpoint goes back into the model it came from, and into no other."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from selfsup.errors import UserError
from selfsup.training.checkpoint import latest_checkpoint, load_checkpoint, save_checkpoint


def stepped(width: int) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A model and its optimizer after a step."""
    model = nn.Linear(4, width)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    return model, optimizer


def test_it_comes_back_with_the_optimizers_state(tmp_path):
    model, optimizer = stepped(3)
    checkpoint = save_checkpoint(tmp_path, 7, model, optimizer, {"tokens": 5})
    other, of_other = stepped(3)
    assert load_checkpoint(checkpoint, other, of_other) == {"step": 7, "tokens": 5}
    for ours, theirs in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(ours, theirs)
        for name, value in optimizer.state[ours].items():
            assert torch.equal(value, of_other.state[theirs][name])


@pytest.mark.parametrize("width", [1, 2])
def test_that_of_another_model_is_refused_and_nothing_of_it_taken(tmp_path, width):
    checkpoint = save_checkpoint(tmp_path, 7, *stepped(3), {})
    model, optimizer = stepped(width)
    before = [parameter.clone() for parameter in model.parameters()]
    with pytest.raises(UserError, match="belongs to another model"):
        load_checkpoint(checkpoint, model, optimizer)
    assert all(map(torch.equal, before, model.parameters()))


def test_that_of_another_optimizer_is_refused(tmp_path):
    checkpoint = save_checkpoint(tmp_path, 7, *stepped(3), {})
    model, _ = stepped(3)
    with pytest.raises(UserError, match="is of another optimizer"):
        load_checkpoint(checkpoint, model, torch.optim.SGD(model.parameters()))


@pytest.mark.parametrize("content", ["[7]", "{", "7"])
def test_a_damaged_state_is_said_to_be_one(content, tmp_path):
    checkpoint = save_checkpoint(tmp_path, 7, *stepped(3), {})
    (checkpoint / "state.json").write_text(content)
    with pytest.raises(UserError, match=r"state\.json: .*: start the run again"):
        load_checkpoint(checkpoint, *stepped(3))


def test_what_was_read_does_not_hang_on_the_file(tmp_path):
    checkpoint = save_checkpoint(tmp_path, 7, *stepped(3), {})
    model, optimizer = stepped(3)
    load_checkpoint(checkpoint, model, optimizer)
    before = [{**optimizer.state[parameter]} for parameter in model.parameters()]
    copies = [{name: value.clone() for name, value in state.items()} for state in before]
    file = checkpoint / "optimizer.safetensors"
    file.write_bytes(bytes(file.stat().st_size))  # in place: what is mapped would change with it
    for state, copy in zip(before, copies, strict=True):
        assert all(torch.equal(state[name], copy[name]) for name in copy)


def test_what_a_killed_run_left_half_saved_is_cleared_away(tmp_path):
    (tmp_path / ".step-000000005.tmp").mkdir()
    checkpoint = save_checkpoint(tmp_path, 7, *stepped(3), {})
    assert list(tmp_path.iterdir()) == [checkpoint]


def altered(checkpoint, change) -> None:
    """Save the optimizer's tensors again, with a change."""
    tensors = load_file(checkpoint / "optimizer.safetensors")
    change(tensors)
    save_file(tensors, checkpoint / "optimizer.safetensors")


OPTIMIZER_DAMAGES = {
    "a parameter too many": lambda tensors: tensors.update({"2.exp_avg": torch.ones(3)}),
    "no number": lambda tensors: tensors.update({"exp_avg": torch.ones(3)}),
    "a large number": lambda tensors: tensors.update({"9" * 5000: torch.ones(3)}),
    "another shape": lambda tensors: tensors.update({"0.exp_avg": torch.ones(4, 3)}),
    "another type": lambda tensors: tensors.update({"0.exp_avg": torch.ones(3, 4).int()}),
    "another name": lambda tensors: tensors.update({"0.momentum": torch.ones(3, 4)}),
    "a step of several": lambda tensors: tensors.update({"0.step": torch.ones(2)}),
    "a lost tensor": lambda tensors: tensors.pop("0.exp_avg_sq"),
}


@pytest.mark.parametrize("damage", OPTIMIZER_DAMAGES)
def test_tensors_that_the_optimizer_does_not_keep_are_refused(damage, tmp_path):
    checkpoint = save_checkpoint(tmp_path, 7, *stepped(3), {})
    altered(checkpoint, OPTIMIZER_DAMAGES[damage])
    model, optimizer = stepped(3)
    before = [parameter.clone() for parameter in model.parameters()]
    with pytest.raises(UserError, match=r"optimizer\.safetensors: .*: start the run again"):
        load_checkpoint(checkpoint, model, optimizer)
    assert all(map(torch.equal, before, model.parameters()))


def test_weights_of_another_type_are_refused(tmp_path):
    checkpoint = save_checkpoint(tmp_path, 7, *stepped(3), {})
    weights = load_file(checkpoint / "model.safetensors")
    save_file({name: value.int() for name, value in weights.items()},
              checkpoint / "model.safetensors")  # fmt: skip
    with pytest.raises(UserError, match="belongs to another model"):
        load_checkpoint(checkpoint, *stepped(3))


@pytest.mark.parametrize("step", [8, -1, 7.5, "7", None])
def test_a_step_other_than_that_of_the_folder_is_refused(step, tmp_path):
    checkpoint = save_checkpoint(tmp_path, 7, *stepped(3), {})
    (checkpoint / "state.json").write_text(json.dumps({"step": step, "optimizer": "AdamW"}))
    with pytest.raises(UserError, match=r"state\.json: step must be 7, as its folder is named"):
        load_checkpoint(checkpoint, *stepped(3))


def test_a_folder_with_another_name_is_no_checkpoint(tmp_path):
    for name in ("step-", "step-last", "step-00000000x", "step-" + "9" * 200):
        (tmp_path / name).mkdir()
        (tmp_path / name / "state.json").touch()
    assert latest_checkpoint(tmp_path) is None
    checkpoint = save_checkpoint(tmp_path, 10**9, *stepped(3), {})
    save_checkpoint(tmp_path, 7, *stepped(3), {})
    assert latest_checkpoint(tmp_path) == checkpoint
