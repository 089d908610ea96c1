import json
import unicodedata
from itertools import product

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import Metaspace

from selfsup.corpus.tokenizer import wordpiece
from selfsup.corpus.tokenizer.folder import load_tokenizer
from selfsup.corpus.tokenizer.training import train_tokenizer
from selfsup.corpus.tokenizer.unknown import count_unknown
from selfsup.corpus.tokenizer.wordpiece import (
    SPECIAL_TOKENS,
    WordPieceEncoder,
    compose_and_cut,
    wordpiece_tokenizer,
)

CORPUS = [
    "The quick brown fox, isn't it? naïve café RÉSUMÉ Straße 3.14% don't e-mail_address",
    "한국어 문장입니다. 그는 학교에 갔다! 漢字 かな カナ 中文字符 Привет мир ελληνικά",
    "[MASK] [CLS] [SEP] [UNK] [PAD] ##ing ## [ ] mask unk 😀 👩‍👩‍👧 ﬁ Ǆ İ ß",
]
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ0123456789[]#.,-'\"한국어입니다é漢"
OPTIONS = [
    *product([True, False], [True, False, None], [True, False]),
    (True, False, True, True),
    (False, True, False, True),
]

# Pieces of text that have led tokenizers astray.
AWKWARD = [
    *SPECIAL_TOKENS, "[mask]", "[MASK]s", "##ing", "\t", "\n", "\r\n", "\x0b", "\x0c", "\x1c",
    "\x1f", "\x85", "\x00", "\x7f", "\xa0", "\xad", "\u1680", "\u180e", "\u2003", "\u2028",
    "\u200b", "\u200d", "\u202e", "\u3000", "\ufeff", "\ufffd", "\ue000", "e\u0301", "\u0301",
    "\u1112\u1161\u11ab", "각", "漢", "𠀀", "İ", "ẞ", "ΑΣ", "ﬁ", "—", "’", "½", "²", "😀", "🏽",
    "the", "The", "naïve", "입니다", "x" * 101, "é" * 101, "가" * 201, "ไทย" * 70, "e\u0301" * 80,
    "\u0301" * 120, "ㅋ" * 99,
]  # fmt: skip
TEXTS = st.lists(
    st.one_of(
        st.sampled_from(AWKWARD),
        st.sampled_from([" ", "", "  "]),
        st.text(LETTERS, max_size=12),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    ),
    max_size=16,
).map("".join)


def tokenizer_with(
    lowercase: bool, strip_accents: bool | None, split_chinese: bool, composes: bool = False
) -> Tokenizer:
    trained = train_tokenizer(CORPUS, vocab_size=300, min_frequency=1, allow_fewer=True)
    tokenizer = wordpiece_tokenizer(
        trained.get_vocab(),
        lowercase=lowercase,
        strip_accents=strip_accents,
        split_chinese_characters=split_chinese,
    )
    return compose_and_cut(tokenizer) if composes else tokenizer


TOKENIZERS = {options: tokenizer_with(*options) for options in OPTIONS}
ENCODERS = {
    options: WordPieceEncoder(tokenizer, cache_size=64) for options, tokenizer in TOKENIZERS.items()
}


def encode(encoder: WordPieceEncoder, text: str) -> list[int]:
    return np.frombuffer(encoder.encode_batch([text])[0], encoder.dtype).tolist()


def ids_of(tokenizer: Tokenizer, text: str) -> list[int]:
    tokenizer.encode_special_tokens = True
    return tokenizer.encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@given(text=TEXTS)
@settings(max_examples=150)
@example(text="a\x0bb c\x1cd\x85e\u3000f")
@example(text="[MASK] x[MASK]y [SEP]")
def test_ids_equal_those_of_tokenizers_on_every_text(options, text):
    assert encode(ENCODERS[options], text) == ids_of(TOKENIZERS[options], text)


@pytest.mark.parametrize("options", [(True, None, True), OPTIONS[-2]])
def test_ids_equal_those_of_tokenizers_on_every_character_alone_and_within_a_word(options):
    characters = [chr(code) for code in range(0x20000) if not 0xD800 <= code <= 0xDFFF]
    for first in range(0, len(characters), 1024):
        text = " ".join(f"{c} a{c}b" for c in characters[first : first + 1024])
        expected = ids_of(TOKENIZERS[options], text)
        assert encode(ENCODERS[options], text) == expected


@given(words=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=99), max_size=3))
def test_composed_text_without_long_words_is_read_as_by_bert(words):
    text = unicodedata.normalize("NFC", " ".join(words))
    assert encode(ENCODERS[OPTIONS[-2]], text) == encode(ENCODERS[True, False, True], text)


def test_a_decomposed_text_has_the_ids_of_the_composed_one():
    tokenizer = TOKENIZERS[OPTIONS[-2]]
    for text in CORPUS:
        decomposed = unicodedata.normalize("NFD", text)
        assert decomposed != text or text == CORPUS[2]
        assert ids_of(tokenizer, decomposed) == ids_of(tokenizer, text)


@pytest.mark.parametrize(
    "unit", ["ก็", "กำ", "ภาษาไทย", "ភាសា", "がき\u3099", "x\u0301\u0323", "a", "ㅋ"]
)
def test_a_long_run_is_cut_into_pieces_that_can_be_read_and_not_before_a_mark(unit):
    tokenizer = TOKENIZERS[OPTIONS[-2]]
    run = unit * 333
    pieces = [
        piece
        for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(
            tokenizer.normalizer.normalize_str(run)
        )
    ]
    assert "".join(pieces) == tokenizer.normalizer.normalize_str(run)
    assert max(map(len, pieces)) <= 100
    assert len(pieces) <= len(run) / 97 + 1
    assert not any(unicodedata.category(piece[0]).startswith("M") for piece in pieces)


def test_unknown_characters_are_counted_alike_with_and_without_the_cache():
    texts = ["the quick ŝŝ fox", "", "ŵ" * 101 + " the", "the fox", "ŝ ŵ the"]
    for options in ((True, False, True), OPTIONS[-2]):
        tokenizer, encoder = TOKENIZERS[options], ENCODERS[options]
        counts = encoder.count_characters(texts, encoder.encode_batch(texts))
        assert counts.sum(axis=0).tolist() == [*count_unknown(tokenizer, texts)]
        long = 101 if options == (True, False, True) else 0
        assert counts.tolist() == [[13, 2, 0], [0, 0, 0], [104, 101, long], [6, 0, 0], [5, 2, 0]]


def test_text_that_looks_like_a_special_token_gets_no_special_id():
    tokenizer = TOKENIZERS[True, False, True]
    special = {tokenizer.token_to_id(token) for token in SPECIAL_TOKENS if token != "[UNK]"}
    ids = encode(WordPieceEncoder(tokenizer), "a [MASK] b [CLS][SEP] [PAD]")
    assert ids
    assert special.isdisjoint(ids)


def test_a_full_cache_changes_nothing():
    tokenizer = TOKENIZERS[True, False, True]
    text = " ".join(CORPUS)
    tiny, large = WordPieceEncoder(tokenizer, cache_size=1), WordPieceEncoder(tokenizer)
    assert encode(tiny, text) == encode(tiny, text) == encode(large, text)


@pytest.mark.parametrize("limit", [1, 5])
def test_no_more_is_remembered_than_is_asked_for_and_nothing_long(limit):
    asked: list[str] = []

    def results(text: str) -> bytes:
        asked.append(text)
        return text.encode()

    remembered = wordpiece._Cache(results, limit)
    for text in ("a", "b", "c", "d", "e", "f", "f", "g" * 65, "g" * 65):
        assert remembered[text] == text.encode()
        assert len(remembered) <= limit
    assert asked.count("f") == 1
    assert asked.count("g" * 65) == 2


def test_added_words_are_found_as_tokenizers_finds_them():
    tokenizer = tokenizer_with(True, False, True)
    tokenizer.add_tokens(["quickfox", AddedToken("new york", normalized=False)])
    encoder = WordPieceEncoder(tokenizer)
    for text in ("a quickfox!", "in new york today", "quickfoxes"):
        assert encode(encoder, text) == ids_of(tokenizer, text)


def test_truncation_and_padding_of_the_tokenizer_are_not_applied():
    tokenizer = tokenizer_with(True, False, True)
    whole = tokenizer.encode(CORPUS[0], add_special_tokens=False).ids
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=64)
    assert encode(WordPieceEncoder(tokenizer), CORPUS[0]) == whole


def test_a_tokenizer_of_another_kind_is_left_to_tokenizers():
    tokenizer = Tokenizer(BPE({"▁": 0, "a": 1, "▁a": 2, "b": 3}, [("▁", "a")]))
    tokenizer.pre_tokenizer = Metaspace()
    assert encode(WordPieceEncoder(tokenizer), "a ab") == tokenizer.encode("a ab").ids


def test_batches_are_bytes_of_the_smallest_type_that_holds_the_vocabulary():
    small = WordPieceEncoder(TOKENIZERS[True, False, True])
    assert small.dtype == np.uint16
    first, second, third = small.encode_batch(["the fox", "", "fox"])
    assert np.frombuffer(first, np.uint16).tolist() == encode(small, "the fox")
    assert second == b""
    assert third == small.encode_batch(["fox"])[0]
    vocabulary = {**TOKENIZERS[True, False, True].get_vocab()}
    vocabulary |= {f"filler{i}": len(vocabulary) + i for i in range(1 << 16)}
    large = wordpiece_tokenizer(vocabulary, lowercase=True, strip_accents=False)
    assert WordPieceEncoder(large).dtype == np.uint32
    assert encode(WordPieceEncoder(large), CORPUS[0]) == encode(small, CORPUS[0])


def test_ids_are_berts_own_on_its_fixture(shared_data, tmp_path):
    (tmp_path / "vocab.txt").write_bytes(
        (shared_data / "tokenizer" / "bert-base-uncased.vocab.txt").read_bytes()
    )
    encoder = WordPieceEncoder(load_tokenizer(tmp_path))
    path = shared_data / "tokenizer" / "bert-base-uncased.questions.jsonl"
    questions = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(questions) == 7284
    for question in questions:
        assert encode(encoder, question["text"]) == question["ids"]
