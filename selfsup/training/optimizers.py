"""How the learning rate moves over a run, as a share of its highest value.

``progress`` is the share of the run that is done, in [0, 1]: steps out of steps, or seconds out
of a budget of seconds.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

WSD_DECAY = 0.25  # the last quarter of a warm-up–stable–decay run falls


def rate_multiplier(schedule: str, progress: float, warmup: float) -> float:
    """The learning rate at ``progress`` as a share of the highest.

    Args:
        schedule: "linear": up over ``warmup``, then down to 0 at the end (BERT, appendix A.2).
            "wsd": up, then level, then linearly down to 0 over the last quarter (warm-up–stable–
            decay, Hu et al. 2024, "MiniCPM", §4.2).
        progress: in [0, 1].
        warmup: share of the run in which the rate rises from 0.

    Raises:
        ValueError: if there is no such schedule.
    """
    if schedule not in ("linear", "wsd"):
        raise ValueError(f"no schedule is called {schedule!r}")
    decay = 1.0 - warmup if schedule == "linear" else min(WSD_DECAY, 1.0 - warmup)
    rise = progress / warmup if warmup > 0 else 1.0
    fall = (1.0 - progress) / decay
    return max(0.0, min(1.0, rise, fall))


# AdamW as BERT is trained with it.


def build_adamw(
    named_parameters: Iterable[tuple[str, nn.Parameter]],
    learning_rate: float,
    weight_decay: float,
) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019, Algorithm 2) with bias correction.

    Vectors (biases and norms) are not decayed. ``betas[1]``, 0.98, follows RoBERTa (Liu et al.
    2019, §3.1), which found it steadier at large batches.
    """
    groups = adamw_groups(named_parameters, weight_decay)
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.98), eps=1e-6, fused=True)


def adamw_groups(
    named_parameters: Iterable[tuple[str, nn.Parameter]], weight_decay: float
) -> list[dict[str, Any]]:
    """Parameters that learn, in two groups: matrices, which are decayed, and vectors."""
    matrices: list[nn.Parameter] = []
    vectors: list[nn.Parameter] = []
    for _, parameter in named_parameters:
        if parameter.requires_grad:
            (matrices if parameter.ndim > 1 else vectors).append(parameter)
    return [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]


def set_learning_rate(optimizer: torch.optim.Optimizer, multiplier: float) -> None:
    """Scale every group's rate from the one it was built with."""
    for group in optimizer.param_groups:
        group.setdefault("highest_lr", group["lr"])
        group["lr"] = group["highest_lr"] * multiplier


# Muon for the matrices inside layers, AdamW for everything else.
#
# AdamW's update of a matrix is dominated by a few directions. Muon makes all directions of its
# momentum equally long: U Sᵏ Vᵀ becomes nearly U Vᵀ (Jordan et al. 2024, "Muon: An optimizer for
# hidden layers in neural networks"). Scaled so that its entries are as large as AdamW's, it takes
# AdamW's kind of learning rate (Liu et al. 2025, "Muon is Scalable for LLM Training", §2.2).


MOMENTUM = 0.95
# Jordan et al. 2024: a polynomial that sends every singular value in (0, 1] towards 1, quickly
# rather than exactly: after five rounds all but the least lie in [0.7, 1.2].
_A, _B, _C = 3.4445, -4.7750, 2.0315
_ADAMW_SIZE = 0.2  # root mean square of AdamW's usual update (Liu et al. 2025, §2.2)


class Muon(torch.optim.AdamW):
    """Both optimizers as one, whose first group of parameters are the matrices.

    Args:
        matrices: parameters of two dimensions, each with the number of matrices that lie in it one
            above the other (3 where query, key and value are one parameter).
        groups: all other parameters, as AdamW takes them.
        learning_rate: of AdamW, where a group names none.
        matrix_learning_rate: of the matrices.
        weight_decay: of the matrices, relative to the learning rate.
        rounds: of the polynomial.
        dtype: of the polynomial's matrix products; bfloat16 is precise enough.
    """

    def __init__(
        self,
        matrices: Sequence[tuple[nn.Parameter, int]],
        groups: Sequence[dict],
        learning_rate: float,
        matrix_learning_rate: float,
        weight_decay: float,
        rounds: int,
        dtype: torch.dtype,
    ) -> None:
        first = {
            "params": [parameter for parameter, _ in matrices],
            "lr": matrix_learning_rate,
            "weight_decay": weight_decay,
        }
        super().__init__(
            [first, *groups], lr=learning_rate, betas=(0.9, 0.98), eps=1e-6, fused=True
        )
        self._parts = [parts for _, parts in matrices]
        self._rounds, self._dtype = rounds, dtype

    @torch.no_grad()
    def step(self, closure=None) -> None:  # type: ignore[override]
        """Update all parameters. The matrices' gradients are used up."""
        assert closure is None
        self._step_matrices()
        for parameter in self.param_groups[0]["params"]:
            parameter.grad = None  # AdamW passes over parameters without one
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
            state["momentum"].lerp_(gradient, 1 - MOMENTUM)
            ahead = gradient.lerp(state["momentum"], MOMENTUM)  # Nesterov's
            for matrix, update in zip(parameter.chunk(parts), ahead.chunk(parts), strict=True):
                by_shape.setdefault(matrix.shape, []).append((matrix, update))
        for shape, pairs in by_shape.items():
            updates = torch.stack([update for _, update in pairs])
            updates = orthogonalised(updates, self._rounds, self._dtype)
            step = group["lr"] * _ADAMW_SIZE * max(shape) ** 0.5
            for (matrix, _), update in zip(pairs, updates, strict=True):
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(update, alpha=-step)


def orthogonalised(matrices: Tensor, rounds: int, dtype: torch.dtype) -> Tensor:
    """Bring all singular values near 1, by Newton–Schulz iteration.

    Args:
        matrices: [B, M, N].
        rounds: of the polynomial a x + b x³ + c x⁵.
        dtype: to compute in.

    Returns:
        [B, M, N], in the precision of ``matrices``.
    """
    is_tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.transpose(1, 2) if is_tall else matrices
    x = (x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)).to(dtype)
    for _ in range(rounds):
        square = x @ x.transpose(1, 2)
        x = _A * x + (_B * square + _C * (square @ square)) @ x
    return (x.transpose(1, 2) if is_tall else x).to(matrices.dtype)
