"""Attention with rotary positions (Su et al. 2021), over whole sequences or in local windows.

As in ModernBERT (Warner et al. 2024, §2.1): no biases, and a local layer's token attends to the
tokens at most half a window away. Local attention of long sequences is computed in blocks of half
a window, each with its neighbours, so that its cost grows with the length and not with its square.

Shapes: B sequences, T tokens in total, R rows (T, and padding rows), L padded length, Q tokens that
are queried, H heads, K width of a head, D = H × K, N blocks, C tokens of a block.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from selfsup.encoder.attention import (
    attend,
    attend_varlen,
    has_varlen,
    join_heads,
    pad,
    split_heads,
)
from selfsup.encoder.layers import drop_out
from selfsup.encoder.packing import Packing, Queries


class RotaryAttention(nn.Module):
    """Attention within each sequence whose scores depend on how far apart two tokens are."""

    # How far a token attends; -1: to all tokens of its sequence.
    reach = -1

    def __init__(self, width: int, heads: int, dropout: float, theta: float) -> None:
        """``theta`` is the base of the rotations' frequencies."""
        super().__init__()
        self.heads, self.dropout, self.theta = heads, dropout, theta
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.output = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, packing: Packing, queries: Queries | None = None) -> Tensor:
        """x [R, D] → [R, D]; with ``queries`` only the rows of the queried tokens, [Q, D]."""
        dropout = self.dropout if self.training else 0.0
        if queries is not None:
            return self.output(self._attend_from(queries, x, packing, dropout))
        qkv = self.query_key_value(x).view(len(x), 3, self.heads, -1)  # [R, 3, H, K]
        if has_varlen(qkv, dropout):
            q, k, v = qkv.unbind(1)
            cos, sin = self._rotation(packing.position_ids, q.shape[-1])
            q, k = (rotate(each, cos[:, None], sin[:, None]) for each in (q, k))
            return self.output(attend_varlen(q, k, v, packing, packing, self.reach))
        q, k, v = split_heads(qkv, packing)  # [B, H, L, K] each
        cos, sin = self._rotation_of_length(packing, q.shape[-1])
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        return self.output(join_heads(self._attend(q, k, v, packing, dropout), packing, len(x)))

    def _attend_from(self, queries: Queries, x: Tensor, packing: Packing, dropout: float) -> Tensor:
        """x [R, D] → attended values of the queried tokens, [Q, D]."""
        weight, rows, width = self.query_key_value.weight, queries.rows, x.shape[1]
        q = F.linear(x.index_select(0, rows), weight[:width]).view(len(rows), 1, self.heads, -1)
        positions = packing.position_ids.index_select(0, rows)
        cos, sin = self._rotation(positions, q.shape[-1])
        q = rotate(q, cos[:, None, None], sin[:, None, None])
        kv = F.linear(x, weight[width:]).view(len(x), 2, self.heads, -1)
        k, v = split_heads(kv, packing)
        k = rotate(k, *self._rotation_of_length(packing, k.shape[-1]))
        (q,) = split_heads(q, queries.packing)  # [B, H, most queries, K]
        asked = pad(positions[:, None].float(), queries.packing)  # [B, most queries, 1]
        attended = attend(q, k, v, self._bias(asked, packing, q.dtype), dropout)
        return join_heads(attended, queries.packing, len(rows))

    def _rotation(self, positions: Tensor, width: int) -> tuple[Tensor, Tensor]:
        """The cosines and sines of positions, int64 [R], for heads of ``width``: [R, K] each.

        Value i of a head's first half and value i of its second half are rotated together, by the
        position times theta^(-2i/K) (§3.2.2).
        """
        powers = torch.arange(0, width, 2, device=positions.device, dtype=torch.float32) / width
        angles = positions[:, None].float() * (1.0 / self.theta**powers)
        return angles.cos().repeat(1, 2), angles.sin().repeat(1, 2)

    def _rotation_of_length(self, packing: Packing, width: int) -> tuple[Tensor, Tensor]:
        """The same for each position of a padded sequence, [L, K]; kept for the other layers."""
        key = "rotation", self.theta
        if key not in packing.layouts:
            positions = torch.arange(packing.padded_length, device=packing.cu_seqlens.device)
            packing.layouts[key] = self._rotation(positions, width)
        return packing.layouts[key]

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, packing: Packing, dropout: float) -> Tensor:
        """q, k and v [B, H, L, K] → attended values, [B, H, L, K]."""
        bias = None if packing.padding_bias is None else packing.padding_bias.to(q.dtype)
        return attend(q, k, v, bias, dropout)

    def _bias(self, asked: Tensor, packing: Packing, dtype: torch.dtype) -> Tensor | None:
        """What is added to the scores: the positions of the queries, [B, Q, 1] → [B, 1, …, L]."""
        return None if packing.padding_bias is None else packing.padding_bias.to(dtype)


class LocalAttention(RotaryAttention):
    """Rotary attention to the tokens at most ``reach`` away."""

    def __init__(self, width: int, heads: int, dropout: float, theta: float, reach: int) -> None:
        super().__init__(width, heads, dropout, theta)
        self.reach = reach

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, packing: Packing, dropout: float) -> Tensor:
        if packing.max_seqlen <= self.reach + 1:  # all tokens are near
            return super()._attend(q, k, v, packing, dropout)
        length = packing.padded_length
        is_short = length <= 4 * self.reach  # blocks would compute as many scores
        key = "near", self.reach, q.dtype
        if key not in packing.layouts:
            if is_short:
                positions = torch.arange(length, device=q.device).float()[None, :, None]
                packing.layouts[key] = self._bias(positions, packing, q.dtype)
            else:
                lengths = packing.cu_seqlens.diff()
                packing.layouts[key] = bias_of_blocks(lengths, length, self.reach, q.dtype)
        bias = packing.layouts[key]
        if is_short:
            return attend(q, k, v, bias, dropout)
        return attend_in_blocks(q, k, v, bias, self.reach, dropout)

    def _bias(self, asked: Tensor, packing: Packing, dtype: torch.dtype) -> Tensor:
        keys = torch.arange(packing.padded_length, device=asked.device)
        lengths = packing.cu_seqlens.diff()[:, None, None]
        is_seen = ((asked - keys).abs() <= self.reach) & (keys < lengths)  # [B, Q, L]
        return _as_bias(is_seen, dtype)[:, None]


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x […, K] of any dtype, rotated in float32 by angles that broadcast to it."""
    wide = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
    first, second = wide.chunk(2, -1)
    return (wide * cos + torch.cat([-second, first], -1) * sin).to(x.dtype)


def attend_in_blocks(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor, reach: int, dropout: float
) -> Tensor:
    """Attention to the tokens at most ``reach`` away.

    Args:
        q, k, v: [B, H, L, K].
        bias: see ``bias_of_blocks``.
        reach: also the length of a block, C.
        dropout: the probability with which an attention weight is dropped.

    Returns:
        [B, H, L, K].
    """
    batch, heads, length, width = q.shape
    blocks = -(-length // reach)
    after = blocks * reach - length
    q = F.pad(q, (0, 0, 0, after)).view(batch, heads, blocks, reach, width)

    def with_neighbours(x: Tensor) -> Tensor:
        """[B, H, L, K] → [B, H, N, 3 C, K]."""
        x = F.pad(x, (0, 0, reach, after + reach))
        x = x.view(batch, heads, blocks + 2, reach, width)
        return torch.cat([x[:, :, :-2], x[:, :, 1:-1], x[:, :, 2:]], 3)

    scores = (q / math.sqrt(width)) @ with_neighbours(k).transpose(-1, -2) + bias
    probabilities = drop_out(scores.softmax(-1), dropout)
    attended = probabilities @ with_neighbours(v)  # [B, H, N, C, K]
    return attended.reshape(batch, heads, blocks * reach, width)[:, :, :length]


def bias_of_blocks(lengths: Tensor, length: int, reach: int, dtype: torch.dtype) -> Tensor:
    """What is added to the scores in blocks, [B, 1, N, C, 3 C], of sequences of ``lengths``, [B].

    ``length`` is L, ``reach`` is C.
    """
    blocks = -(-length // reach)
    offsets = torch.arange(3 * reach, device=lengths.device)  # from the block before
    distances = torch.arange(reach, device=lengths.device)[:, None] + reach - offsets  # [C, 3 C]
    keys = torch.arange(blocks, device=lengths.device)[:, None] * reach + offsets - reach
    exists = (keys >= 0) & (keys < lengths[:, None, None])  # [B, N, 3 C]
    is_seen = exists[:, :, None] & (distances.abs() <= reach)  # [B, N, C, 3 C]
    return _as_bias(is_seen, dtype)[:, None]


def _as_bias(is_seen: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where a key is seen; finite elsewhere, as a padding row may see none."""
    bias = torch.zeros(is_seen.shape, dtype=dtype, device=is_seen.device)
    return bias.masked_fill_(~is_seen, torch.finfo(dtype).min / 2)
