"""Parts that all encoders share: activations, precision, dropout, weight initialisation."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# The activation functions of feed-forward layers, under Hugging Face's names.
ACTIVATIONS = {
    "gelu": nn.GELU(),
    "gelu_new": nn.GELU(approximate="tanh"),
    "gelu_pytorch_tanh": nn.GELU(approximate="tanh"),
    "relu": nn.ReLU(),
}

_VALUES = 1 << 16  # of the random integer that decides whether an element is dropped


def compute_dtype(x: Tensor) -> torch.dtype:
    """The precision of matrix products: autocast's if it is enabled, else that of the tensor."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


class Dropout(nn.Dropout):
    """Calls ``drop_out`` in training mode; in evaluation mode it does nothing."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the parent's name
        return drop_out(input, self.p) if self.training else input


def drop_out(x: Tensor, p: float) -> Tensor:
    """Set elements to 0 with probability ``p``, and scale the others to keep the mean.

    Dropout as in Srivastava et al. 2014, §4. On a CPU four elements share a draw of 64 random bits,
    which takes a sixth of the time of torch's own dropout (docs/log.md); ``p`` is rounded to a
    multiple of 2⁻¹⁶. Torch's seed determines what is dropped.
    """
    if x.device.type != "cpu":
        return F.dropout(x, p)
    dropped = min(round(p * _VALUES), _VALUES - 1)
    if dropped == 0:
        return x
    draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(1 << 63), None)
    bits = draws.view(torch.int16)[: x.numel()].view(x.shape)  # uniform in [-2¹⁵, 2¹⁵)
    kept = torch.ge(bits, dropped - _VALUES // 2, out=torch.empty_like(x, requires_grad=False))
    return x * kept.mul_(_VALUES / (_VALUES - dropped))


def initialize(model: nn.Module, std: float, seed: int, *, truncated: bool = True) -> None:
    """Initialise all weights as BERT does: N(0, std²), truncated at two standard deviations.

    Biases start at 0 and norms as the identity. Tokens that a module learns (``cls_token``,
    ``mask_token``) are drawn like weights. Other parameters that a module holds directly keep their
    values.

    Args:
        model: changed in place.
        std: standard deviation before truncation; truncated weights have 0.88 std.
        seed: determines the weights, together with the order of the modules.
        truncated: False to draw from the whole normal distribution, as ``transformers`` does.
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
