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

from selfsup.encoder.attention import attend, attend_packed, join_heads, pad, split_heads
from selfsup.encoder.layers import drop_out
from selfsup.encoder.packing import Packing, Queries


class RotaryAttention(nn.Module):
    """Attention within each sequence whose scores depend on how far apart two tokens are."""

    def __init__(self, width: int, heads: int, dropout: float, theta: float) -> None:
        """``theta`` is the base of the rotations' frequencies."""
        super().__init__()
        self.heads, self.dropout, self.theta = heads, dropout, theta
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.output = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, packing: Packing, queries: Queries | None = None) -> Tensor:
        """x [R, D] → [R, D]; with ``queries`` only the rows of the queried tokens, [Q, D]."""
        dropout = self.dropout if self.training else 0.0
        width = x.shape[1]
        positions = packing.position_ids
        positions = F.pad(positions, (0, len(x) - len(positions)))  # [R]
        if queries is None:
            qkv = self.query_key_value(x).view(len(x), 3, self.heads, -1)
            rotated = self._rotate(qkv[:, :2], positions)
            qkv = torch.cat([rotated, qkv[:, 2:]], 1)
            return self.output(self._attend(qkv, packing, dropout))
        weight, rows = self.query_key_value.weight, queries.rows
        q = F.linear(x.index_select(0, rows), weight[:width]).view(len(rows), 1, self.heads, -1)
        q = self._rotate(q, positions[rows])
        kv = F.linear(x, weight[width:]).view(len(x), 2, self.heads, -1)
        k, v = split_heads(torch.cat([self._rotate(kv[:, :1], positions), kv[:, 1:]], 1), packing)
        (q,) = split_heads(q, queries.packing)  # [B, H, most queries, K]
        asked = pad(positions[rows, None].float(), queries.packing)  # [B, most queries, 1]
        attended = attend(q, k, v, self._bias(asked, packing, q.dtype), dropout)
        return self.output(join_heads(attended, queries.packing, len(rows)))

    def _rotate(self, x: Tensor, positions: Tensor) -> Tensor:
        """x [R, N, H, K], positions int64 [R] → x, each pair of values rotated (§3.2.2)."""
        width = x.shape[-1]
        powers = torch.arange(0, width, 2, device=x.device, dtype=torch.float32) / width
        angles = positions[:, None].float() * (1.0 / self.theta**powers)  # [R, K / 2]
        cos = angles.cos().repeat(1, 2)[:, None, None].to(x.dtype)
        sin = angles.sin().repeat(1, 2)[:, None, None].to(x.dtype)
        first, second = x.float().chunk(2, -1)
        return (x.float() * cos + torch.cat([-second, first], -1) * sin).to(x.dtype)

    def _attend(self, qkv: Tensor, packing: Packing, dropout: float) -> Tensor:
        """qkv [R, 3, H, K] → attended values, [R, D]."""
        return attend_packed(qkv, packing, dropout)

    def _bias(self, asked: Tensor, packing: Packing, dtype: torch.dtype) -> Tensor | None:
        """What is added to the scores: the positions of the queries, [B, Q, 1] → [B, 1, …, L]."""
        return None if packing.padding_bias is None else packing.padding_bias.to(dtype)


class LocalAttention(RotaryAttention):
    """Rotary attention to the tokens at most ``reach`` away."""

    def __init__(self, width: int, heads: int, dropout: float, theta: float, reach: int) -> None:
        super().__init__(width, heads, dropout, theta)
        self.reach = reach

    def _attend(self, qkv: Tensor, packing: Packing, dropout: float) -> Tensor:
        q, k, v = split_heads(qkv, packing)
        length = packing.padded_length
        if length <= 4 * self.reach:  # blocks would compute as many scores
            positions = torch.arange(length, device=q.device).float()[None, :, None]
            attended = attend(q, k, v, self._bias(positions, packing, q.dtype), dropout)
        else:
            lengths = packing.cu_seqlens.diff()
            attended = attend_in_blocks(q, k, v, lengths, self.reach, dropout)
        return join_heads(attended, packing, len(qkv))

    def _bias(self, asked: Tensor, packing: Packing, dtype: torch.dtype) -> Tensor:
        keys = torch.arange(packing.padded_length, device=asked.device)
        lengths = packing.cu_seqlens.diff()[:, None, None]
        is_seen = ((asked - keys).abs() <= self.reach) & (keys < lengths)  # [B, Q, L]
        return _as_bias(is_seen, dtype)[:, None]


def attend_in_blocks(
    q: Tensor, k: Tensor, v: Tensor, lengths: Tensor, reach: int, dropout: float
) -> Tensor:
    """Attention to the tokens at most ``reach`` away.

    Args:
        q, k, v: [B, H, L, K].
        lengths: of the sequences, [B].
        reach: also the length of a block, C.
        dropout: the probability with which an attention weight is dropped.

    Returns:
        [B, H, L, K].
    """
    batch, heads, length, width = q.shape
    blocks = -(-length // reach)
    after = blocks * reach - length
    q = F.pad(q, (0, 0, 0, after)).view(batch, heads, blocks, reach, width)
    k, v = (  # [B, H, N, K, 3 C]
        F.pad(x, (0, 0, reach, after + reach)).unfold(2, 3 * reach, reach) for x in (k, v)
    )
    offsets = torch.arange(3 * reach, device=q.device)  # from the block before
    distances = torch.arange(reach, device=q.device)[:, None] + reach - offsets  # [C, 3 C]
    keys = torch.arange(blocks, device=q.device)[:, None] * reach + offsets - reach  # [N, 3 C]
    exists = (keys >= 0) & (keys < lengths[:, None, None])  # [B, N, 3 C]
    is_seen = exists[:, :, None] & (distances.abs() <= reach)  # [B, N, C, 3 C]
    scores = q @ k / math.sqrt(width) + _as_bias(is_seen, q.dtype)[:, None]
    probabilities = drop_out(scores.softmax(-1), dropout)
    attended = probabilities @ v.transpose(-1, -2)  # [B, H, N, C, K]
    return attended.reshape(batch, heads, blocks * reach, width)[:, :, :length]


def _as_bias(is_seen: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where a key is seen; finite elsewhere, as a padding row may see none."""
    bias = torch.zeros(is_seen.shape, dtype=dtype, device=is_seen.device)
    return bias.masked_fill_(~is_seen, torch.finfo(dtype).min / 2)
