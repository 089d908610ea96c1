"""Parameters that learn alike, in the groups that an optimizer takes."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from selfsup.transfer.rates import Rate


def parameter_groups(
    named_parameters: Iterable[tuple[str, nn.Parameter]],
    rates: Mapping[str, Rate],
    weight_decay: float,
) -> list[dict[str, Any]]:
    """One group for each learning rate, with and without weight decay.

    Vectors (biases and norms) are not decayed. Frozen parameters are in no group, so that the
    optimizer neither keeps state for them nor decays them.
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


def build_adamw(groups: list[dict[str, Any]]) -> torch.optim.AdamW:
    """AdamW with bias correction, without which few labels train unsteadily.

    Mosbach et al. 2021, "On the Stability of Fine-tuning BERT", §5; Zhang et al. 2021, "Revisiting
    Few-sample BERT Fine-tuning", §4. BERT's own eps of 1e-6 would shorten the steps of weights
    whose gradients are as small as that, as they are below a pooler that was never trained.
    """
    return torch.optim.AdamW(groups, betas=(0.9, 0.999), eps=1e-8, fused=True)
