"""Masking follows the paper's percentages: a function of (seed, epoch, example, position)."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch.nn import functional as F

from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.config import EncoderConfig
from selfsup.encoder.packing import Packing, Queries
from selfsup.pretraining.text import masking as masking_module
from selfsup.pretraining.text.batches import TextBatch, TextStates
from selfsup.pretraining.text.masked_lm import MaskedLM
from selfsup.pretraining.text.masking import Masking
from selfsup.pretraining.text.sequences import Sequences, SpecialTokens

VOCAB_SIZE = 60
# Not at the beginning, nor side by side: as a vocabulary made by others may have them.
SPECIAL = SpecialTokens(pad=0, unk=7, cls=30, sep=31, mask=59)
TEXT = np.setdiff1d(np.arange(VOCAB_SIZE), SPECIAL.ids())
IS_CONTINUATION = np.zeros(VOCAB_SIZE, bool)
IS_CONTINUATION[TEXT[::2]] = True
UNITS = ["token", "whole-word", "span"]


def masking(unit: str = "token", probability: float = 0.15) -> Masking:
    return Masking(probability, unit, SPECIAL, VOCAB_SIZE, IS_CONTINUATION)


def sequences_of(lengths: list[int], seed: int = 0) -> Sequences:
    """``[CLS]``, random text with now and then an ``[UNK]``, ``[SEP]``."""
    random = np.random.default_rng(seed)
    parts = []
    for length in lengths:
        text = random.choice(np.append(TEXT, SPECIAL.unk), length - 2)
        parts.append(np.array([SPECIAL.cls, *text, SPECIAL.sep]))
    ids = np.concatenate(parts)
    keys = random.permutation(len(lengths) * 7)[: len(lengths)]
    return Sequences(ids, np.zeros_like(ids), np.array(lengths), keys, None)


MANY = sequences_of([130] * 3000)


def assert_share(share: float, expected: float, count: int, together: float = 1.0) -> None:
    """Within five standard errors; ``together`` items vary as one."""
    error = (expected * (1 - expected) * together / count) ** 0.5
    assert abs(share - expected) < 5 * error, (share, expected, error)


@pytest.mark.parametrize("probability", [0.15, 0.4])
@pytest.mark.parametrize("unit", UNITS)
def test_the_share_asked_for_is_chosen(unit, probability):
    _, rows, _ = masking(unit, probability).mask(MANY, seed=0, epoch=0)
    text = np.isin(MANY.input_ids, TEXT).sum()
    together = 1 if unit == "token" else 10
    assert_share(len(rows) / text, probability, text, together)


@pytest.mark.parametrize("unit", UNITS)
def test_of_the_chosen_8_in_10_are_masked_1_replaced_and_1_kept(unit):
    hidden, rows, labels = masking(unit).mask(MANY, seed=0, epoch=0)
    shown = hidden[rows]
    together = 10 if unit == "span" else 1
    by_chance = 0.1 / len(TEXT)  # a random token may be the one that stood there
    count = len(rows)
    assert_share((shown == SPECIAL.mask).mean(), 0.8, count, together)
    assert_share((shown == labels).mean(), 0.1 + by_chance, count, together)
    replaced = (shown != SPECIAL.mask) & (shown != labels)
    assert_share(replaced.mean(), 0.1 - by_chance, count, together)


@pytest.mark.parametrize("unit", UNITS)
def test_special_tokens_are_never_chosen_and_never_put_in(unit):
    hidden, rows, labels = masking(unit, 0.9).mask(MANY, seed=0, epoch=0)
    assert np.isin(labels, TEXT).all()
    assert np.isin(hidden[rows], np.append(TEXT, SPECIAL.mask)).all()
    of_special = ~np.isin(MANY.input_ids, TEXT)
    assert np.array_equal(hidden[of_special], MANY.input_ids[of_special])


@pytest.mark.parametrize("unit", UNITS)
def test_replacements_come_from_the_whole_vocabulary_alike(unit):
    hidden, rows, labels = masking(unit, 0.9).mask(MANY, seed=0, epoch=0)
    shown = hidden[rows]
    replaced = shown[(shown != SPECIAL.mask) & (shown != labels)]
    counts = np.bincount(replaced, minlength=VOCAB_SIZE)
    assert not counts[SPECIAL.ids()].any()
    assert counts[TEXT].min() > 0
    # Labels are uniform, so the chance of a replacement that changes nothing skews no token.
    assert stats.chisquare(counts[TEXT]).pvalue > 1e-4


@given(
    st.sampled_from(UNITS),
    st.lists(st.integers(2, 30), min_size=1, max_size=8),
    st.integers(0, 5),
    st.floats(0.01, 0.95),
)
def test_labels_are_what_stood_there_and_the_rest_is_unchanged(unit, lengths, seed, probability):
    sequences = sequences_of(lengths, seed)
    hidden, rows, labels = masking(unit, probability).mask(sequences, seed, epoch=1)
    assert hidden.dtype == rows.dtype == labels.dtype == np.int64
    assert (np.diff(rows) > 0).all()
    restored = hidden.copy()
    restored[rows] = labels
    assert np.array_equal(restored, sequences.input_ids)


@given(
    st.sampled_from(UNITS),
    st.lists(st.integers(2, 30), min_size=1, max_size=8),
    st.randoms(use_true_random=False),
)
def test_an_example_is_masked_alike_in_any_batch(unit, lengths, random):
    sequences = sequences_of(lengths)
    order = random.sample(range(len(lengths)), random.randint(1, len(lengths)))
    parts = np.split(sequences.input_ids, np.cumsum(lengths)[:-1])
    ids = np.concatenate([parts[place] for place in order])
    others = Sequences(
        ids, np.zeros_like(ids), np.array(lengths)[order], sequences.keys[order], None
    )
    some = masking(unit, 0.4)
    hidden = np.split(some.mask(sequences, 3, 4)[0], np.cumsum(lengths)[:-1])
    in_other_batch = some.mask(others, 3, 4)[0]
    assert np.array_equal(in_other_batch, np.concatenate([hidden[place] for place in order]))


@pytest.mark.parametrize("unit", UNITS)
def test_masks_change_with_seed_epoch_and_example(unit):
    few = sequences_of([50] * 4)
    others = dataclasses.replace(few, keys=few.keys + 1)
    drawn = [
        masking(unit).mask(sequences, seed, epoch)[1].tolist()
        for sequences, seed, epoch in [(few, 0, 0), (few, 1, 0), (few, 0, 1), (others, 0, 0)]
    ]
    assert all(a != b for i, a in enumerate(drawn) for b in drawn[:i])
    assert drawn[0] == masking(unit).mask(few, 0, 0)[1].tolist()


@pytest.mark.parametrize("unit", UNITS)
def test_neighbours_in_the_corpus_have_masks_of_their_own(unit):
    text = sequences_of([200]).input_ids
    alike = Sequences(
        np.tile(text, 6), np.zeros(1200, np.int64), np.full(6, 200), np.arange(6), None
    )
    _, rows, _ = masking(unit, 0.3).mask(alike, seed=0, epoch=0)
    places = {tuple(rows[rows // 200 == number] % 200) for number in range(6)}
    assert len(places) == 6


def test_tokens_are_chosen_one_by_one():
    """Whether a token is chosen says nothing about its neighbour."""
    _, rows, _ = masking("token").mask(MANY, seed=0, epoch=0)
    chosen = np.zeros(len(MANY.input_ids))
    chosen[rows] = 1
    is_text = np.isin(MANY.input_ids, TEXT)
    both = is_text[1:] & is_text[:-1]
    correlation = np.corrcoef(chosen[1:][both], chosen[:-1][both])[0, 1]
    assert abs(correlation) < 5 / both.sum() ** 0.5


def test_words_are_chosen_whole():
    hidden, rows, _ = masking("whole-word", 0.3).mask(MANY, seed=0, epoch=0)
    chosen = np.zeros(len(hidden), bool)
    chosen[rows] = True
    ids = MANY.input_ids
    continues = np.flatnonzero(IS_CONTINUATION[ids] & np.isin(np.roll(ids, 1), TEXT))
    assert len(continues) > 10_000
    assert np.array_equal(chosen[continues], chosen[continues - 1])
    # Pieces of a word share its choice, but not what is done to them.
    pair = continues[chosen[continues]]
    was_masked = hidden == SPECIAL.mask
    assert_share((was_masked[pair] & was_masked[pair - 1]).mean(), 0.64, len(pair), 3)


def test_different_words_are_chosen_one_by_one():
    _, rows, _ = masking("whole-word", 0.3).mask(MANY, seed=0, epoch=0)
    chosen = np.zeros(len(MANY.input_ids), bool)
    chosen[rows] = True
    ids = MANY.input_ids
    begins = np.flatnonzero(
        np.isin(ids, TEXT) & ~IS_CONTINUATION[ids] & np.isin(np.roll(ids, 1), TEXT)
    )
    correlation = np.corrcoef(chosen[begins], chosen[begins - 1])[0, 1]
    assert abs(correlation) < 5 / len(begins) ** 0.5


def runs_of(rows: np.ndarray) -> list[np.ndarray]:
    return np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)


def test_span_lengths_are_geometric_up_to_ten():
    """SpanBERT §3.1: p = 0.2, at most 10, so 3.8 on average."""
    length = 10_000
    ids = np.full(300 * length, TEXT[0])
    long = Sequences(ids, np.zeros_like(ids), np.full(300, length), np.arange(300), None)
    _, rows, _ = masking("span", 0.004).mask(long, seed=0, epoch=0)  # few, so that few touch
    inside = [run for run in runs_of(rows) if 10 <= run[0] % length < length - 10]
    lengths = np.array([len(run) for run in inside if len(run) <= 10])
    assert len(lengths) > 2500
    assert len(inside) - len(lengths) < 0.02 * len(inside)  # two that touch
    mass = 0.2 * 0.8 ** np.arange(10)
    expected = mass / mass.sum() * len(lengths)
    assert stats.chisquare(np.bincount(lengths, minlength=11)[1:], expected).pvalue > 1e-4
    assert lengths.mean() == pytest.approx(3.8, abs=0.15)


def test_a_span_is_masked_replaced_or_kept_as_one():
    hidden, rows, _ = masking("span", 0.02).mask(MANY, seed=0, epoch=0)
    masked = hidden == SPECIAL.mask
    mixed = [run for run in runs_of(rows) if 0 < masked[run].sum() < len(run)]
    assert len(mixed) < 0.05 * len(runs_of(rows))  # spans that touch


@given(st.lists(st.integers(1, 60), min_size=1, max_size=4), st.floats(0.05, 0.9))
def test_where_spans_overlap_a_token_is_of_the_one_that_begins_nearest(lengths, probability):
    streams = np.arange(len(lengths), dtype=np.uint64)
    expected = []
    for number, length in enumerate(lengths):
        begins = np.full(length, masking_module._NO_SPAN)
        for begin in range(-9, length):
            here = np.array([number]), np.array([begin])
            chosen, longer = (
                masking_module._draw(streams, purpose, *here)[0]
                for purpose in (masking_module._CHOOSE, masking_module._SPAN_LENGTH)
            )
            if chosen < masking_module.span_start_probability(probability):
                end = begin + (longer < masking_module.span_longer_than()).sum()
                begins[max(0, begin) : max(0, end)] = begin  # over those that begin before it
        expected.append(begins)
    found = masking("span", probability)._span_begins(streams, np.array(lengths))
    assert np.array_equal(found, np.concatenate(expected))


def test_spans_cover_a_sequences_ends_as_often_as_its_middle():
    _, rows, _ = masking("span").mask(MANY, seed=0, epoch=0)
    is_text = np.isin(MANY.input_ids, TEXT).reshape(-1, 130)
    chosen = np.zeros(len(MANY.input_ids), bool)
    chosen[rows] = True
    for place in (1, 2, 5, 60, 127, 128):
        text = is_text[:, place]
        assert_share(chosen.reshape(-1, 130)[text, place].mean(), 0.15, text.sum())


def test_an_unknown_unit_is_a_programming_error():
    with pytest.raises(ValueError, match="no masking unit is called 'syllable'"):
        masking("syllable").mask(sequences_of([5]), 0, 0)


def test_the_heads_loss_is_that_of_its_scores_at_masked_tokens():
    torch.manual_seed(0)
    head = MaskedLM(BertEncoder(EncoderConfig(40, 8, 1, 1, 1)))
    torch.nn.init.normal_(head.bias)
    hidden = torch.randn(12, 8)
    rows, labels = torch.tensor([1, 5, 11]), torch.tensor([3, 39, 0])
    nothing = torch.zeros(12, dtype=torch.int64)
    packing = Packing.from_lengths(torch.tensor([12]))
    queries = Queries.at(rows, packing)
    batch = TextBatch(nothing, nothing, packing, rows, {"mlm": labels}, queries)
    loss, right, count = head.loss(TextStates(hidden[rows], hidden[:1]), batch.labels["mlm"])
    scores = head(hidden)[rows]
    torch.testing.assert_close(loss, F.cross_entropy(scores, labels), atol=1e-6, rtol=1e-6)
    assert int(right) == int((scores.argmax(-1) == labels).sum())
    assert count == 3


def test_nothing_masked_is_no_loss():
    head = MaskedLM(BertEncoder(EncoderConfig(40, 8, 1, 1, 1)))
    hidden = torch.randn(2, 8, requires_grad=True)
    nothing = torch.zeros(2, dtype=torch.int64)
    packing = Packing.from_lengths(torch.tensor([2]))
    queries = Queries.first_tokens(packing)
    batch = TextBatch(nothing, nothing, packing, nothing[:0], {"mlm": nothing[:0]}, queries)
    loss, right, count = head.loss(TextStates(hidden[:0], hidden[:1]), batch.labels["mlm"])
    loss.backward()
    assert (float(loss.detach()), int(right), count) == (0.0, 0, 0)
    assert all(p.grad is None or not p.grad.any() for p in head.parameters())
