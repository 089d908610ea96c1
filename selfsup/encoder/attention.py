"""Multi-head self-attention over sequences laid end to end.

Shapes: T tokens in all, B sequences, L longest length, H heads, K width of a head, D = H × K.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from selfsup.encoder.packing import Packing


class SelfAttention(nn.Module):
    """Scaled dot-product attention within each sequence (Vaswani et al. 2017, §3.2).

    Query, key and value are one matrix product. No token sees another sequence's tokens.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.query_key_value = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def forward(self, x: Tensor, packing: Packing) -> Tensor:
        """x [T, D] → [T, D]."""
        qkv = self.query_key_value(x).view(len(x), 3, self.heads, -1)  # [T, 3, H, K]
        dropout = self.dropout if self.training else 0.0
        return self.output(_attend(qkv, packing, dropout).flatten(1))


def _attend(qkv: Tensor, packing: Packing, dropout: float) -> Tensor:
    """qkv [T, 3, H, K] → attended values [T, H, K], by the fastest way the device has."""
    if qkv.device.type == "cpu":
        return packing.unpad(_attend_by_matrix_products(packing.pad(qkv), packing, dropout))
    if qkv.device.type == "cuda" and dropout == 0.0 and qkv.dtype in _VARLEN_DTYPES:
        return _attend_varlen(qkv, packing)
    q, k, v = packing.pad(qkv).permute(2, 0, 3, 1, 4)  # each [B, H, L, K]
    bias = None if packing.padding_bias is None else packing.padding_bias.to(q.dtype)
    attended = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=dropout)
    return packing.unpad(attended.transpose(1, 2))


_VARLEN_DTYPES = (torch.bfloat16, torch.float16)


def _attend_varlen(qkv: Tensor, packing: Packing) -> Tensor:
    """Flash attention over variable lengths: on CUDA, in half precision, without dropout."""
    from torch.nn.attention.varlen import varlen_attn

    q, k, v = qkv.unbind(1)
    ends, longest = packing.cu_seqlens, packing.max_seqlen
    return varlen_attn(q, k, v, ends, ends, longest, longest)  # type: ignore[return-value]


def _attend_by_matrix_products(qkv: Tensor, packing: Packing, dropout: float) -> Tensor:
    """qkv [B, L, 3, H, K] → [B, L, H, K].

    On a CPU, the backward pass of torch's fused attention takes three times as long as these
    batched products at lengths up to 512 (docs/log.md).
    """
    batch, length, _, heads, width = qkv.shape
    q, k, v = qkv.permute(2, 0, 3, 1, 4).reshape(3, batch * heads, length, width)
    if packing.padding_bias is None:
        bias, beta = q.new_zeros(()), 0
    else:
        bias = packing.padding_bias.to(q.dtype).expand(batch, heads, 1, length)
        bias, beta = bias.reshape(batch * heads, 1, length), 1
    scores = torch.baddbmm(bias, q, k.transpose(1, 2), beta=beta, alpha=1 / math.sqrt(width))
    probabilities = F.dropout(scores.softmax(-1), dropout)
    attended = torch.bmm(probabilities, v).view(batch, heads, length, width)
    return attended.transpose(1, 2)
