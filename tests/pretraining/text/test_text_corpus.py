"""Shards are seen as one corpus, part of which is held out."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from selfsup.errors import UserError
from selfsup.pretraining.text.sequences import split_held_out
from selfsup.shards.arrays import concatenated_ranges
from tests.pretraining.text.corpus_of import FIRST_TOKEN, corpus_of, random_documents


@given(random_documents(), st.integers(1, 5), st.data())
def test_tokens_are_found_under_their_number_in_any_number_of_shards(documents, shards, data):
    corpus = corpus_of(documents, shards)
    lengths = [sum(document) for document in documents]
    assert corpus.document_count == len(documents)
    assert corpus.document_lengths().tolist() == lengths
    places = data.draw(st.lists(st.integers(0, len(documents) - 1), min_size=1, max_size=5))
    starts = np.cumsum([0, *lengths])[places]
    found = corpus.tokens_at(starts, np.array(lengths)[places])
    assert found.dtype == np.int64
    expected = [FIRST_TOKEN + start + i for start, place in zip(starts, places, strict=True)
                for i in range(lengths[place])]  # fmt: skip
    assert found.tolist() == expected


@given(random_documents(), st.integers(2, 5))
def test_boundaries_do_not_depend_on_the_number_of_shards(documents, shards):
    one, several = corpus_of(documents), corpus_of(documents, shards)
    assert np.array_equal(one.sentence_offsets, several.sentence_offsets)
    assert np.array_equal(one.document_offsets, several.document_offsets)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 6)), min_size=1, max_size=9))
def test_ranges_are_laid_end_to_end(ranges):
    starts, lengths = np.array(ranges).T
    expected = [i for start, length in ranges for i in range(start, start + length)]
    assert concatenated_ranges(starts, lengths).tolist() == expected


@given(
    random_documents(min_documents=2), st.floats(0.01, 0.9), st.integers(1, 4), st.integers(1, 3)
)
def test_every_document_is_trained_on_or_held_out(documents, fraction, shards, at_least):
    assume(len(documents) >= 2 * at_least)
    training, held_out = split_held_out(corpus_of(documents, shards), fraction, at_least)
    assert sorted([*training, *held_out]) == list(range(len(documents)))
    assert len(training) >= at_least
    assert len(held_out) >= at_least
    again = split_held_out(corpus_of(documents), fraction, at_least)
    assert np.array_equal(held_out, again[1])


@pytest.mark.parametrize(("count", "at_least"), [(1, 1), (3, 2)])
def test_a_corpus_too_small_to_divide_is_refused(count, at_least):
    with pytest.raises(UserError, match=f"has {count} document.*needs {2 * at_least}"):
        split_held_out(corpus_of([[4, 5]] * count), 0.1, at_least)


@pytest.mark.parametrize("at_least", [1, 2])
def test_of_a_few_long_documents_the_shortest_are_held_out(at_least: int):
    documents = [[5] * length for length in (900, 40, 700, 30, 800, 600)]
    _, held_out = split_held_out(corpus_of(documents), 0.01, at_least, max_tokens=100)
    assert held_out.tolist() == [[3], [1, 3]][at_least - 1]


def test_the_share_held_out_is_the_one_asked_for():
    _, held_out = split_held_out(corpus_of([[2, 3]] * 1000), 0.05)
    assert len(held_out) == 50


@pytest.mark.parametrize("limit", [100, 1000])
def test_no_more_is_held_out_than_is_needed_to_measure(limit):
    corpus = corpus_of([[10, 10]] * 1000)
    _, held_out = split_held_out(corpus, 0.5, max_tokens=limit)
    assert corpus.document_lengths()[held_out].sum() == pytest.approx(limit, abs=20)
