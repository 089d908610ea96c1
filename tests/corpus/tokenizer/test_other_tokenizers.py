"""Byte-level BPE and Unigram give the ids, offsets and words that `transformers` gets from them."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from selfsup.corpus.tokenizer.folder import load_tokenizer, save_tokenizer, tokenizer_sha256
from selfsup.corpus.tokenizer.wordpiece import WordPieceEncoder
from selfsup.corpus.tokenizer.words import continuation_pieces, kind_of, text_of_token
from selfsup.errors import UserError
from selfsup.pretraining.text.sequences import special_tokens
from selfsup.tasks.classification.encoding import encode_texts
from selfsup.tasks.encoders import Limits
from selfsup.tasks.question_answering.windows import tokenize_contexts
from selfsup.tasks.token_classification.windows import encode_words
from tests.corpus.tokenizer.other_tokenizers import KINDS, sample, trained, write_folder

pytestmark = pytest.mark.parametrize("kind", KINDS)
TRAINED = {kind: trained(kind) for kind in KINDS}
# Line breaks and the like are white space to one of the two and text to the other.
CHARACTERS = st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"])


def folder_of(tmp_path, shared_data, kind):
    return write_folder(tmp_path / kind, kind, trained(kind, sample(shared_data), 3000))


@pytest.mark.parametrize("max_length", [16, 128])
def test_texts_and_pairs_equal_those_of_transformers(tmp_path, shared_data, kind, max_length):
    folder = folder_of(tmp_path, shared_data, kind)
    ours, theirs = load_tokenizer(folder), AutoTokenizer.from_pretrained(folder)
    texts = [*sample(shared_data), "", " ", "  a b", "영화 <s> [SEP]"]
    assert kind_of(ours) == kind
    for pairs in (None, texts[::-1]):
        encoded = encode_texts(ours, texts, Limits(max_length, 0), text_pairs=pairs)
        arguments = (texts,) if pairs is None else (texts, pairs)
        rows = theirs(*arguments, truncation=True, max_length=max_length)["input_ids"]
        assert encoded.window_lengths.tolist() == [len(row) for row in rows]
        assert encoded.input_ids.tolist() == [number for row in rows for number in row]
        assert not encoded.token_type_ids.any()


def test_words_of_sentences_equal_those_of_transformers(tmp_path, shared_data, kind):
    folder = folder_of(tmp_path, shared_data, kind)
    more = {"add_prefix_space": True} if kind == "byte-level" else {}
    ours, theirs = load_tokenizer(folder), AutoTokenizer.from_pretrained(folder, **more)
    sentences = [text.split() for text in sample(shared_data)]
    windows = encode_words(ours, sentences, None, 10_000, 0).windows
    rows = theirs(sentences, is_split_into_words=True)
    assert windows.input_ids.tolist() == [number for row in rows["input_ids"] for number in row]
    begins = [
        rows.word_ids(index).index(word)
        for index, words in enumerate(sentences)
        for word in range(len(words))
    ]
    assert windows.word_positions.tolist() == begins


def test_characters_of_contexts_equal_those_of_transformers(tmp_path, shared_data, kind):
    folder = folder_of(tmp_path, shared_data, kind)
    theirs = AutoTokenizer.from_pretrained(folder)
    texts = sample(shared_data)
    contexts = tokenize_contexts(load_tokenizer(folder), texts)
    for index, text in enumerate(texts):
        row = theirs(text, add_special_tokens=False, return_offsets_mapping=True)
        first, last = contexts.first_tokens[index : index + 2]
        assert contexts.input_ids[first:last].tolist() == row["input_ids"]
        for ours, (start, end) in zip(
            contexts.offsets[first:last].tolist(), row["offset_mapping"], strict=True
        ):
            assert text[slice(*ours)] == text[start:end].strip()


@given(st.text(CHARACTERS))
def test_words_begin_where_a_space_was(kind, text):
    """Whatever the text: the pieces of a word, joined, hold no space but the one before it."""
    tokenizer = TRAINED[kind]
    ids = tokenizer.encode(" " + " ".join(text.split(" ")), add_special_tokens=False).ids
    continues = continuation_pieces(tokenizer)
    for position, number in enumerate(ids):
        has_space = text_of_token(tokenizer, number).startswith(" ")
        if number != tokenizer.token_to_id("<unk>"):
            assert continues[number] == (not has_space), position


@given(st.text(CHARACTERS), st.text(CHARACTERS))
def test_any_pair_is_laid_out_as_the_tokenizer_does_it(kind, first, second):
    tokenizer = TRAINED[kind]
    encoded = encode_texts(tokenizer, [first], Limits(10_000, 0), text_pairs=[second])
    assert encoded.input_ids.tolist() == tokenizer.encode(first, second).ids


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_offsets_of_any_text_cover_what_is_no_space(kind, text):
    contexts = tokenize_contexts(TRAINED[kind], [text])
    offsets = contexts.offsets
    assert ((offsets[:, 0] >= 0) & (offsets[:, 1] <= len(text))).all()
    assert (np.diff(offsets[:, 1]) >= 0).all()
    for start, end in offsets.tolist():
        assert text[start:end] == text[start:end].strip()
    if kind == "byte-level":  # it loses nothing of a text
        covered = {place for start, end in offsets.tolist() for place in range(start, end)}
        assert covered >= {place for place, letter in enumerate(text) if not letter.isspace()}


def test_what_is_saved_is_the_same_tokenizer_to_transformers_too(tmp_path, shared_data, kind):
    source = folder_of(tmp_path, shared_data, kind)
    tokenizer = load_tokenizer(source)
    save_tokenizer(tokenizer, tmp_path / "saved")
    again = load_tokenizer(tmp_path / "saved")
    assert tokenizer_sha256(again) == tokenizer_sha256(tokenizer)
    theirs = AutoTokenizer.from_pretrained(tmp_path / "saved")
    for text in sample(shared_data)[::10]:
        assert theirs(text)["input_ids"] == tokenizer.encode(text).ids
    assert (theirs.mask_token, theirs.pad_token) == ("<mask>", "<pad>")


def test_another_vocabulary_of_the_same_tokens_is_another_tokenizer(kind):
    parts = json.loads(TRAINED[kind].to_str())
    if kind == "byte-level":
        parts["model"]["merges"] = parts["model"]["merges"][:-1]
    else:
        parts["model"]["vocab"][-1][1] -= 1.0
    other = Tokenizer.from_str(json.dumps(parts))
    assert tokenizer_sha256(other) != tokenizer_sha256(TRAINED[kind])


def test_special_tokens_are_those_of_the_tokenizer(kind):
    special = special_tokens(TRAINED[kind])
    assert (special.cls, special.pad, special.sep, special.unk) == (0, 1, 2, 3)
    assert TRAINED[kind].id_to_token(special.mask) == "<mask>"


def test_sentences_of_a_corpus_are_encoded_as_within_their_paragraph(kind):
    encoder, sentences = WordPieceEncoder(TRAINED[kind]), ["A great plot.", "The film is warm."]
    found = [number for each in encoder.encode_batch(sentences) for number in
             np.frombuffer(each, encoder.dtype).tolist()]  # fmt: skip
    together = " " + " ".join(sentences)
    assert found == TRAINED[kind].encode(together, add_special_tokens=False).ids


def test_a_folder_with_vocab_json_and_merges_alone_is_read(tmp_path, kind):
    if kind != "byte-level":
        pytest.skip("these two files are of a byte-level BPE")
    whole = TRAINED[kind]
    parts = json.loads(whole.to_str())["model"]
    vocabulary = {**parts["vocab"], "<mask>": whole.token_to_id("<mask>")}
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary))
    lines = [" ".join(pair) for pair in parts["merges"]]
    (tmp_path / "merges.txt").write_text("\n".join(["#version: 0.2", *lines]) + "\n")
    tokenizer = load_tokenizer(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "roberta"}')
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    for text in ("The film<mask> was", "영화가 재미있다", "  two  spaces\n"):
        assert tokenizer.encode(text).ids == whole.encode(text).ids
        assert theirs(text)["input_ids"] == whole.encode(text).ids
    masked = "The film was <mask>."  # the space is the mask's
    assert tokenizer.encode(masked).ids == whole.encode(masked).ids
    lines[3] = "no such"
    (tmp_path / "merges.txt").write_text("\n".join(lines))
    with pytest.raises(UserError, match=r"merges.txt: .*line 4 joins no two tokens"):
        load_tokenizer(tmp_path)


def test_a_sentencepiece_model_is_refused_with_the_line_that_converts_it(tmp_path, kind):
    (tmp_path / "sentencepiece.bpe.model").write_bytes(b"\x0a\x0e\x0a\x05<unk>")
    with pytest.raises(UserError, match=r"bpe.model: can be read after a conversion: .*save_pretr"):
        load_tokenizer(tmp_path)
