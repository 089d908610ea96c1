import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.trainers import WordPieceTrainer

from selfsup.corpus.tokenizer import vocabulary
from selfsup.corpus.tokenizer.training import train_tokenizer
from selfsup.corpus.tokenizer.vocabulary import count_words, learn_vocabulary
from selfsup.corpus.tokenizer.wordpiece import SPECIAL_TOKENS, word_cutter, wordpiece_tokenizer
from selfsup.errors import UserError

TEXTS = [
    "The quick brown fox jumps over the lazy dog. The dog sleeps; the fox runs.",
    "Café, naïve, résumé: the accents stay. Über den Wolken.",
    "한국어 문장입니다. 그는 학교에 갔습니다. 그녀는 학교에서 왔습니다.",
] * 5


@pytest.fixture(scope="module")
def english(shared_data) -> list[str]:
    """Real paragraphs, some 600 kB."""
    from selfsup.corpus.readers.sources import read_documents

    documents = read_documents([str(shared_data / "text" / "wiki-en.jsonl.xz")])
    return [next(documents).text for _ in range(30)]


def word_counts(texts: list[str]) -> dict[str, int]:
    return count_words(
        (line for text in texts for line in text.splitlines()), lambda piece: [piece.lower()]
    )


def test_the_same_vocabulary_is_learned_as_by_tokenizers(english):
    counts = word_counts(english)
    learned = learn_vocabulary(counts, 2000, min_frequency=2)
    characters = [token for token in learned if len(token.removeprefix("##")) == 1]
    known = {*characters}
    words = {
        word: count
        for word, count in counts.items()
        if known.issuperset([word[0], *(f"##{c}" for c in word[1:])])
    }
    # The peer also keeps characters that never begin a word as if they did; there is no way to tell
    # it not to, so they are let in and left out of the comparison. How it numbers characters, which
    # decides between equally frequent pairs, is random unless they are named beforehand.
    extra = sorted({c for word in words for c in word} - known)
    peer = Tokenizer(WordPiece(unk_token="[UNK]"))
    peer.pre_tokenizer = WhitespaceSplit()
    peer.train_from_iterator(
        (" ".join([word] * count) for word, count in words.items()),
        WordPieceTrainer(
            vocab_size=2000 + len(extra),
            min_frequency=2,
            special_tokens=[*characters, *extra],
            limit_alphabet=10_000,
            show_progress=False,
        ),
    )
    vocabulary = peer.get_vocab()
    expected = sorted(vocabulary.keys() - set(extra), key=vocabulary.__getitem__)
    assert learned == expected


def test_training_is_the_same_in_every_process(tmp_path, english):
    corpus = tmp_path / "corpus.json"
    corpus.write_text(json.dumps(english[:8]))
    program = (
        "import json, sys; from selfsup.corpus.tokenizer.folder import save_tokenizer;"
        "from selfsup.corpus.tokenizer.training import train_tokenizer;"
        "tokenizer = train_tokenizer(json.load(open(sys.argv[1])), vocab_size=1500);"
        "save_tokenizer(tokenizer, sys.argv[2])"
    )
    folders = [tmp_path / "a", tmp_path / "b"]
    for seed, folder in enumerate(folders, 1):
        subprocess.run(
            [sys.executable, "-c", program, str(corpus), str(folder)],
            check=True,
            env={"PYTHONHASHSEED": str(seed), "PYTHONPATH": ":".join(sys.path)},
        )
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()


def test_special_tokens_come_first_and_the_size_is_exact():
    tokenizer = train_tokenizer(TEXTS, vocab_size=120)
    assert tokenizer.get_vocab_size() == 120
    assert [tokenizer.token_to_id(token) for token in SPECIAL_TOKENS] == [0, 1, 2, 3, 4]
    assert sorted(tokenizer.get_vocab().values()) == list(range(120))


def test_hangul_and_accents_stay_whole_unless_stripping_is_asked_for():
    kept = train_tokenizer(TEXTS, vocab_size=400, allow_fewer=True)
    assert kept.encode("Café 학교에", add_special_tokens=False).tokens == ["café", "학교에"]
    stripped = train_tokenizer(TEXTS, vocab_size=400, allow_fewer=True, strip_accents=True)
    assert stripped.encode("Café", add_special_tokens=False).tokens == ["cafe"]


def test_korean_letters_that_stand_alone_are_known_though_the_corpus_has_none():
    syllables = [chr(code) for code in range(ord("가"), ord("가") + 500)]
    texts = [first + second for first, second in zip(syllables, syllables[::-1], strict=True)] * 2
    rich = train_tokenizer(texts, vocab_size=4000, allow_fewer=True)
    tokens = rich.encode("ㅋㅋㅋ 가ㅠㅠ", add_special_tokens=False).tokens
    assert tokens == ["ㅋ", "##ㅋ", "##ㅋ", "가", "##ㅠ", "##ㅠ"]
    for few in (texts[:300], ["some words"] * 9):
        assert "ㅋ" not in train_tokenizer(few, vocab_size=4000, allow_fewer=True).get_vocab()


def test_case_is_kept_when_asked_for():
    cased = train_tokenizer(TEXTS, vocab_size=400, allow_fewer=True, lowercase=False)
    assert cased.encode("The the", add_special_tokens=False).tokens == ["The", "the"]


def test_a_vocabulary_larger_than_a_korean_corpus_allows_names_a_number_that_works(shared_data):
    lines = (shared_data / "tasks" / "nsmc" / "dev.tsv").read_text(encoding="utf-8").splitlines()
    texts = [line.split("\t")[1] for line in lines[1:1500]]
    with pytest.raises(UserError, match="at most") as caught:
        train_tokenizer(texts, vocab_size=30522)
    allowed = int(str(caught.value).split("at most ")[1].split()[0])
    assert train_tokenizer(texts, vocab_size=allowed).get_vocab_size() == allowed


def test_a_vocabulary_larger_than_the_corpus_allows_is_refused_with_the_number_it_allows():
    with pytest.raises(UserError, match=r"--vocab-size 30522.*at most \d+ tokens") as caught:
        train_tokenizer(TEXTS, vocab_size=30522)
    allowed = int(str(caught.value).split("at most ")[1].split()[0])
    assert train_tokenizer(TEXTS, vocab_size=allowed).get_vocab_size() == allowed
    fewer = train_tokenizer(TEXTS, vocab_size=30522, allow_fewer=True)
    assert fewer.get_vocab_size() == allowed


def test_a_number_that_may_not_be_asked_for_is_not_named():
    with pytest.raises(UserError, match=r"at most \d\d tokens: give more text$"):
        train_tokenizer(["the fox runs, the fox sleeps"] * 2, vocab_size=5000)


def test_words_too_long_to_be_encoded_are_not_learned_from():
    bert = wordpiece_tokenizer({}, lowercase=True, strip_accents=False)
    counts = count_words([f"{'qz' * 50} {'xy' * 50}x"], word_cutter(bert))
    assert counts == {"qz" * 50: 1}


def test_a_long_run_is_learned_from_in_the_pieces_in_which_it_is_read():
    run = "กขคงจฉชซ" * 40
    tokenizer = train_tokenizer([f"{run} {number}" for number in range(20)], vocab_size=200,
                                allow_fewer=True)  # fmt: skip
    pieces = tokenizer.encode(run, add_special_tokens=False).tokens
    assert "[UNK]" not in pieces
    assert max(map(len, pieces)) > 4
    # A run may be cut before any of its characters.
    for first in range(8):
        assert "[UNK]" not in tokenizer.encode(run[first:]).tokens


@pytest.mark.parametrize("texts", [[], ["", " \n "], ["\u200b"]])
def test_a_corpus_without_text_is_refused(texts):
    with pytest.raises(UserError, match="holds no text"):
        train_tokenizer(texts, vocab_size=100)


def test_counting_stays_within_its_bound_and_keeps_frequent_words():
    paragraphs = [f"common word{i} frequent" for i in range(5000)]
    counts = count_words(paragraphs, lambda piece: [piece], most_counted=500)
    assert len(counts) <= 502
    assert counts["common"] == counts["frequent"] == 5000


def test_counting_holds_so_many_characters_of_text_without_spaces(monkeypatch):
    monkeypatch.setattr(vocabulary, "_MOST_CHARACTERS_HELD", 1000)
    held: set[str] = set()
    most_held = 0

    def paragraphs() -> Iterator[str]:
        nonlocal most_held
        for number in range(100):
            held.add(chr(0x4E00 + number) * 99)
            most_held = max(most_held, 99 * len(held))
            yield chr(0x4E00 + number) * 99

    def words_of_piece(piece: str) -> list[str]:
        held.remove(piece)
        return [*piece]

    counts = count_words(paragraphs(), words_of_piece)
    assert counts == {chr(0x4E00 + number): 99 for number in range(100)}
    assert most_held <= 2000 + 99


def test_what_is_learned_from_is_bounded_in_characters_too(monkeypatch):
    monkeypatch.setattr(vocabulary, "_MOST_CHARACTERS_LEARNED_FROM", 8)
    counts = {"rare": 2, "abcd": 9, "often": 8, "efgh": 9}
    learned = learn_vocabulary(counts, 100, min_frequency=2)
    assert {"abcd", "efgh"} < set(learned)
    assert set("".join(learned)) == set("#abcdefgh")
