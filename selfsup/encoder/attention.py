"""Sequences laid end to end, as one padded matrix for each sequence and head, and back.

Attention multiplies matrices [L, K], one for each sequence and head. A row is moved there in one
step, by its number; to pad the sequences first and to part the heads then would move it twice.

Shapes: B sequences, T tokens in all, R rows (T, and filler), L padded length, H heads, K width of
a head, N kinds of vectors side by side, such as keys and values.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from selfsup.encoder.layers import drop_out
from selfsup.encoder.packing import Packing, Queries


def split_heads(x: Tensor, packing: Packing) -> tuple[Tensor, ...]:
    """x [R, N, H, K] → N times [B, H, L, K], zeros at padding."""
    rows, kinds, heads, width = x.shape
    there, back = _moves(packing, kinds, heads, rows)
    moved = _Moved.apply(x.reshape(-1, width), there, back)
    return moved.view(kinds, -1, heads, packing.padded_length, width).unbind()  # type: ignore[union-attr]


def join_heads(x: Tensor, packing: Packing, rows: int) -> Tensor:
    """x [B, H, L, K] → [R, H × K], zeros at filler."""
    heads, width = x.shape[1], x.shape[3]
    there, back = _moves(packing, 1, heads, rows)
    moved = _Moved.apply(x.reshape(-1, width), back, there)
    return moved.view(rows, heads * width)  # type: ignore[union-attr]


def pad(x: Tensor, packing: Packing) -> Tensor:
    """x [R, K] → [B, L, K], zeros at padding."""
    if packing.padding_bias is None:
        tokens = len(packing.position_ids)
        return x[:tokens].reshape(-1, packing.padded_length, x.shape[1])
    return split_heads(x[:, None, None], packing)[0][:, 0]


@dataclass(frozen=True)
class _Move:
    """Rows that come from elsewhere.

    Attributes:
        source: int64, which row each comes from.
        blank: int64, which of them come from nowhere, and are zeros.
    """

    source: Tensor
    blank: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        moved = x.index_select(0, self.source)
        return moved.index_fill_(0, self.blank, 0) if len(self.blank) else moved


class _Moved(torch.autograd.Function):
    """A move, whose gradient is the move back: nothing is accumulated."""

    @staticmethod
    def forward(ctx, x: Tensor, there: _Move, back: _Move) -> Tensor:
        ctx.back = back
        return there(x)

    @staticmethod
    def backward(ctx, gradient: Tensor):  # type: ignore[override]
        return ctx.back(gradient), None, None


def _moves(packing: Packing, kinds: int, heads: int, rows: int) -> tuple[_Move, _Move]:
    """From [R × N × H, K] to [N × B × H × L, K], and back; worked out once for a batch."""
    key = kinds, heads, rows
    if key not in packing.moves:
        packing.moves[key] = _find_moves(packing, kinds, heads, rows)
    return packing.moves[key]


def _find_moves(packing: Packing, kinds: int, heads: int, rows: int) -> tuple[_Move, _Move]:
    """As ``_moves``.

    With lengths 2 and 1, padded to 2, one head and one kind: rows 0, 1 and 2 go to places 0, 1
    and 2, and place 3 is padding.
    """
    lengths = packing.cu_seqlens.diff().long()
    batch, length, tokens = len(lengths), packing.padded_length, len(packing.position_ids)
    device = lengths.device

    def count(number: int) -> Tensor:
        return torch.arange(number, device=device)

    of_kind = count(kinds) * (batch * heads * length)
    of_head = of_kind[:, None] + count(heads) * length  # [N, H]

    def places(sequence: Tensor, position: Tensor) -> Tensor:
        first = sequence * (heads * length) + position
        return (first[:, None, None] + of_head).flatten()

    sequence = count(batch).repeat_interleave(lengths, output_size=tokens)
    target = places(sequence, packing.position_ids)
    missing = length - lengths
    absent = batch * length - tokens
    sequence = count(batch).repeat_interleave(missing, output_size=absent)
    padding = places(sequence, count(absent) + (lengths + missing - missing.cumsum(0))[sequence])
    source = target.new_zeros(len(target) + len(padding))
    source[target] = count(len(target))
    filler = torch.arange(len(target), rows * kinds * heads, device=device)
    return _Move(source, padding), _Move(torch.cat([target, torch.zeros_like(filler)]), filler)


# Multi-head self-attention over sequences laid end to end.
#
# Shapes: T tokens in all, B sequences, L padded length, Q tokens asked for, H heads, K width of a
# head, D = H × K. Rows of filler may follow the T and the Q; they make nothing of the tokens, and
# the tokens nothing of them.


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

    def forward(self, x: Tensor, packing: Packing, queries: Queries | None = None) -> Tensor:
        """x [T, D] → [T, D], or [Q, D]: what the tokens asked for make of it."""
        dropout = self.dropout if self.training else 0.0
        if queries is not None:
            return self.output(self._attend_from(queries, x, packing, dropout))
        qkv = self.query_key_value(x).view(len(x), 3, self.heads, -1)  # [T, 3, H, K]
        return self.output(_attend(qkv, packing, dropout))

    def _attend_from(self, queries: Queries, x: Tensor, packing: Packing, dropout: float) -> Tensor:
        """x [T, D] → attended values of the tokens asked for, [Q, D]."""
        width = x.shape[1]
        weight, bias = self.query_key_value.weight, self.query_key_value.bias
        asked = x.index_select(0, queries.rows)
        q = F.linear(asked, weight[:width], bias[:width]).view(len(asked), 1, self.heads, -1)
        has_varlen = _has_varlen(q, dropout)
        if queries.packing.padded_length == 1 and not has_varlen:
            return self._attend_without_keys(q, x, packing, dropout)
        kv = F.linear(x, weight[width:], bias[width:]).view(len(x), 2, self.heads, -1)
        if has_varlen:
            k, v = kv.unbind(1)
            return _attend_varlen(q.squeeze(1), k, v, queries.packing, packing)
        k, v = split_heads(kv, packing)
        (q,) = split_heads(q, queries.packing)  # [B, H, most queries, K]
        attended = _attend_padded(q, k, v, packing, dropout)
        return join_heads(attended, queries.packing, len(asked))

    def _attend_without_keys(
        self, q: Tensor, x: Tensor, packing: Packing, dropout: float
    ) -> Tensor:
        """q [Q, 1, H, K] of one token of each sequence, x [T, D] → its attended values, [Q, D].

        A score q · (W x + b) is (Wᵀ q) · x and, for every token of a sequence alike, q · b, which
        the softmax takes away. The attended value Σ p (W x + b) is W Σ p x + b Σ p. So the key's
        and the value's matrices are multiplied once a sequence, not once a token.
        """
        tokens = pad(x, packing)  # [B, L, D]
        batch, _, width = tokens.shape
        filler = len(q) - batch
        weights = self.query_key_value.weight.view(3, self.heads, -1, width)
        _, key_weight, value_weight = weights.unbind()  # [H, K, D]
        value_bias = self.query_key_value.bias.view(3, self.heads, 1, -1)[2]  # [H, 1, K]
        q = q[:batch].squeeze(1).transpose(0, 1) / math.sqrt(q.shape[-1])  # [H, B, K]
        looked_for = torch.bmm(q, key_weight).transpose(0, 1)  # Wᵀ q, [B, H, D]
        scores = torch.bmm(looked_for, tokens.transpose(1, 2))  # [B, H, L]
        if packing.padding_bias is not None:
            scores = scores + packing.padding_bias.squeeze(1).to(scores.dtype)
        probabilities = drop_out(scores.softmax(-1), dropout)
        means = torch.bmm(probabilities, tokens).transpose(0, 1)  # Σ p x, [H, B, D]
        sums = probabilities.sum(-1).t().unsqueeze(-1)  # Σ p, [H, B, 1]: 1, but for dropout
        values = torch.bmm(means, value_weight.transpose(1, 2)) + sums * value_bias.to(sums.dtype)
        attended = values.transpose(0, 1).reshape(batch, width)
        return F.pad(attended, (0, 0, 0, filler))


def _attend(qkv: Tensor, packing: Packing, dropout: float) -> Tensor:
    """qkv [T, 3, H, K] → attended values [T, D]."""
    if _has_varlen(qkv, dropout):
        q, k, v = qkv.unbind(1)
        return _attend_varlen(q, k, v, packing, packing)
    q, k, v = split_heads(qkv, packing)
    return join_heads(_attend_padded(q, k, v, packing, dropout), packing, len(qkv))


def _has_varlen(x: Tensor, dropout: float) -> bool:
    """Whether flash attention over variable lengths computes this, x [T, …, K]."""
    width = x.shape[-1]
    return (
        x.device.type == "cuda"
        and dropout == 0.0
        and x.dtype in (torch.bfloat16, torch.float16)
        and width % 8 == 0
        and width <= 256
    )


def _attend_varlen(
    q: Tensor, k: Tensor, v: Tensor, of_queries: Packing, of_keys: Packing
) -> Tensor:
    """Flash attention: q [Q, H, K], k and v [T, H, K] → [Q, D]."""
    from torch.nn.attention.varlen import varlen_attn

    ends = of_queries.cu_seqlens, of_keys.cu_seqlens
    longest = of_queries.max_seqlen, of_keys.max_seqlen
    return varlen_attn(q, k, v, *ends, *longest).flatten(1)  # type: ignore[union-attr]


def _attend_padded(q: Tensor, k: Tensor, v: Tensor, packing: Packing, dropout: float) -> Tensor:
    """q [B, H, queries, K], k and v [B, H, L, K] → [B, H, queries, K]."""
    bias = None if packing.padding_bias is None else packing.padding_bias.to(q.dtype)
    return attend(q, k, v, bias, dropout)


def attend(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None, dropout: float = 0.0
) -> Tensor:
    """q [B, H, queries, K], k and v [B, H, L, K] → [B, H, queries, K].

    The bias is added to the scores, [B, 1, 1, L].
    """
    if q.device.type == "cpu":
        return _attend_by_matrix_products(q, k, v, bias, dropout)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=dropout)


def _attend_by_matrix_products(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, dropout: float
) -> Tensor:
    """As ``attend``.

    On a CPU, the backward pass of torch's fused attention takes three times as long as these
    batched products at lengths up to 512 (docs/log.md).
    """
    batch, heads, length, width = k.shape
    if bias is not None:
        bias = bias.expand(batch, heads, 1, length).reshape(batch * heads, 1, length)
    scores = torch.baddbmm(
        q.new_zeros(()) if bias is None else bias,
        q.reshape(batch * heads, -1, width),
        k.reshape(batch * heads, length, width).transpose(1, 2),
        beta=0 if bias is None else 1,
        alpha=1 / math.sqrt(width),
    )
    probabilities = drop_out(scores.softmax(-1), dropout)
    attended = torch.bmm(probabilities, v.reshape(batch * heads, length, width))
    return attended.view(batch, heads, -1, width)
