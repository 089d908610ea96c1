"""Sentence pairs are as BERT's paper describes them: whole sentences, half of them continued."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.config import EncoderConfig
from selfsup.errors import UserError
from selfsup.pretraining.text.batches import TextStates
from selfsup.pretraining.text.next_sentence import NextSentence, sentence_pairs
from selfsup.pretraining.text.sequences import SequencePlan
from tests.pretraining.text.corpus_of import (
    FIRST_TOKEN,
    SPECIAL,
    Documents,
    corpus_of,
    random_documents,
)


@dataclass
class Pair:
    """A pair as places in the corpus: the numbers of its tokens."""

    key: int
    a: np.ndarray
    b: np.ndarray
    is_random: bool


def plan_of(
    documents: Documents, max_length: int, seed: int = 0, epoch: int = 0, shards: int = 1
) -> SequencePlan:
    corpus = corpus_of(documents, shards)
    return sentence_pairs(corpus, np.arange(len(documents)), SPECIAL, max_length, seed, epoch)


def pairs_of(plan: SequencePlan, examples: np.ndarray | None = None) -> list[Pair]:
    """Take examples (all, if not given) and take them apart again, checking their form."""
    taken = plan.take(np.arange(len(plan)) if examples is None else examples)
    assert taken.pair_labels is not None
    assert taken.pair_labels.dtype == np.int64
    borders = np.cumsum(taken.lengths)[:-1]
    found = []
    for key, ids, types, is_random in zip(
        taken.keys,
        np.split(taken.input_ids, borders),
        np.split(taken.token_type_ids, borders),
        taken.pair_labels,
        strict=True,
    ):
        assert ids[0] == SPECIAL.cls
        separators = np.flatnonzero(ids == SPECIAL.sep)
        assert len(separators) == 2
        assert separators[1] == len(ids) - 1
        a, b = ids[1 : separators[0]], ids[separators[0] + 1 : -1]
        assert types.tolist() == [0] * (len(a) + 2) + [1] * (len(b) + 1)
        assert len(a)
        assert len(b)
        for segment in (a, b):
            assert (np.diff(segment) == 1).all()
        found.append(Pair(int(key), a - FIRST_TOKEN, b - FIRST_TOKEN, bool(is_random)))
    return found


def with_two_sentences_in_a_row(documents: Documents) -> bool:
    return any(len(document) > 1 for document in documents)


corpora = random_documents(min_documents=2).filter(with_two_sentences_in_a_row)
max_lengths = st.integers(8, 50)


class Places:
    """Which sentence and document each token of a corpus is in."""

    def __init__(self, documents: Documents) -> None:
        lengths = [length for document in documents for length in document]
        self.sentence_offsets = np.cumsum([0, *lengths])
        self.sentence = np.repeat(np.arange(len(lengths)), lengths)
        self.document = np.repeat(np.arange(len(documents)), [sum(d) for d in documents])

    def begins_a_sentence(self, token: int) -> bool:
        return token in self.sentence_offsets[:-1]

    def ends_a_sentence(self, token: int) -> bool:
        return token + 1 in self.sentence_offsets[1:]


@given(corpora, max_lengths, st.integers(0, 3))
def test_no_pair_is_longer_than_allowed(documents, max_length, epoch):
    for pair in pairs_of(plan_of(documents, max_length, epoch=epoch)):
        assert len(pair.a) + len(pair.b) + 3 <= max_length


@given(corpora, max_lengths, st.integers(0, 3))
def test_b_continues_a_where_the_label_says_so(documents, max_length, epoch):
    places = Places(documents)
    for pair in pairs_of(plan_of(documents, max_length, epoch=epoch)):
        documents_of_a, documents_of_b = set(places.document[pair.a]), set(places.document[pair.b])
        assert len(documents_of_a) == len(documents_of_b) == 1
        if pair.is_random:
            assert documents_of_a != documents_of_b
        else:
            assert documents_of_a == documents_of_b
            assert pair.b[0] == pair.a[-1] + 1


@given(corpora, max_lengths, st.integers(0, 3))
def test_segments_are_whole_sentences_unless_two_alone_are_too_long(documents, max_length, epoch):
    places = Places(documents)
    for pair in pairs_of(plan_of(documents, max_length, epoch=epoch)):
        assert places.ends_a_sentence(pair.a[-1])
        assert places.begins_a_sentence(pair.b[0])
        a_is_whole = places.begins_a_sentence(pair.a[0])
        b_is_whole = places.ends_a_sentence(pair.b[-1])
        if not (a_is_whole and b_is_whole):
            assert len(pair.a) + len(pair.b) + 3 == max_length
            assert len(set(places.sentence[pair.a])) == len(set(places.sentence[pair.b])) == 1
        if not a_is_whole:
            assert len(pair.a) >= (max_length - 3) // 2


@given(corpora, max_lengths, st.integers(0, 3))
def test_every_sentence_is_read_once_an_epoch(documents, max_length, epoch):
    """As A or as a B that continues; a document's last sentence may need its neighbour again."""
    places = Places(documents)
    pairs = pairs_of(plan_of(documents, max_length, epoch=epoch))
    read = np.zeros(len(places.sentence_offsets) - 1, int)
    for pair in pairs:
        segments = [pair.a] if pair.is_random else [pair.a, pair.b]
        read[np.unique(places.sentence[np.concatenate(segments)])] += 1
    lasts = np.cumsum([len(document) for document in documents]) - 1
    assert read.min() == 1
    assert read[lasts].max() == 1
    once_more = np.flatnonzero(read > 1)
    assert set(once_more + 1) <= set(lasts)
    assert read.max() <= 2


@given(corpora, max_lengths)
def test_no_two_pairs_draw_from_the_same_randomness(documents, max_length):
    keys = [pair.key for pair in pairs_of(plan_of(documents, max_length))]
    assert len(set(keys)) == len(keys)


@given(corpora, max_lengths, st.integers(2, 5), st.integers(0, 2))
def test_the_number_of_shards_changes_nothing(documents, max_length, shards, epoch):
    one = plan_of(documents, max_length, epoch=epoch)
    several = plan_of(documents, max_length, epoch=epoch, shards=shards)
    first, second = (plan.take(np.arange(len(plan))) for plan in (one, several))
    assert np.array_equal(first.input_ids, second.input_ids)
    assert np.array_equal(first.keys, second.keys)
    assert first.pair_labels is not None
    assert second.pair_labels is not None
    assert np.array_equal(first.pair_labels, second.pair_labels)


@given(corpora, max_lengths, st.data())
def test_a_pair_is_the_same_in_any_batch(documents, max_length, data):
    plan = plan_of(documents, max_length)
    everything = pairs_of(plan)
    some = data.draw(st.lists(st.integers(0, len(plan) - 1), min_size=1, max_size=9))
    for place, pair in zip(some, pairs_of(plan, np.array(some)), strict=True):
        expected = everything[place]
        assert pair.key == expected.key
        assert np.array_equal(pair.a, expected.a)
        assert np.array_equal(pair.b, expected.b)
        assert pair.is_random == expected.is_random


def test_pairs_change_with_the_seed_and_the_epoch():
    documents = [[5] * 50, [7] * 50]
    plans = [plan_of(documents, 40, seed, epoch) for seed, epoch in [(0, 0), (0, 1), (1, 0)]]
    labels = [[(p.key, p.is_random) for p in pairs_of(plan)] for plan in plans]
    assert labels[0] != labels[1]
    assert labels[0] != labels[2]
    assert labels[1] != labels[2]


@given(corpora, max_lengths)
def test_documents_left_out_are_never_seen(documents, max_length):
    corpus = corpus_of([*documents, [3, 3, 3], [4, 4]])
    kept = np.arange(len(documents))
    plan = sentence_pairs(corpus, kept, SPECIAL, max_length, 0, 0)
    tokens = plan.take(np.arange(len(plan))).input_ids
    assert tokens.max() < FIRST_TOKEN + sum(map(sum, documents))


def test_half_the_pairs_are_continued_and_half_are_not():
    pairs = pairs_of(plan_of([[4, 9, 6] * 30] * 600, max_length=40))
    random = sum(pair.is_random for pair in pairs)
    assert len(pairs) > 10_000
    assert stats.binomtest(random, len(pairs), 0.5).pvalue > 1e-4


def test_a_tenth_of_the_pairs_are_shorter_than_they_could_be():
    """BERT appendix A.2; in the released code their length is uniform from 2 tokens up."""
    pairs = pairs_of(plan_of([[1] * 900] * 200, max_length=19))  # 16 tokens of text
    lengths = np.array([
        len(pair.a) + len(pair.b)
        for pair in pairs
        if not pair.is_random and (pair.b[-1] + 1) % 900  # the document's end shortens others
    ])  # fmt: skip
    assert len(lengths) > 5000
    short = lengths[lengths < 16]
    # One in fifteen of the short ones has the full length by chance.
    assert stats.binomtest(len(short), len(lengths), 0.1 * 14 / 15).pvalue > 1e-4
    assert stats.chisquare(np.bincount(short, minlength=16)[2:]).pvalue > 1e-4


def test_a_and_b_share_the_room_evenly_on_average():
    pairs = pairs_of(plan_of([[1] * 900] * 40, max_length=19))
    for kind in (False, True):
        lengths = [len(p.a) for p in pairs if p.is_random == kind and len(p.a) + len(p.b) == 16]
        assert stats.chisquare(np.bincount(lengths, minlength=16)[1:]).pvalue > 1e-4


def test_a_random_b_begins_anywhere_in_any_other_document():
    documents = [[1] * 40, [1] * 40, [1] * 40, [1]]
    begun = np.zeros(121, int)
    for seed in range(300):
        for pair in pairs_of(plan_of(documents, 11, seed)):
            if pair.is_random and pair.a[0] < 40:
                begun[pair.b[0]] += 1
    assert not begun[:40].any()
    by_document = [begun[40:80].sum(), begun[80:120].sum(), begun[120]]
    assert stats.chisquare(by_document).pvalue > 1e-4
    assert stats.chisquare(begun[40:80]).pvalue > 1e-4


def test_a_long_document_is_walked_through_in_parts_without_loss():
    documents = [[3] * 3500, [2] * 2]
    places = Places(documents)
    pairs = pairs_of(plan_of(documents, 30))
    read = np.zeros(3502, int)
    for pair in pairs:
        read[np.unique(places.sentence[pair.a])] += 1
        if not pair.is_random:
            read[np.unique(places.sentence[pair.b])] += 1
    assert read.min() == 1
    assert (read > 1).sum() <= 5  # at most one at the end of each part


@pytest.mark.parametrize(
    ("documents", "complaint"),
    [
        ([[3, 4, 5]], "at least two documents, and there is one"),
        ([[3], [4], [5]], "documents of at least two sentences, and all have one"),
    ],
)
def test_a_corpus_without_pairs_is_refused_with_the_fix(documents, complaint):
    with pytest.raises(UserError, match=f"{complaint}.*--objectives mlm") as refusal:
        plan_of(documents, 20)
    assert "\n" not in str(refusal.value)


def test_some_documents_of_one_sentence_each_are_no_mistake():
    corpus = corpus_of([[3], [4], [5, 6]])
    plan = sentence_pairs(corpus, np.array([0, 1]), SPECIAL, 20, seed=0, epoch=0)
    assert [pair.is_random for pair in pairs_of(plan)] == [True, True]


def test_a_document_of_one_sentence_gets_a_random_b():
    for seed in range(20):
        pairs = pairs_of(plan_of([[3], [4, 5]], 20, seed))
        assert [pair.is_random for pair in pairs if 0 in pair.a] == [True]


def test_the_heads_loss_and_right_answers_are_those_of_its_scores():
    torch.manual_seed(0)
    config = EncoderConfig(1, 6, 1, 1, 1)
    head = NextSentence(BertEncoder(config))
    pooled, label = torch.randn(5, 6), torch.tensor([0, 1, 1, 0, 1])
    loss, right, count = head.loss(TextStates(pooled[:0], pooled), label)
    probability = head(pooled).softmax(-1)[torch.arange(5), label]
    torch.testing.assert_close(loss, -probability.log().mean())
    assert int(right) == int((probability > 0.5).sum())
    assert count == 5
