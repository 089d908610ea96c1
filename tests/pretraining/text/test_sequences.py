"""Full sequences hold every token of every document once an epoch."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from selfsup.pretraining.text.sequences import assemble, full_sequences
from tests.pretraining.text.corpus_of import FIRST_TOKEN, SPECIAL, corpus_of, random_documents


def split(input_ids: np.ndarray, lengths: np.ndarray) -> list[np.ndarray]:
    return np.split(input_ids, np.cumsum(lengths)[:-1])


@given(random_documents(max_sentence=40), st.integers(3, 30), st.integers(0, 3), st.integers(1, 3))
def test_every_token_is_in_one_sequence(documents, max_length, epoch, shards):
    corpus = corpus_of(documents, shards)
    plan = full_sequences(corpus, np.arange(len(documents)), SPECIAL, max_length, 0, epoch)
    taken = plan.take(np.arange(len(plan)))
    boundaries = FIRST_TOKEN + corpus.sentence_offsets[corpus.document_offsets]
    texts = []
    for sequence in split(taken.input_ids, taken.lengths):
        assert len(sequence) <= max_length
        assert sequence[0] == SPECIAL.cls
        assert sequence[-1] == SPECIAL.sep
        text = sequence[1:-1]
        assert len(text)
        assert len(set(np.searchsorted(boundaries, text, side="right"))) == 1  # one document
        texts.append(text)
    everything = np.arange(FIRST_TOKEN, FIRST_TOKEN + sum(map(sum, documents)))
    assert np.array_equal(np.concatenate(texts), everything)
    assert not taken.token_type_ids.any()
    assert taken.pair_labels is None


@given(random_documents(min_documents=3), st.integers(0, 3))
def test_only_the_documents_asked_for_are_used(documents, epoch):
    corpus = corpus_of(documents)
    chosen = np.array([0, 2])
    plan = full_sequences(corpus, chosen, SPECIAL, 9, 0, epoch)
    tokens = plan.take(np.arange(len(plan))).input_ids - FIRST_TOKEN
    text = tokens[tokens >= 0]
    assert len(text) == corpus.document_lengths()[chosen].sum()
    first, last = corpus.sentence_offsets[corpus.document_offsets[[1, 2]]]
    assert not ((text >= first) & (text < last)).any()


def test_borders_fall_elsewhere_in_every_epoch():
    corpus = corpus_of([[1000], [1000]])
    first_lengths = set()
    for epoch in range(5):
        plan = full_sequences(corpus, np.arange(2), SPECIAL, 34, seed=0, epoch=epoch)
        first_lengths.add(int(plan.take(np.array([0])).lengths[0]))
    assert len(first_lengths) >= 4


def test_a_document_that_fits_is_one_sequence_in_every_epoch():
    corpus = corpus_of([[32], [20, 12], [7]])
    for epoch in range(10):
        plan = full_sequences(corpus, np.arange(3), SPECIAL, 34, seed=0, epoch=epoch)
        assert plan.take(np.arange(len(plan))).lengths.tolist() == [34, 34, 9]


def test_sequences_are_as_long_as_can_be():
    corpus = corpus_of([[1000], [5]])
    plan = full_sequences(corpus, np.arange(2), SPECIAL, 34, seed=0, epoch=1)
    lengths = plan.take(np.arange(len(plan))).lengths
    assert (lengths[1:-2] == 34).all()  # all but the first and last of the first document
    assert lengths[-1] == 7


@given(random_documents(max_sentence=40), st.data())
def test_a_sequence_is_the_same_in_any_batch(documents, data):
    plan = full_sequences(corpus_of(documents), np.arange(len(documents)), SPECIAL, 12, 0, 0)
    everything = plan.take(np.arange(len(plan)))
    alone = split(everything.input_ids, everything.lengths)
    some = data.draw(st.lists(st.integers(0, len(plan) - 1), min_size=1, max_size=9))
    batch = plan.take(np.array(some))
    for place, sequence in zip(some, split(batch.input_ids, batch.lengths), strict=True):
        assert np.array_equal(sequence, alone[place])
    assert np.array_equal(batch.keys, everything.keys[some])


def test_segments_are_numbered_with_their_separators():
    corpus = corpus_of([[2, 3], [1, 4]])
    input_ids, token_type_ids = assemble(
        corpus, SPECIAL, np.array([[0, 2], [5, 6]]), np.array([[2, 3], [1, 2]])
    )
    assert input_ids.tolist() == [2, 5, 6, 3, 7, 8, 9, 3, 2, 10, 3, 11, 12, 3]
    assert token_type_ids.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1]
