"""A checkpoint goes back into the model it came from, and into no other."""

import pytest
import torch
from torch import nn

from selfsup.errors import UserError
from selfsup.training.checkpoint import load_checkpoint, save_checkpoint


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
