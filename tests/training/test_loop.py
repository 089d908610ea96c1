"""The loop: how long a gradient may be, what a step is made of, and when a run ends."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from selfsup.training.compute import Compute
from selfsup.training.loop import (
    Extent,
    NotFinite,
    RunState,
    Stage,
    StepSettings,
    clip_gradients,
    train,
)


def parameters_with(scale: float) -> tuple[list[nn.Parameter], list[torch.Tensor]]:
    """Parameters, the last of which has no gradient, and the gradients of the others."""
    generator = torch.Generator().manual_seed(0)
    parameters = [nn.Parameter(torch.zeros(3, 2)), nn.Parameter(torch.zeros(4))]
    gradients = [torch.randn(p.shape, generator=generator) * scale for p in parameters]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    return [*parameters, nn.Parameter(torch.zeros(2))], gradients


@given(st.floats(1e-3, 1e3), st.floats(1e-2, 1e2))
def test_it_clips_as_torch_does(scale, longest):
    ours, clipped = parameters_with(scale)
    theirs, expected = parameters_with(scale)
    clip_gradients(ours, longest, step=1)
    torch.nn.utils.clip_grad_norm_(theirs, longest)
    torch.testing.assert_close(clipped, expected)
    assert ours[-1].grad is None


def test_a_gradient_within_the_limit_is_left_as_it_is():
    parameters, gradients = parameters_with(0.1)
    before = [gradient.clone() for gradient in gradients]
    clip_gradients(parameters, 10.0, step=1)
    torch.testing.assert_close(gradients, before, rtol=0, atol=0)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_told_with_its_step(value):
    parameters, gradients = parameters_with(1.0)
    gradients[0][1, 1] = value
    with pytest.raises(NotFinite, match=r"at step 7$"):
        clip_gradients(parameters, 1.0, step=7)


class Line(nn.Module):
    """Two losses that are linear in the weights, so that their gradients are known."""

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))
        self.factor = factor
        self.seeds: list[int] = []

    def forward(self, batch: "Nothing") -> dict:
        self.seeds.append(torch.initial_seed())
        first, second = self.weight * self.factor
        none = torch.zeros((), dtype=torch.int64)
        return {"first": (3 * first, none, 1), "second": (4 * second, none, 1)}


class Nothing:
    """A batch, and batches of it."""

    token_count = 1

    def __getitem__(self, number: int) -> "Nothing":
        return self

    def to(self, device: torch.device) -> "Nothing":
        return self


def descend(model: Line, clip: float, steps: int = 1) -> torch.Tensor:
    """The weights after steps of plain descent at a rate of 1 (or falling from it)."""
    train(
        model,
        torch.optim.SGD(model.parameters(), lr=1.0),
        [Stage(1.0, Nothing(), {})],
        Extent(steps=steps),
        StepSettings("wsd", 0.0, clip, 1, seed=0),
        Compute(torch.device("cpu"), torch.float32),
        RunState(),
        lambda report: None,
    )
    return model.weight.detach()


def test_a_step_goes_no_further_than_the_clipped_gradient():
    rate = 0.5 / 0.25 / 2  # in the middle of the only step, where the last quarter has not begun
    torch.testing.assert_close(descend(Line(), 100.0), torch.tensor([-3.0, -4.0]) * rate)
    torch.testing.assert_close(descend(Line(), 1.0), torch.tensor([-0.6, -0.8]) * rate)


@pytest.mark.parametrize("factor", [math.nan, math.inf])
def test_a_run_ends_at_a_loss_that_is_no_number(factor):
    with pytest.raises(NotFinite, match="at step 1"):
        descend(Line(factor), 1.0)


def test_what_is_random_is_new_in_each_step_and_the_same_in_each_run():
    first, second = Line(), Line()
    for model in (first, second):
        descend(model, 1.0, steps=4)
    assert len(set(first.seeds)) == 4
    assert first.seeds == second.seeds
