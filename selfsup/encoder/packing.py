"""Packed sequences: concatenated without padding, with the boundaries of each.

On a CPU, oneDNN builds a kernel for each shape of matrix product, and keeps the last thousand.
Packed sequences have a different number of rows in nearly every batch; building kernels for them
took up to a tenth of a training step, and the kernels a gigabyte (docs/log.md). So padding rows are
added to a packed matrix until its number of rows is one of few, and padded lengths are rounded up.

Shapes: B sequences, T tokens in total, L length of the longest sequence, P padded length, Q tokens
that are queried.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

_LENGTH_UNIT = 8


@dataclass(frozen=True)
class Packing:
    """The boundaries of B sequences that are packed in T rows.

    Attributes:
        cu_seqlens: int32 [B + 1]; sequence b is rows ``cu_seqlens[b]:cu_seqlens[b + 1]``.
        max_seqlen: L, the length of the longest.
        padded_length: P, the length that sequences are padded to where they are padded: L, or a
            little more, so that few different shapes occur.
        position_ids: int64 [T], counted from the start of each sequence.
        padding_bias: float32 [B, 1, 1, P], 0 at tokens and -inf at padding, or None when all
            lengths are P.
        layouts: a cache for ``selfsup.encoder.attention``.
    """

    cu_seqlens: Tensor
    max_seqlen: int
    padded_length: int
    position_ids: Tensor
    padding_bias: Tensor | None
    layouts: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def from_lengths(cls, lengths: Tensor) -> "Packing":
        """Pack sequences of the given lengths, int64 [B]."""
        batch, longest = len(lengths), int(lengths.max())
        padded = -(-longest // _LENGTH_UNIT) * _LENGTH_UNIT
        ends = lengths.cumsum(0)
        starts = ends - lengths
        total = int(ends[-1])
        position_ids = torch.arange(total, device=lengths.device)
        position_ids -= starts.repeat_interleave(lengths, output_size=total)
        cu_seqlens = torch.cat([ends.new_zeros(1), ends]).to(torch.int32)
        if total == batch * padded:
            return cls(cu_seqlens, longest, padded, position_ids, None)
        is_padding = torch.arange(padded, device=lengths.device) >= lengths[:, None]
        padding_bias = torch.zeros(is_padding.shape, device=lengths.device)
        padding_bias.masked_fill_(is_padding, float("-inf"))
        bias = padding_bias[:, None, None, :]
        return cls(cu_seqlens, longest, padded, position_ids, bias)

    @classmethod
    def of_equal_lengths(cls, batch: int, length: int, device: torch.device) -> "Packing":
        """Pack ``batch`` sequences of one length, without waiting for the device."""
        cu_seqlens = torch.arange(0, batch * length + 1, length, dtype=torch.int32, device=device)
        position_ids = torch.arange(length, device=device).repeat(batch)
        return cls(cu_seqlens, length, length, position_ids, None)

    def to(self, device: torch.device) -> "Packing":
        """The same boundaries on a device."""
        bias = self.padding_bias
        return Packing(
            self.cu_seqlens.to(device),
            self.max_seqlen,
            self.padded_length,
            self.position_ids.to(device),
            None if bias is None else bias.to(device),
        )

    @property
    def first_rows(self) -> Tensor:
        """The row of each sequence's first token, int64 [B]."""
        return self.cu_seqlens[:-1].long()

    def padding_rows(self) -> int:
        """How many padding rows to add."""
        return padding_rows(len(self.position_ids), self.position_ids.device)


@dataclass(frozen=True)
class Queries:
    """Tokens that a layer is computed for; it attends to all tokens of their sequences.

    Attributes:
        rows: int64 [Q], which of the T tokens, ascending.
        packing: how many of the Q tokens each of the B sequences has.
    """

    rows: Tensor
    packing: Packing

    @classmethod
    def at(cls, rows: Tensor, packing: Packing) -> "Queries":
        """The tokens at ``rows``, int64 [Q], distinct and in any order, of ``packing``'s T."""
        rows = rows.sort().values
        sequences = torch.searchsorted(packing.cu_seqlens[1:].long(), rows, right=True)
        batch = len(packing.cu_seqlens) - 1
        return cls(rows, Packing.from_lengths(sequences.bincount(minlength=batch)))

    @classmethod
    def first_tokens(cls, packing: Packing) -> "Queries":
        """The first token of each sequence, without waiting for the device."""
        rows = packing.first_rows
        return cls(rows, Packing.of_equal_lengths(len(rows), 1, rows.device))

    def to(self, device: torch.device) -> "Queries":
        """The same tokens on a device."""
        return Queries(self.rows.to(device), self.packing.to(device))


def padding_rows(count: int, device: torch.device) -> int:
    """How many padding rows to add to ``count`` rows; none unless on a CPU.

    At most 31 or a thirty-second of ``count``. Between a power of two and the next there are then
    at most 32 different numbers of rows. Few rows, such as those of a single text, get at most 7.
    """
    unit = 8 if count <= 32 else max(32, 1 << max(0, count.bit_length() - 6))
    return -count % unit if device.type == "cpu" else 0


def pad_rows(x: Tensor) -> Tensor:
    """Add padding rows of zeros to x [N, …]."""
    rows = padding_rows(len(x), x.device)
    return F.pad(x, (0, 0) * (x.ndim - 1) + (0, rows)) if rows else x
