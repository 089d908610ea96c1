"""AdamW as BERT is trained with it."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn


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
