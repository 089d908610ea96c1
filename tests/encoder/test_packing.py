"""Sequences laid end to end and in rows of equal length are two forms of the same thing."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from selfsup.encoder.packing import Packing, Queries

lengths_of_sequences = st.lists(st.integers(1, 9), min_size=1, max_size=7)


@given(lengths_of_sequences)
def test_boundaries_and_positions_follow_from_the_lengths(lengths):
    packing = Packing.from_lengths(torch.tensor(lengths))
    assert packing.cu_seqlens.dtype == torch.int32
    assert packing.cu_seqlens.diff().tolist() == lengths
    assert packing.max_seqlen == max(lengths)
    assert packing.position_ids.tolist() == [p for length in lengths for p in range(length)]
    assert packing.position_ids[packing.first_rows].tolist() == [0] * len(lengths)


@given(lengths_of_sequences)
def test_padding_is_marked_where_it_is(lengths):
    packing = Packing.from_lengths(torch.tensor(lengths))
    assert max(lengths) <= packing.padded_length < max(lengths) + 8
    if set(lengths) == {packing.padded_length}:
        assert packing.padding_bias is None
        return
    assert packing.padding_bias is not None
    is_token = torch.arange(packing.padded_length) < torch.tensor(lengths)[:, None]
    assert torch.equal(packing.padding_bias[:, 0, 0] == 0, is_token)
    assert torch.equal(packing.padding_bias[:, 0, 0] == -torch.inf, ~is_token)


@given(st.integers(1, 5), st.integers(1, 9))
def test_sequences_of_one_length_are_laid_as_any_are(batch, length):
    expected = Packing.from_lengths(torch.full((batch,), length))
    packing = Packing.of_equal_lengths(batch, length, torch.device("cpu"))
    assert packing.padding_bias is None
    assert packing.max_seqlen == expected.max_seqlen
    torch.testing.assert_close(packing.cu_seqlens, expected.cu_seqlens)
    torch.testing.assert_close(packing.position_ids, expected.position_ids)


@given(st.data(), lengths_of_sequences)
def test_queries_know_which_sequence_each_token_is_of(data, lengths):
    packing = Packing.from_lengths(torch.tensor(lengths))
    rows = data.draw(st.sets(st.integers(0, sum(lengths) - 1), min_size=1))
    shuffled = data.draw(st.permutations(sorted(rows)))
    queries = Queries.at(torch.tensor(shuffled), packing)
    assert queries.rows.tolist() == sorted(rows)
    is_asked = torch.zeros(sum(lengths), dtype=torch.int64)
    is_asked[queries.rows] = 1
    counts = [int(part.sum()) for part in is_asked.split(lengths)]
    assert queries.packing.cu_seqlens.diff().tolist() == counts


@given(lengths_of_sequences)
def test_first_tokens_are_queries_like_any(lengths):
    packing = Packing.from_lengths(torch.tensor(lengths))
    queries, expected = Queries.first_tokens(packing), Queries.at(packing.first_rows, packing)
    assert torch.equal(queries.rows, expected.rows)
    assert torch.equal(queries.packing.cu_seqlens, expected.packing.cu_seqlens)


def test_moving_to_a_device_keeps_all_boundaries():
    packing = Packing.from_lengths(torch.tensor([3, 1]))
    moved = packing.to(torch.device("cpu"))
    assert moved.padded_length == packing.padded_length
    assert moved.padding_bias is not None
    assert packing.padding_bias is not None
    assert torch.equal(moved.padding_bias, packing.padding_bias)
    assert torch.equal(moved.cu_seqlens, packing.cu_seqlens)
    assert torch.equal(moved.position_ids, packing.position_ids)
