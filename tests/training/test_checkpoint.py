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
