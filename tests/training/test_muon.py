"""Muon beside the singular value decomposition, and beside torch's own."""

import numpy as np
import pytest
import torch
from torch import nn

from selfsup.training.checkpoint import load_checkpoint, save_checkpoint
from selfsup.training.optimizers import Muon, orthogonalised


def muon(matrices, groups=(), rate=0.01, decay=0.0, iterations=5) -> Muon:
    return Muon(matrices, groups, rate, decay, iterations, torch.float32)


@pytest.mark.parametrize("shape", [(5, 8), (8, 5), (6, 6)])
@pytest.mark.parametrize("iterations", [1, 5])
def test_singular_values_go_through_the_polynomial_and_directions_stay(shape, iterations):
    matrix = torch.randn(2, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    values = values / torch.linalg.matrix_norm(matrix)[:, None]
    for _ in range(iterations):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    expected = left @ torch.diag_embed(values) @ right
    found = orthogonalised(matrix, iterations, torch.float64)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_a_step_is_that_of_torchs_muon():
    start, gradients = torch.randn(12, 20), torch.randn(3, 12, 20)
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    optimizer = muon([(ours, 1)], decay=0.1)
    peer = torch.optim.Muon(
        [theirs], lr=0.01, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw"
    )
    for gradient in gradients:
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        optimizer.step()
        peer.step()
    moved = (theirs - start).abs().mean()
    assert (ours - theirs).abs().mean() < 0.02 * moved  # torch's computes in bfloat16


def test_matrices_that_lie_in_one_parameter_are_updated_each_on_its_own():
    start, gradient = torch.randn(3, 4, 4), torch.randn(3, 4, 4)
    together = nn.Parameter(start.reshape(12, 4).clone())
    apart = [nn.Parameter(part.clone()) for part in start]
    together.grad = gradient.reshape(12, 4).clone()
    for parameter, part in zip(apart, gradient, strict=True):
        parameter.grad = part.clone()
    muon([(together, 3)]).step()
    muon([(parameter, 1) for parameter in apart]).step()
    torch.testing.assert_close(together.detach(), torch.cat([p.detach() for p in apart]))
    assert not torch.equal(together.detach(), start.reshape(12, 4))


def test_other_parameters_are_updated_as_by_adamw():
    vectors = [nn.Parameter(torch.ones(5)) for _ in range(2)]
    matrix = nn.Parameter(torch.eye(3))
    groups = [{"params": [vectors[0]], "lr": 0.01, "weight_decay": 0.1}]
    optimizer = muon([(matrix, 1)], groups)
    peer = torch.optim.AdamW(
        [vectors[1]], lr=0.01, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.1, fused=True
    )
    for step in range(3):
        matrix.grad = torch.ones(3, 3)
        for vector in vectors:
            vector.grad = torch.arange(5.0) - step
        optimizer.step()
        peer.step()
    assert torch.equal(vectors[0], vectors[1])


def test_a_run_goes_on_from_a_checkpoint_bit_for_bit(tmp_path):
    def new_run() -> tuple[nn.Linear, Muon]:
        torch.manual_seed(0)
        model = nn.Linear(4, 3)
        return model, muon([(model.weight, 1)], [{"params": [model.bias], "lr": 0.01}])

    def train(model: nn.Module, optimizer: Muon, steps: range) -> None:
        for step in steps:
            inputs = torch.from_numpy(np.random.default_rng(step).normal(size=(8, 4))).float()
            model(inputs).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()

    whole, optimizer = new_run()
    train(whole, optimizer, range(6))
    first, optimizer = new_run()
    train(first, optimizer, range(3))
    checkpoint = save_checkpoint(tmp_path, 3, first, optimizer, {})
    written = (checkpoint / "model.safetensors").stat().st_mtime_ns
    assert save_checkpoint(tmp_path, 3, first, optimizer, {}) == checkpoint
    assert (checkpoint / "model.safetensors").stat().st_mtime_ns == written  # never away
    second, optimizer = new_run()
    load_checkpoint(checkpoint, second, optimizer)
    train(second, optimizer, range(3, 6))
    assert torch.equal(second.weight, whole.weight)
    assert torch.equal(second.bias, whole.bias)
