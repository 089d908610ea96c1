"""Dropout drops as often as it should, keeps the mean, and is a function of the seed."""

import pytest
import torch

from selfsup.encoder.layers import Dropout, drop_out


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_drops_the_share_it_should_and_scales_up_the_rest(p, dtype):
    torch.manual_seed(0)
    count = 400_001  # no multiple of the elements that share a draw
    dropped = drop_out(torch.ones(count, dtype=dtype), p)
    share = (dropped == 0).float().mean().item()
    assert abs(share - p) < 5 * (p * (1 - p) / count) ** 0.5
    kept = dropped[dropped != 0].float()
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - p)), rtol=5e-3, atol=0)


def test_elements_that_share_a_draw_are_dropped_independently():
    torch.manual_seed(1)
    kept = (drop_out(torch.ones(100_000, 4), 0.3) != 0).float()
    correlations = torch.corrcoef(kept.T) - torch.eye(4)
    assert correlations.abs().max() < 5 / 100_000**0.5


def test_it_is_a_function_of_the_seed_and_differs_between_calls():
    x = torch.ones(64, 64)

    def draw(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        torch.manual_seed(seed)
        return drop_out(x, 0.5), drop_out(x, 0.5)

    first, second = draw(3)
    assert torch.equal(first, draw(3)[0])
    assert torch.equal(second, draw(3)[1])
    assert not torch.equal(first, second)
    assert not torch.equal(first, draw(4)[0])


def test_the_gradient_is_dropped_and_scaled_where_the_element_was():
    x = torch.randn(9, 7, requires_grad=True)
    result = drop_out(x, 0.4)
    result.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad * x, result)


@pytest.mark.parametrize("shape", [(0,), (1,), (3, 0, 2), (2, 3, 5)])
def test_any_shape_is_kept(shape):
    assert drop_out(torch.ones(shape), 0.5).shape == shape


def test_views_are_dropped_in_as_well():
    torch.manual_seed(0)
    result = drop_out(torch.ones(50, 40).T, 0.5)
    assert set(result.unique().tolist()) == {0.0, 2.0}


def test_without_a_rate_or_out_of_training_nothing_changes():
    x = torch.randn(5, 5)
    assert torch.equal(drop_out(x, 0.0), x)
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert not torch.equal(Dropout(0.5)(x), x)
