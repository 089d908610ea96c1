"""Words become pieces and windows; every word is seen once, with as much context as can be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import Unigram
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer

from selfsup.errors import UserError
from selfsup.tasks.text_windows import IGNORE_INDEX
from selfsup.tasks.token_classification.windows import (
    EncodedSentences,
    WordBatch,
    encode_words,
    owned_windows,
)
from tests.toy_tasks import OTHER, VOCABULARY, toy_examples, toy_tokenizer, write_toy_model

SENTENCES = [text.split() for _, text in toy_examples(30, seed=4)]
CLS, SEP, UNK = (VOCABULARY.index(token) for token in ("[CLS]", "[SEP]", "[UNK]"))
FILM, PLURAL = VOCABULARY.index("film"), VOCABULARY.index("##s")


def encode(sentences, labels=None, max_length=32, overlap=None) -> EncodedSentences:
    overlap = max_length // 3 if overlap is None else overlap
    return encode_words(toy_tokenizer(), sentences, labels, max_length, overlap, "f")


def whole(encoded: EncodedSentences) -> WordBatch:
    """All windows in one batch."""
    return encoded.windows.batch(np.arange(len(encoded.windows)))


def all_words(encoded: EncodedSentences) -> list[int]:
    """Each word's token in the order of the windows, by way of a batch of all of them."""
    batch = whole(encoded)
    return batch.input_ids[batch.word_rows].tolist()


def test_ids_and_first_pieces_are_those_of_transformers(tmp_path):
    sentences = [*SENTENCES, ["films", "IS", "fine-films", "."], ["films"]]
    found = encode(sentences).windows
    peer = AutoTokenizer.from_pretrained(write_toy_model(tmp_path))
    theirs = [peer(words, is_split_into_words=True) for words in sentences]
    assert found.input_ids.tolist() == [token for one in theirs for token in one["input_ids"]]
    assert found.lengths.tolist() == [len(one["input_ids"]) for one in theirs]
    assert found.word_positions.tolist() == [
        one.word_ids().index(word)
        for one, words in zip(theirs, sentences, strict=True)
        for word in range(len(words))
    ]


def test_labels_go_with_the_first_pieces():
    encoded = encode([["films", "is"], ["films"]], np.arange(3), 8)
    assert (len(encoded), encoded.word_counts.tolist(), encoded.notes) == (2, [2, 1], ())
    batch = encoded.units.batch(np.array([1, 0]))
    assert batch.labels.tolist() == [2, 0, 1]
    assert batch.input_ids[batch.word_rows].tolist() == [FILM, FILM, VOCABULARY.index("is")]
    assert batch.packing.cu_seqlens.tolist() == [0, 4, 9]
    assert whole(encode([["a"]])).labels.tolist() == [IGNORE_INDEX]


def test_a_sentence_without_words_has_a_window_without_rows():
    encoded = encode([[], ["film"]])
    assert encoded.windows.row_counts.tolist() == [0, 1]
    assert encoded.word_counts.tolist() == [0, 1]
    assert encoded.windows.input_ids.tolist() == [CLS, SEP, CLS, FILM, SEP]
    assert whole(encoded).word_rows.tolist() == [3]


def test_a_word_of_which_nothing_is_left_is_an_unknown_one():
    encoded = encode([["\u200b", "film", "\x00"]])
    assert encoded.windows.input_ids.tolist() == [CLS, UNK, FILM, UNK, SEP]


def test_a_tokenizer_without_an_unknown_token_is_refused():
    pieces = Tokenizer(Unigram([("x", 0.0), ("[CLS]", -1.0), ("[SEP]", -1.0), ("a", -1.0)], 0))
    pieces.post_processor = TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 1), ("[SEP]", 2)])  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(UserError, match="no unknown token as BERT's WordPiece has"):
        encode_words(pieces, [["a"]], None, 16, 4, "f")


def test_special_tokens_among_the_words_are_ordinary_text():
    assert encode([["[SEP]"]]).windows.input_ids.tolist()[1] == UNK


def test_a_word_of_a_million_characters_is_one_word():
    encoded = encode([["a", "film" * 250_000, "a"]], max_length=16)
    assert all_words(encoded) == [VOCABULARY.index("a"), UNK, VOCABULARY.index("a")]


def test_a_word_of_many_windows_is_one_word():
    """Windows within it, to which no word belongs, are not computed."""
    encoded = encode([["a", "film," * 1000, "is"]], max_length=16)
    assert all_words(encoded) == [VOCABULARY.index(token) for token in ("a", "film", "is")]
    assert encoded.windows.row_counts.tolist() == [2, 1]
    assert encoded.windows.lengths.tolist() == [16, 16]


def test_long_sentences_are_counted():
    (note,) = encode([["a"] * 7, ["a"] * 6], max_length=8).notes
    assert note == "f: 1 of 2 sentences are longer than 8 tokens and are read in windows"


@given(
    st.integers(3, 20),
    st.integers(0, 30),
    st.lists(st.sampled_from([*OTHER[:-1], "films"]), min_size=1, max_size=60),
)
def test_every_word_is_seen_once_in_its_order_whatever_the_length(max_length, overlap, words):
    encoded = encode([words, words], np.arange(2 * len(words)), max_length, overlap)
    first = [VOCABULARY.index("film" if word == "films" else word) for word in words]
    assert all_words(encoded) == first * 2
    assert whole(encoded).labels.tolist() == list(range(2 * len(words)))
    assert encoded.windows.lengths.max() <= max_length


@given(st.integers(1, 12), st.integers(0, 12), st.integers(0, 60), st.data())
def test_a_word_belongs_to_a_window_of_most_context(size, overlap, piece_count, data):
    numbers = st.integers(0, max(0, piece_count - 1))
    firsts = data.draw(st.sets(numbers, min_size=1).map(sorted)) if piece_count else []
    found = owned_windows(np.array(firsts, np.int64), piece_count, size, overlap)
    assert [place for _, _, own in found for place in own.tolist()] == firsts
    if piece_count <= size:
        assert [window[:2] for window in found] == [(0, piece_count)]
        return
    starts = {*range(0, piece_count - size, max(1, size - overlap)), piece_count - size}
    for start, stop, own in found:
        assert start in starts
        assert stop == start + size
        for place in own.tolist():
            context = {min(place - s, s + size - 1 - place) for s in starts}
            assert min(place - start, stop - 1 - place) == max(context)


@pytest.mark.parametrize("places", [[2, 0], [1], [0, 1, 2, 3]])
def test_a_batch_is_its_windows_one_after_the_other(places):
    encoded = encode(SENTENCES, np.arange(sum(map(len, SENTENCES)))).windows
    batch = encoded.batch(np.array(places))
    alone = [encoded.batch(np.array([place])) for place in places]
    assert batch.input_ids.tolist() == [i for one in alone for i in one.input_ids.tolist()]
    assert batch.labels.tolist() == [i for one in alone for i in one.labels.tolist()]
    tokens = [i for one in alone for i in one.input_ids[one.word_rows].tolist()]
    assert batch.input_ids[batch.word_rows].tolist() == tokens
    assert batch.token_count == encoded.lengths[places].sum()
