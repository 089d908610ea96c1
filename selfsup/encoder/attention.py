"""Multi-head self-attention over packed sequences.

Sequences are packed: their tokens are concatenated without padding. Attention multiplies one
matrix [L, K] for each sequence and head. ``split_heads`` moves each token's vectors into these
matrices in one step, by index; padding the sequences and then permuting the heads would move them
twice. ``join_heads`` is the way back.

Shapes: B sequences, T tokens in total, R rows (T, and padding rows), L padded length, Q tokens that
are queried, H heads, K width of a head, D = H × K, N kinds of vectors, such as keys and values.
Padding rows may follow the T and the Q rows; they do not influence the tokens, nor the tokens them.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from selfsup.encoder.config import EncoderConfig, VitConfig
from selfsup.encoder.layers import drop_out
from selfsup.encoder.packing import Packing, Queries


def split_heads(x: Tensor, packing: Packing) -> tuple[Tensor, ...]:
    """x [R, N, H, K] → N times [B, H, L, K], zeros at padding."""
    rows, kinds, heads, width = x.shape
    to_heads, to_rows = _layout(packing, kinds, heads, rows)
    moved = _Permute.apply(x.reshape(-1, width), to_heads, to_rows)
    return moved.view(kinds, -1, heads, packing.padded_length, width).unbind()  # type: ignore[union-attr]


def join_heads(x: Tensor, packing: Packing, rows: int) -> Tensor:
    """x [B, H, L, K] → [R, H × K], zeros in padding rows."""
    heads, width = x.shape[1], x.shape[3]
    to_heads, to_rows = _layout(packing, 1, heads, rows)
    moved = _Permute.apply(x.reshape(-1, width), to_rows, to_heads)
    return moved.view(rows, heads * width)  # type: ignore[union-attr]


def pad(x: Tensor, packing: Packing) -> Tensor:
    """x [R, K] → [B, L, K], zeros at padding."""
    if packing.padding_bias is None:
        tokens = len(packing.position_ids)
        return x[:tokens].reshape(-1, packing.padded_length, x.shape[1])
    return split_heads(x[:, None, None], packing)[0][:, 0]


class _Gather(NamedTuple):
    """Collects rows of a matrix: int64, the input row of each output row, and those to be zeros."""

    source: Tensor
    zero_rows: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        moved = x.index_select(0, self.source)
        return moved.index_fill_(0, self.zero_rows, 0) if len(self.zero_rows) else moved


class _Permute(torch.autograd.Function):
    """Gathers rows; the gradient is gathered by the inverse, so nothing is accumulated."""

    @staticmethod
    def forward(ctx, x: Tensor, gather: _Gather, inverse: _Gather) -> Tensor:
        ctx.inverse = inverse
        return gather(x)

    @staticmethod
    def backward(ctx, gradient: Tensor):  # type: ignore[override]
        return ctx.inverse(gradient), None, None


def _layout(packing: Packing, kinds: int, heads: int, rows: int) -> tuple[_Gather, _Gather]:
    """From [R × N × H, K] to [N × B × H × L, K], and back; computed once for a batch."""
    key = kinds, heads, rows
    if key not in packing.layouts:
        packing.layouts[key] = _build_layout(packing, kinds, heads, rows)
    return packing.layouts[key]


def _build_layout(packing: Packing, kinds: int, heads: int, rows: int) -> tuple[_Gather, _Gather]:
    """Example: with lengths 2 and 1, padded to 2, one head and one kind, rows 0, 1 and 2 go to
    positions 0, 1 and 2, and position 3 is padding.
    """
    lengths = packing.cu_seqlens.diff().long()
    batch, length, tokens = len(lengths), packing.padded_length, len(packing.position_ids)
    device = lengths.device

    def count(number: int) -> Tensor:
        return torch.arange(number, device=device)

    of_kind = count(kinds) * (batch * heads * length)
    of_head = of_kind[:, None] + count(heads) * length  # [N, H]

    def targets(sequence: Tensor, position: Tensor) -> Tensor:
        first = sequence * (heads * length) + position
        return (first[:, None, None] + of_head).flatten()

    sequence = count(batch).repeat_interleave(lengths, output_size=tokens)
    target = targets(sequence, packing.position_ids)
    missing = length - lengths
    absent = batch * length - tokens
    sequence = count(batch).repeat_interleave(missing, output_size=absent)
    padding = targets(sequence, count(absent) + (lengths + missing - missing.cumsum(0))[sequence])
    source = target.new_zeros(len(target) + len(padding))
    source[target] = count(len(target))
    # Vectors of the padding rows after the tokens.
    extra = torch.arange(len(target), rows * kinds * heads, device=device)
    to_rows = _Gather(torch.cat([target, torch.zeros_like(extra)]), extra)
    return _Gather(source, padding), to_rows


class SelfAttention(nn.Module):
    """Scaled dot-product attention within each sequence (Vaswani et al. 2017, §3.2).

    Query, key and value are one matrix product. No token attends to another sequence.
    """

    def __init__(self, config: EncoderConfig | VitConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.heads = config.num_attention_heads
        self.dropout = config.attention_probs_dropout_prob
        self.query_key_value = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def forward(self, x: Tensor, packing: Packing, queries: Queries | None = None) -> Tensor:
        """x [T, D] → [T, D]; with ``queries`` only the rows of the queried tokens, [Q, D]."""
        dropout = self.dropout if self.training else 0.0
        if queries is not None:
            return self.output(self._attend_from(queries, x, packing, dropout))
        qkv = self.query_key_value(x).view(len(x), 3, self.heads, -1)  # [T, 3, H, K]
        return self.output(attend_packed(qkv, packing, dropout))

    def _attend_from(self, queries: Queries, x: Tensor, packing: Packing, dropout: float) -> Tensor:
        """x [T, D] → attended values of the queried tokens, [Q, D]."""
        width = x.shape[1]
        weight, bias = self.query_key_value.weight, self.query_key_value.bias
        queried = x.index_select(0, queries.rows)
        q = F.linear(queried, weight[:width], bias[:width]).view(len(queried), 1, self.heads, -1)
        is_varlen = has_varlen(q, dropout)
        if queries.packing.padded_length == 1 and not is_varlen:
            return self._attend_without_keys(q, x, packing, dropout)
        kv = F.linear(x, weight[width:], bias[width:]).view(len(x), 2, self.heads, -1)
        if is_varlen:
            k, v = kv.unbind(1)
            return attend_varlen(q.squeeze(1), k, v, queries.packing, packing)
        k, v = split_heads(kv, packing)
        (q,) = split_heads(q, queries.packing)  # [B, H, most queries, K]
        attended = _attend_padded(q, k, v, packing, dropout)
        return join_heads(attended, queries.packing, len(queried))

    def _attend_without_keys(
        self, q: Tensor, x: Tensor, packing: Packing, dropout: float
    ) -> Tensor:
        """q [Q, 1, H, K] of one token of each sequence, x [T, D] → its attended values, [Q, D].

        A score q · (W x + b) is (Wᵀ q) · x plus q · b, which is the same for all tokens of a
        sequence and cancels in the softmax. The attended value Σ p (W x + b) is W Σ p x + b Σ p. So
        the key and value matrices are multiplied once per sequence, not once per token.
        """
        tokens = pad(x, packing)  # [B, L, D]
        batch, _, width = tokens.shape
        padding_rows = len(q) - batch
        weights = self.query_key_value.weight.view(3, self.heads, -1, width)
        _, key_weight, value_weight = weights.unbind()  # [H, K, D]
        value_bias = self.query_key_value.bias.view(3, self.heads, 1, -1)[2]  # [H, 1, K]
        q = q[:batch].squeeze(1).transpose(0, 1) / math.sqrt(q.shape[-1])  # [H, B, K]
        projected = torch.bmm(q, key_weight).transpose(0, 1)  # Wᵀ q, [B, H, D]
        scores = torch.bmm(projected, tokens.transpose(1, 2))  # [B, H, L]
        if packing.padding_bias is not None:
            scores = scores + packing.padding_bias.squeeze(1).to(scores.dtype)
        probabilities = drop_out(scores.softmax(-1), dropout)
        means = torch.bmm(probabilities, tokens).transpose(0, 1)  # Σ p x, [H, B, D]
        sums = probabilities.sum(-1).t().unsqueeze(-1)  # Σ p, [H, B, 1]: 1 without dropout
        values = torch.bmm(means, value_weight.transpose(1, 2)) + sums * value_bias.to(sums.dtype)
        attended = values.transpose(0, 1).reshape(batch, width)
        return F.pad(attended, (0, 0, 0, padding_rows))


def attend_packed(qkv: Tensor, packing: Packing, dropout: float) -> Tensor:
    """qkv [T, 3, H, K] → attended values [T, D]."""
    if has_varlen(qkv, dropout):
        q, k, v = qkv.unbind(1)
        return attend_varlen(q, k, v, packing, packing)
    q, k, v = split_heads(qkv, packing)
    return join_heads(_attend_padded(q, k, v, packing, dropout), packing, len(qkv))


def has_varlen(x: Tensor, dropout: float) -> bool:
    """Whether variable-length flash attention supports x [T, …, K]."""
    width = x.shape[-1]
    return (
        x.device.type == "cuda"
        and dropout == 0.0
        and x.dtype in (torch.bfloat16, torch.float16)
        and width % 8 == 0
        and width <= 256
    )


def attend_varlen(
    q: Tensor, k: Tensor, v: Tensor, queries: Packing, keys: Packing, reach: int = -1
) -> Tensor:
    """Variable-length flash attention: q [Q, H, K], k and v [T, H, K] → [Q, D].

    Where all tokens are queried, each may attend to those at most ``reach`` away; -1: to all.
    """
    from torch.nn.attention.varlen import varlen_attn

    ends = queries.cu_seqlens, keys.cu_seqlens
    longest = queries.max_seqlen, keys.max_seqlen
    attended = varlen_attn(q, k, v, *ends, *longest, window_size=(reach, reach))
    return attended.flatten(1)  # type: ignore[union-attr]


def _attend_padded(q: Tensor, k: Tensor, v: Tensor, packing: Packing, dropout: float) -> Tensor:
    """q [B, H, queries, K], k and v [B, H, L, K] → [B, H, queries, K]."""
    bias = None if packing.padding_bias is None else packing.padding_bias.to(q.dtype)
    return attend(q, k, v, bias, dropout)


def attend(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None, dropout: float = 0.0
) -> Tensor:
    """q [B, H, queries, K], k and v [B, H, L, K] → [B, H, queries, K].

    ``bias``, [B, 1, 1, L] or [B, 1, queries, L], is added to the scores. Attention weights are
    dropped with probability ``dropout``.
    """
    if q.device.type == "cpu":
        return _attend_by_matrix_products(q, k, v, bias, dropout)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=dropout)


def _attend_by_matrix_products(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, dropout: float
) -> Tensor:
    """``attend`` for a CPU: torch's fused attention is slow there in training (docs/log.md)."""
    batch, heads, length, width = k.shape
    if bias is not None:
        rows = bias.shape[2]
        bias = bias.expand(batch, heads, rows, length).reshape(batch * heads, rows, length)
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
