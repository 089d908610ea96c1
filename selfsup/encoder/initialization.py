"""How every weight starts."""

import torch
from torch import nn


def initialize(model: nn.Module, std: float, seed: int) -> None:
    """Draw all weights as BERT does: N(0, std²) truncated at two standard deviations.

    Biases start at 0 and norms at the identity. The draw is a function of ``seed`` and of the
    order of the modules alone.
    """
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.trunc_normal_(module.weight, 0.0, std, -2 * std, 2 * std, generator=generator)
        elif isinstance(module, nn.LayerNorm):
            nn.init.ones_(module.weight)
        if isinstance(module, nn.Linear | nn.LayerNorm) and module.bias is not None:
            nn.init.zeros_(module.bias)
