"""Moving rows to their heads is padding the sequences and then splitting the heads."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from selfsup.encoder.attention import join_heads, pad, split_heads
from selfsup.encoder.packing import Packing

lengths_of_sequences = st.one_of(
    st.lists(st.integers(1, 6), min_size=1, max_size=5),
    st.lists(st.just(8), min_size=1, max_size=3),  # nothing is padded
)
WIDTH = 2


def padded(x: torch.Tensor, packing: Packing) -> torch.Tensor:
    """[T, …] → [B, L, …], a sequence at a time."""
    sequences = x.detach().split(packing.cu_seqlens.diff().tolist())
    made = x.new_zeros(len(sequences), packing.padded_length, *x.shape[1:])
    for index, sequence in enumerate(sequences):
        made[index, : len(sequence)] = sequence
    return made


def vectors(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(*shape, WIDTH, generator=generator, dtype=torch.float64)
    return x.requires_grad_()


@given(lengths_of_sequences, st.integers(1, 3), st.integers(1, 3), st.integers(0, 4))
def test_heads_are_split_as_by_padding_and_permuting(lengths, kinds, heads, padding):
    packing = Packing.from_lengths(torch.tensor(lengths))
    x = vectors(sum(lengths) + padding, kinds, heads)
    apart = padded(x[: sum(lengths)], packing)  # [B, L, N, H, K]
    split = split_heads(x, packing)
    assert len(split) == kinds
    assert torch.equal(torch.stack(split), apart.permute(2, 0, 3, 1, 4))


@given(lengths_of_sequences, st.integers(0, 4))
def test_padding_puts_each_sequence_in_its_row_and_zeros_after_it(lengths, padding):
    packing = Packing.from_lengths(torch.tensor(lengths))
    x = vectors(sum(lengths) + padding)
    assert torch.equal(pad(x, packing), padded(x[: sum(lengths)], packing))


@given(lengths_of_sequences, st.integers(1, 3), st.integers(0, 4))
def test_joining_heads_undoes_it_and_padding_rows_are_zero(lengths, heads, padding):
    packing = Packing.from_lengths(torch.tensor(lengths))
    tokens = sum(lengths)
    x = vectors(tokens + padding, 1, heads)
    (split,) = split_heads(x, packing)
    joined = join_heads(split, packing, len(x))
    assert torch.equal(joined[:tokens], x[:tokens].flatten(1))
    assert not joined[tokens:].any()


@settings(max_examples=20)
@given(lengths_of_sequences, st.integers(0, 3))
def test_gradients_pass_both_ways(lengths, padding):
    packing = Packing.from_lengths(torch.tensor(lengths))
    rows = sum(lengths) + padding
    assert torch.autograd.gradcheck(lambda x: split_heads(x, packing), vectors(rows, 2, 2))
    split = vectors(len(lengths), 2, packing.padded_length)
    assert torch.autograd.gradcheck(lambda x: join_heads(x, packing, rows), split)


def test_a_layout_is_computed_once():
    packing = Packing.from_lengths(torch.tensor([2, 3]))
    first = split_heads(vectors(5, 3, 2), packing)
    (known,) = packing.layouts.values()
    second = split_heads(vectors(5, 3, 2), packing)
    assert list(packing.layouts.values()) == [known]
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_precision_stays(dtype):
    packing = Packing.from_lengths(torch.tensor([2, 3]))
    (split,) = split_heads(vectors(5, 1, 2).to(dtype), packing)
    assert split.dtype == dtype
