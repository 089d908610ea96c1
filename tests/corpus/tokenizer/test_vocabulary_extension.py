"""The tokens added to a vocabulary are those that shorten the corpus most, and as much as said."""

import random

import numpy as np
import pytest
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from selfsup.corpus.tokenizer.extension import choose_tokens, extend_tokenizer, pieces_of_token
from selfsup.corpus.tokenizer.folder import load_tokenizer, save_tokenizer
from selfsup.corpus.tokenizer.training import train_tokenizer
from selfsup.corpus.tokenizer.vocabulary import count_words
from selfsup.corpus.tokenizer.wordpiece import (
    SPECIAL_TOKENS,
    WordPieceEncoder,
    word_cutter,
    wordpiece_tokenizer,
)

LETTERS = [*"abcdefghijklmnopqrstuvwxyz", *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz")]


def tokenizer_of(*tokens: str) -> Tokenizer:
    places = {token: place for place, token in enumerate((*SPECIAL_TOKENS, *tokens))}
    return wordpiece_tokenizer(places, lowercase=True, strip_accents=False)


def length_of(counts: dict[str, int], tokenizer: Tokenizer) -> int:
    return sum(
        count * len(tokenizer.encode(word, add_special_tokens=False).ids)
        for word, count in counts.items()
    )


def test_the_token_that_saves_most_comes_first():
    counts = {"cardiac": 10, "cat": 60, "the": 500}
    tokens = [*LETTERS, "the", "ca", "##rd", "##iac"]
    # cardiac: ca ##rd ##iac, 2 × 10 to save; cat: ca ##t, 60 to save; the: nothing.
    assert choose_tokens(counts, tokens, 5) == [("cat", 60), ("cardiac", 20)]


def test_what_one_token_saves_is_not_counted_for_another():
    counts = {"playing": 9, "plays": 5, "staying": 3}
    tokens = [*LETTERS, "play", "##ing", "sta"]
    # "playing" saves 9 and takes its 9 from "##ying"'s none; "##ying" is no run of pieces in it.
    assert choose_tokens(counts, tokens, 9) == [
        ("playing", 9),
        ("staying", 6),  # sta ##y ##ing: two tokens less, three times
        ("plays", 5),
    ]


def test_a_part_that_many_words_share_goes_before_each_of_them():
    counts = {f"{c}ology": 2 for c in "abcdefgh"}
    tokens = [*LETTERS, "##olo", "##gy"]
    (first, gain), *_ = choose_tokens(counts, tokens, 1)
    assert (first, gain) == ("##ology", 16)


def test_a_token_that_would_make_other_words_unknown_is_not_taken():
    # With "##ab", xabc would be x ##ab and then c, which cannot go on in a word.
    counts = {"yab": 4, "xabc": 5}
    tokens = ["x", "y", "##a", "##b", "##bc"]
    assert choose_tokens(counts, tokens, 1) == [("xabc", 10)]
    assert choose_tokens({"yab": 4, "xabcx": 5}, [*tokens, "##x"], 1)[0][0] != "##ab"


def test_what_it_would_cost_other_words_counts_against_what_it_saves():
    counts = {"yab": 4, "zab": 4, "wab": 4, "xabc": 5}
    tokens = ["w", "x", "y", "z", "##a", "##b", "##bc"]  # "##ab" would save 12 and make xabc [UNK]
    assert choose_tokens(counts, tokens, 1) == [("xabc", 10)]


def test_a_word_that_stands_there_once_is_not_taken():
    assert choose_tokens({"abcdefgh": 1}, LETTERS, 3) == []
    # Nor where words that are cut without it hold its letters, too.
    assert choose_tokens({"ba": 1, "bac": 4}, LETTERS, 6) == [("bac", 8)]


def test_unknown_words_are_left_as_they_are():
    assert choose_tokens({"ab": 3, "äb": 50}, LETTERS, 3) == [("ab", 3)]


def random_words(seed: int) -> dict[str, int]:
    source = random.Random(seed)
    return {
        "".join(source.choices("abc", k=source.randint(1, 7))): source.randint(1, 9)
        for _ in range(25)
    }


def best_gain(counts: dict[str, int], tokens: list[str]) -> int:
    """The most that any one token whatever could save, by cutting all words with each in turn."""
    before = length_of(counts, tokenizer_of(*tokens))
    parts = {
        ("##" if start else "") + word[start:end]
        for word in counts
        for start in range(len(word))
        for end in range(start + 2, len(word) + 1)
    } - set(tokens)
    return max(before - length_of(counts, tokenizer_of(*tokens, part)) for part in sorted(parts))


@pytest.mark.parametrize("seed", range(3))
def test_the_first_token_is_as_good_as_any_and_each_saves_what_is_said(seed):
    counts = random_words(seed)
    tokens = ["a", "b", "c", "##a", "##b", "##c", "ab", "##ca"]
    chosen = choose_tokens(counts, tokens, 6)
    assert len(chosen) == 6
    assert chosen[0][1] == best_gain(counts, tokens)
    for place, (token, gain) in enumerate(chosen):
        known = [*tokens, *(earlier for earlier, _ in chosen[:place])]
        before = length_of(counts, tokenizer_of(*known))
        assert before - length_of(counts, tokenizer_of(*known, token)) == gain > 0


@settings(max_examples=40)
@given(st.integers(0, 10_000))
def test_the_report_is_what_the_tokenizer_does(seed):
    counts = random_words(seed)
    old = tokenizer_of("a", "b", "c", "##a", "##b", "ab")  # without ##c: some words are unknown
    new, report = extend_tokenizer(old, counts, 5)
    words = sum(counts.values())
    assert report.tokens_per_word_before == pytest.approx(length_of(counts, old) / words)
    assert report.tokens_per_word_after == pytest.approx(length_of(counts, new) / words)
    assert report.tokens_per_word_after <= report.tokens_per_word_before
    assert new.get_vocab_size() == old.get_vocab_size() + report.added
    unknown = sum(n for word, n in counts.items() if old.encode(word).tokens[1] == "[UNK]")
    assert report.unknown_words == unknown / words
    assert extend_tokenizer(old, dict(reversed(counts.items())), 5)[0].to_str() == new.to_str()


def test_old_tokens_keep_their_ids_and_transformers_reads_the_new_ones(tmp_path):
    old = tokenizer_of(*LETTERS, ",", "card", "##io", "##logy")
    new, report = extend_tokenizer(old, {"cardiology": 8, "cardio": 4, "abc": 3}, 3)
    assert report.added == 3
    vocabulary = new.get_vocab()
    assert {token: vocabulary[token] for token in old.get_vocab()} == old.get_vocab()
    save_tokenizer(new, tmp_path / "new")
    text = "Cardiology, cardiograph [MASK] ABC cardio abcd"
    ids = new.encode(text, "abc cardio").ids
    assert ids != old.encode(text, "abc cardio").ids
    peer = transformers.AutoTokenizer.from_pretrained(tmp_path / "new")
    assert peer(text, "abc cardio").input_ids == ids
    assert len(peer) == new.get_vocab_size() == len(old.get_vocab()) + 3
    assert load_tokenizer(tmp_path / "new").encode(text, "abc cardio").ids == ids
    (tmp_path / "new" / "tokenizer.json").unlink()
    assert load_tokenizer(tmp_path / "new").encode(text, "abc cardio").ids == ids


def test_tokens_that_someone_added_keep_their_ids_and_are_not_chosen_again(tmp_path):
    old = tokenizer_of(*LETTERS, "card", "##io")
    old.add_tokens(["<url>", "cardio"])
    new, report = extend_tokenizer(old, {"cardio": 9, "cardiab": 5, "abc": 3}, 3)
    assert report.added == 2  # not cardio, which is there
    vocabulary = new.get_vocab()
    assert {token: vocabulary[token] for token in old.get_vocab()} == old.get_vocab()
    assert sorted(vocabulary.values()) == list(range(len(vocabulary)))
    save_tokenizer(new, tmp_path)
    text = "abc <url> cardiab cardio"
    assert load_tokenizer(tmp_path).encode(text).ids == new.encode(text).ids
    peer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert peer(text).input_ids == new.encode(text).ids


def test_the_pieces_of_a_new_token_are_those_it_was_cut_into():
    old = tokenizer_of(*LETTERS, "card", "##io", "##logy")
    for token, pieces in {
        "cardiology": ["card", "##io", "##logy"],
        "##iology": ["##io", "##logy"],
        "##iox": ["##io", "##x"],
        "iox": ["i", "##o", "##x"],
    }.items():
        assert [old.id_to_token(piece) for piece in pieces_of_token(old, token)] == pieces


def test_a_tokenizer_that_composes_and_cuts_goes_on_doing_so():
    run = "กขคง" * 70
    old = train_tokenizer([run, "café"], vocab_size=40, min_frequency=9, allow_fewer=True)
    counts = count_words([f"{run} cafe\u0301 cafe\u0301"] * 2, word_cutter(old))
    assert counts["café"] == 4
    new, report = extend_tokenizer(old, counts, 6)
    assert report.added >= 4
    assert report.unknown_words == 0
    text = f"{run} cafe\u0301"
    before, after = (tokenizer.encode(text, add_special_tokens=False) for tokenizer in (old, new))
    assert len(after) < len(before)
    assert "[UNK]" not in after.tokens
    encoder = WordPieceEncoder(new)
    assert np.frombuffer(encoder.encode_batch([text])[0], encoder.dtype).tolist() == after.ids
