"""Sequences laid end to end, as one padded matrix for each sequence and head, and back.

Attention multiplies matrices [L, K], one for each sequence and head. A row is moved there in one
step, by its number; to pad the sequences first and to part the heads then would move it twice.

Shapes: B sequences, T tokens in all, R rows (T, and filler), L padded length, H heads, K width of
a head, N kinds of vectors side by side, such as keys and values.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from selfsup.encoder.packing import Packing


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
