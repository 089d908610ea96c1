"""The fused loss equals torch's own, in value, gradients and right answers."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from selfsup.pretraining.text.masked_lm import linear_cross_entropy

Parameters = tuple[Tensor, Tensor, Tensor]  # hidden, weight, bias


def inputs(rows: int, width: int, vocab: int, scale: float, seed: int = 0) -> Parameters:
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(rows, width, generator=generator)
    weight = torch.randn(vocab, width, generator=generator) * scale
    bias = torch.randn(vocab, generator=generator)
    return hidden.requires_grad_(), weight.requires_grad_(), bias.requires_grad_()


def labels_of(rows: int, vocab: int, seed: int = 0) -> Tensor:
    return torch.randint(vocab, (rows,), generator=torch.Generator().manual_seed(seed))


def value_and_gradients(loss: Tensor, parameters: Parameters) -> list[Tensor]:
    return [loss.detach(), *torch.autograd.grad(loss * 3, parameters)]


def torchs_own(hidden: Tensor, weight: Tensor, bias: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(F.linear(hidden, weight, bias), labels)


@given(
    st.integers(1, 12),
    st.integers(1, 9),
    st.integers(2, 40),
    st.sampled_from([0.05, 1.0, 4.0]),
    st.integers(0, 99),
)
def test_it_equals_torch_in_float32(rows, width, vocab, scale, seed):
    parameters = inputs(rows, width, vocab, scale, seed)
    labels = labels_of(rows, vocab, seed)
    loss, right = linear_cross_entropy(*parameters, labels)
    ours = value_and_gradients(loss, parameters)
    theirs = value_and_gradients(torchs_own(*parameters, labels), parameters)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=2e-6 * max(1, scale), rtol=1e-5)
    scores = F.linear(*parameters)
    assert int(right) == int((scores.argmax(-1) == labels).sum())
    assert right.dtype == torch.int64


@given(st.integers(1, 40), st.integers(1, 20))
def test_rows_after_the_labels_count_for_nothing(rows, filler):
    filled = inputs(rows + filler, 4, 30, 1.0)
    parameters = (filled[0][:rows].detach().requires_grad_(), *filled[1:])
    labels = labels_of(rows, 30)
    (expected, right), (loss, right_of_filled) = (
        linear_cross_entropy(*given, labels) for given in (parameters, filled)
    )
    assert right == right_of_filled
    expected, of_hidden, *others = value_and_gradients(expected, parameters)
    loss, of_filled, *others_of_filled = value_and_gradients(loss, filled)
    assert not of_filled[rows:].any()
    for a, b in zip(
        [loss, of_filled[:rows], *others_of_filled], [expected, of_hidden, *others], strict=True
    ):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)


def test_it_equals_torch_at_the_size_of_a_real_step():
    parameters, labels = inputs(600, 256, 8192, 0.05), labels_of(600, 8192)
    loss, _ = linear_cross_entropy(*parameters, labels)
    ours = value_and_gradients(loss, parameters)
    theirs = value_and_gradients(torchs_own(*parameters, labels), parameters)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)


def test_bfloat16_errs_no_more_than_torch_does():
    hidden, weight, bias = inputs(400, 64, 1000, 0.2)
    labels = labels_of(400, 1000)
    exact = value_and_gradients(torchs_own(hidden, weight, bias, labels), (hidden, weight, bias))

    def rounded(function) -> list[Tensor]:
        with torch.autocast("cpu", torch.bfloat16):
            return value_and_gradients(function(hidden.bfloat16()), (hidden, weight, bias))

    ours = rounded(lambda h: linear_cross_entropy(h, weight, bias, labels)[0])
    theirs = rounded(lambda h: torchs_own(h, weight, bias, labels))
    for a, b, c in zip(ours, theirs, exact, strict=True):
        assert (a - c).norm() <= 1.2 * (b - c).norm() + 0.004 * c.norm()


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_of_equal_scores_none_is_better(kind):
    hidden, weight = torch.ones(2, 1), torch.tensor([[3.0], [3.0], [1.0]])
    labels = torch.tensor([1, 2])
    _, right = linear_cross_entropy(hidden.to(kind), weight, torch.zeros(3), labels)
    assert int(right) == 1


def test_it_stays_finite_where_scores_are_far_apart():
    hidden, weight = torch.tensor([[1.0], [-1.0]]), torch.tensor([[300.0], [-300.0], [0.0]])
    bias = torch.zeros(3, requires_grad=True)
    parameters = hidden.requires_grad_(), weight.requires_grad_(), bias
    labels = torch.tensor([0, 0])
    loss, right = linear_cross_entropy(*parameters, labels)
    ours = value_and_gradients(loss, parameters)
    theirs = value_and_gradients(torchs_own(*parameters, labels), parameters)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)
    assert int(right) == 1


def test_gradients_of_one_parameter_alone_are_the_same():
    parameters, labels = inputs(5, 3, 7, 1.0), labels_of(5, 7)
    frozen = parameters[0], parameters[1].detach(), parameters[2].detach()
    loss, _ = linear_cross_entropy(*frozen, labels)
    alone = torch.autograd.grad(loss, frozen[0])[0]
    loss, _ = linear_cross_entropy(*parameters, labels)
    torch.testing.assert_close(alone, torch.autograd.grad(loss, parameters)[0])


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_no_rows_are_no_loss(kind):
    hidden, weight, bias = inputs(0, 3, 7, 1.0)
    labels = torch.zeros(0, dtype=torch.int64)
    loss, right = linear_cross_entropy(hidden.to(kind), weight, bias, labels)
    loss.backward()
    assert float(loss.detach()) == 0
    assert int(right) == 0
    assert bias.grad is not None
    assert not bias.grad.any()
