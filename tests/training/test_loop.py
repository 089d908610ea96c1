"""Clipping: a gradient that is too long is shortened as torch does it, any other stays as it is."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from selfsup.training.loop import NotFinite, clip_gradients


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
