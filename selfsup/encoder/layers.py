"""The activation functions of feed-forward layers, under Hugging Face's names."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ACTIVATIONS = {
    "gelu": nn.GELU(),
    "gelu_new": nn.GELU(approximate="tanh"),
    "gelu_pytorch_tanh": nn.GELU(approximate="tanh"),
    "relu": nn.ReLU(),
}


# In which precision layers compute.


def compute_dtype(x: Tensor) -> torch.dtype:
    """The precision of matrix products here: autocast's where it is on, else the tensor's own."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


# Dropout (Srivastava et al. 2014, §4), with cheap random numbers on a CPU.


_VALUES = 1 << 16  # of the random integer that decides over an element


class Dropout(nn.Dropout):
    """``drop_out`` in training; otherwise nothing."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - as the parent has it
        """Of any shape, and the result likewise."""
        return drop_out(input, self.p) if self.training else input


def drop_out(x: Tensor, p: float) -> Tensor:
    """Set elements to 0 with probability ``p``, and scale the others so that the mean stays.

    On a CPU four elements share a draw of 64 random bits, which takes a sixth of the time of
    torch's own dropout (docs/log.md); ``p`` is rounded to a multiple of 2⁻¹⁶. What is dropped is a
    function of torch's seed.
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


# Rows added to a matrix so that few different numbers of rows occur.
#
# On a CPU, oneDNN makes a kernel for each shape of matrix product that it meets, and keeps the
# last
# thousand. Sequences laid end to end have another number of rows in nearly every batch; the
# kernels
# for them took up to a tenth of a training step, and a gigabyte (docs/log.md).


def filler_rows(count: int, device: torch.device) -> int:
    """How many rows to add to ``count``: at most 31 or a thirty-second of them; none but on a CPU.

    There are at most 32 different sums between a power of two and the next. To a few rows, such as
    those of a single text, at most 7 are added.
    """
    unit = 8 if count <= 32 else max(32, 1 << max(0, count.bit_length() - 6))
    return -count % unit if device.type == "cpu" else 0


def with_filler(x: Tensor) -> Tensor:
    """Add rows of zeros to x [N, …]."""
    rows = filler_rows(len(x), x.device)
    return F.pad(x, (0, 0) * (x.ndim - 1) + (0, rows)) if rows else x


# How every weight starts.


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
