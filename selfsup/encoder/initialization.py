"""How every weight starts."""

import torch
from torch import Tensor, nn


def initialize(model: nn.Module, std: float, seed: int, *, truncated: bool = True) -> None:
    """Draw all weights as BERT does: N(0, std²) truncated at two standard deviations.

    Not ``truncated``, as ``transformers`` draws them, they vary by the whole std; else by 0.88 std.

    Biases start at 0 and norms at the identity. Learned tokens that a module holds itself
    (``cls_token``, ``mask_token``) are drawn like weights. Other parameters that are held so stay
    as they were made. The draw is a function of ``seed`` and of the order of the modules alone.
    """
    generator = torch.Generator().manual_seed(seed)

    def draw(weight: Tensor) -> None:
        if truncated:
            nn.init.trunc_normal_(weight, 0.0, std, -2 * std, 2 * std, generator=generator)
        else:
            nn.init.normal_(weight, 0.0, std, generator=generator)

    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Embedding | nn.Conv2d):
            draw(module.weight)
        elif isinstance(module, nn.LayerNorm):
            nn.init.ones_(module.weight)
        if isinstance(module, nn.Linear | nn.LayerNorm | nn.Conv2d) and module.bias is not None:
            nn.init.zeros_(module.bias)
        for name, parameter in module.named_parameters(recurse=False):
            if name.endswith("_token"):
                draw(parameter)
