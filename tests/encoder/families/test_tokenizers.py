"""Byte-level BPE and Unigram give the ids, offsets and word boundaries of `transformers`."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from selfsup.corpus.tokenizer.folder import load_tokenizer
from selfsup.tasks.classification.encoding import encode_texts
from selfsup.tasks.encoders import Limits
from selfsup.tasks.question_answering.windows import tokenize_contexts
from selfsup.tasks.token_classification.windows import encode_words
from tests.encoder.families.commands import tokenizer_for_words
from tests.encoder.families.tokenizers_of_peers import byte_level_bpe, unigram

KINDS = {"byte-level BPE": byte_level_bpe, "Unigram": unigram}
SAMPLES = [
    "a fine film", "  the plot, was very lame!", "영화가 정말 좋았다", "😀 café <mask> film", "",
    "WITTY and Warm\tplot\n film", "unseen wörds ☃",
]  # fmt: skip
texts = st.one_of(st.sampled_from(SAMPLES), st.text("a film,plo t영화가😀é.", max_size=20))


@pytest.fixture(scope="module", params=KINDS)
def folder(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    KINDS[request.param](folder)
    return folder


@pytest.fixture(scope="module")
def peer(folder):
    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def ours(folder):
    return load_tokenizer(folder)


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=4), st.booleans())
def test_texts_and_pairs_have_the_ids_of_transformers(ours, peer, examples, paired):
    first, second = map(list, zip(*examples, strict=True))
    if paired:
        encoded = encode_texts(ours, first, Limits(64, 0), text_pairs=second)
        theirs = peer(first, second)
    else:
        encoded, theirs = encode_texts(ours, first, Limits(64, 0)), peer(first)
    ids = np.split(encoded.input_ids, np.cumsum(encoded.window_lengths)[:-1])
    assert [each.tolist() for each in ids] == theirs["input_ids"]
    assert not encoded.token_type_ids.any()


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=3), st.integers(8, 20))
def test_long_pairs_are_truncated_as_transformers_truncates_them(ours, peer, examples, length):
    first, second = map(list, zip(*examples, strict=True))
    encoded = encode_texts(ours, first, Limits(length, 0), text_pairs=second)
    theirs = peer(first, second, truncation="longest_first", max_length=length)
    ids = np.split(encoded.input_ids, np.cumsum(encoded.window_lengths)[:-1])
    assert [each.tolist() for each in ids] == theirs["input_ids"]


@given(texts)
def test_tokens_of_a_context_have_the_offsets_of_transformers(ours, peer, text):
    theirs = peer(text, add_special_tokens=False, return_offsets_mapping=True)
    contexts = tokenize_contexts(ours, [text])
    assert contexts.input_ids.tolist() == theirs["input_ids"]
    for (start, end), their in zip(contexts.offsets, theirs["offset_mapping"], strict=True):
        assert text[start:end].strip() == text[slice(*their)].strip()


@given(st.lists(st.text("film,plo영화가é.", min_size=1, max_size=6), min_size=1, max_size=6))
def test_words_have_the_ids_and_boundaries_of_transformers(folder, ours, words):
    encoded = encode_words(ours, [words], None, 64, 0)
    peer = tokenizer_for_words(folder)
    theirs = peer(words, is_split_into_words=True)
    assert encoded.windows.input_ids.tolist() == theirs["input_ids"]
    begins = [theirs.word_ids().index(number) for number in range(len(words))]
    assert encoded.windows.word_positions.tolist() == begins


def test_characters_inside_a_word_are_pieces_of_one(ours):
    inside = encode_words(ours, [[*"film"]], None, 64, 0, inside=[[False, True, True, True]])
    pieces = [ours.id_to_token(number) for number in inside.windows.input_ids[1:-1]]
    assert "".join(pieces).lstrip("Ġ▁") == "film"
    assert pieces[0][0] in "Ġ▁"
