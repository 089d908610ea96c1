"""Optimizers and learning rate schedules: AdamW, and Muon for the matrices inside layers.

AdamW's update of a matrix is dominated by a few directions. Muon gives all directions of its
momentum equal length: U Sᵏ Vᵀ becomes nearly U Vᵀ (Jordan et al. 2024, "Muon: An optimizer for
hidden layers in neural networks"). With entries scaled to the size of AdamW's, it works with
learning rates in AdamW's range (Liu et al. 2025, "Muon is Scalable for LLM Training", §2.2).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from selfsup.settings.pretrain import ResolvedPretrainSettings

# The rate of the layers' matrices under Muon, as a multiple of --learning-rate (docs/log.md).
_MATRIX_RATE, _ITERATIONS = 2.0, 5
_LAYERS = "encoder.layers."  # not those of a decoder beside it
# For pre-training. RoBERTa (Liu et al. 2019, §3.1) found betas[1] = 0.98 steadier at large batches.
PRETRAINING_BETAS, PRETRAINING_EPS = (0.9, 0.98), 1e-6

_WSD_DECAY = 0.25  # a warm-up–stable–decay run decays in its last quarter

_MOMENTUM = 0.95
# Jordan et al. 2024: a polynomial that moves every singular value in (0, 1] towards 1, fast rather
# than exactly: after five iterations all but the smallest lie in [0.7, 1.2].
_A, _B, _C = 3.4445, -4.7750, 2.0315
_ADAMW_SIZE = 0.2  # root mean square of a typical AdamW update (Liu et al. 2025, §2.2)


def rate_multiplier(schedule: str, progress: float, warmup: float) -> float:
    """The learning rate at ``progress``, as a fraction of its highest value.

    Args:
        schedule: "linear": rises over ``warmup``, then falls to 0 at the end (BERT, appendix A.2).
            "wsd": rises, stays constant, then falls linearly to 0 over the last quarter
            (warm-up–stable–decay, Hu et al. 2024, "MiniCPM", §4.2).
        progress: the fraction of the run that is done, in [0, 1], in steps or in seconds.
        warmup: fraction of the run in which the rate rises from 0.

    Raises:
        ValueError: there is no such schedule.
    """
    if schedule not in ("linear", "wsd"):
        raise ValueError(f"no schedule is called {schedule!r}")
    decay = 1.0 - warmup if schedule == "linear" else min(_WSD_DECAY, 1.0 - warmup)
    rise = progress / warmup if warmup > 0 else 1.0
    fall = (1.0 - progress) / decay
    return max(0.0, min(1.0, rise, fall))


def set_learning_rate(optimizer: torch.optim.Optimizer, multiplier: float) -> None:
    """Set every group's learning rate to ``multiplier`` times the one it was built with."""
    for group in optimizer.param_groups:
        group.setdefault("highest_lr", group["lr"])
        group["lr"] = group["highest_lr"] * multiplier


def parameter_groups(
    named_parameters: Iterable[tuple[str, nn.Parameter]],
    rates: Mapping[str, float | None],
    weight_decay: float,
) -> list[dict[str, Any]]:
    """Parameters in groups of equal learning rate and weight decay, as optimizers take them.

    Vectors (biases and norms) are not decayed. Frozen parameters are in no group, so the optimizer
    neither keeps state for them nor decays them.

    Args:
        named_parameters: names and parameters; groups keep this order.
        rates: the highest learning rate of each; None where it is frozen.
        weight_decay: of matrices.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in named_parameters:
        rate = rates[name]
        if rate is not None:
            decay = weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((rate, decay), []).append(parameter)
    return [
        {"params": parameters, "lr": rate, "weight_decay": decay}
        for (rate, decay), parameters in groups.items()
    ]


def adamw(
    groups: Sequence[dict[str, Any]], betas: tuple[float, float], eps: float
) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019, Algorithm 2) with bias correction, over parameter groups."""
    return torch.optim.AdamW(groups, betas=betas, eps=eps, fused=True)


class Muon(torch.optim.AdamW):
    """Muon for matrices and AdamW for all other parameters, as one optimizer.

    The matrices are the first parameter group.

    Args:
        matrices: parameters of two dimensions, each with the number of matrices stacked in it
            (3 where query, key and value are one parameter).
        groups: all other parameters, as ``parameter_groups`` returns them.
        matrix_learning_rate: learning rate of the matrices.
        weight_decay: of the matrices, relative to the learning rate.
        iterations: how often the polynomial is applied.
        dtype: precision of the polynomial's matrix products; bfloat16 is precise enough.
    """

    def __init__(
        self,
        matrices: Sequence[tuple[nn.Parameter, int]],
        groups: Sequence[dict[str, Any]],
        matrix_learning_rate: float,
        weight_decay: float,
        iterations: int,
        dtype: torch.dtype,
    ) -> None:
        first = {
            "params": [parameter for parameter, _ in matrices],
            "lr": matrix_learning_rate,
            "weight_decay": weight_decay,
        }
        super().__init__([first, *groups], betas=PRETRAINING_BETAS, eps=PRETRAINING_EPS, fused=True)
        self._parts = [parts for _, parts in matrices]
        self._iterations, self._dtype = iterations, dtype

    @torch.no_grad()
    def step(self, closure=None) -> None:  # type: ignore[override]
        """Update all parameters; the gradients of the matrices are dropped."""
        assert closure is None
        self._step_matrices()
        for parameter in self.param_groups[0]["params"]:
            parameter.grad = None  # AdamW skips parameters without a gradient
        super().step()

    def _step_matrices(self) -> None:
        group = self.param_groups[0]
        by_shape: dict[torch.Size, list[tuple[Tensor, Tensor]]] = {}
        for parameter, parts in zip(group["params"], self._parts, strict=True):
            gradient = parameter.grad
            if gradient is None:
                continue
            state = self.state[parameter]
            if not state:
                state["momentum"] = torch.zeros_like(parameter)
            state["momentum"].lerp_(gradient, 1 - _MOMENTUM)
            ahead = gradient.lerp(state["momentum"], _MOMENTUM)  # Nesterov momentum
            for matrix, update in zip(parameter.chunk(parts), ahead.chunk(parts), strict=True):
                by_shape.setdefault(matrix.shape, []).append((matrix, update))
        for shape, pairs in by_shape.items():
            updates = torch.stack([update for _, update in pairs])
            updates = orthogonalised(updates, self._iterations, self._dtype)
            step = group["lr"] * _ADAMW_SIZE * max(shape) ** 0.5
            for (matrix, _), update in zip(pairs, updates, strict=True):
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(update, alpha=-step)


def state_names(optimizer: torch.optim.Optimizer) -> list[frozenset[str]]:
    """What an optimizer keeps for each of its parameters after their first step: the names."""
    of_adamw, of_muon = frozenset(("step", "exp_avg", "exp_avg_sq")), frozenset(("momentum",))
    return [
        of_muon if isinstance(optimizer, Muon) and group is optimizer.param_groups[0] else of_adamw
        for group in optimizer.param_groups
        for _ in group["params"]
    ]


def orthogonalised(matrices: Tensor, iterations: int, dtype: torch.dtype) -> Tensor:
    """Bring all singular values near 1, by Newton–Schulz iteration.

    Args:
        matrices: [B, M, N].
        iterations: how often the polynomial a x + b x³ + c x⁵ is applied.
        dtype: precision to compute in.

    Returns:
        [B, M, N], in the precision of ``matrices``.
    """
    is_tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.transpose(1, 2) if is_tall else matrices
    x = (x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)).to(dtype)
    for _ in range(iterations):
        square = x @ x.transpose(1, 2)
        x = _A * x + (_B * square + _C * (square @ square)) @ x
    return (x.transpose(1, 2) if is_tall else x).to(matrices.dtype)


def build_optimizer(
    model: nn.Module, settings: ResolvedPretrainSettings, dtype: torch.dtype
) -> torch.optim.Optimizer:
    """AdamW for all parameters, or Muon for the encoder layers' matrices and AdamW for the others.

    Args:
        model: its encoder's layers are named ``encoder.layers.N.…``.
        settings: of a run of pre-training.
        dtype: the precision of matrix products on this machine.
    """
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    named.sort(key=lambda item: item[1].ndim <= 1)  # matrices first: checkpoints have this order
    rates = dict.fromkeys(dict(named), settings.learning_rate)
    if settings.optimizer == "adamw":
        groups = parameter_groups(named, rates, settings.weight_decay)
        return adamw(groups, PRETRAINING_BETAS, PRETRAINING_EPS)
    matrices = {name: p for name, p in named if name.startswith(_LAYERS) and p.ndim == 2}
    return Muon(
        [(p, 3 if "query_key_value" in name else 1) for name, p in matrices.items()],
        parameter_groups(
            [(n, p) for n, p in named if n not in matrices], rates, settings.weight_decay
        ),
        _MATRIX_RATE * settings.learning_rate,
        settings.weight_decay,
        _ITERATIONS,
        dtype,
    )
