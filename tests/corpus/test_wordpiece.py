import json
import subprocess
import sys

import pytest
import transformers
from tokenizers import BertWordPieceTokenizer, Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.trainers import WordPieceTrainer

from selfsup.corpus.added_tokens import vocabulary_size
from selfsup.corpus.wordpiece import (
    SPECIAL_TOKENS,
    load_tokenizer,
    save_tokenizer,
    tokenizer_sha256,
    train_tokenizer,
    wordpiece_tokenizer,
)
from selfsup.corpus.wordpiece_training import count_words, learn_vocabulary
from selfsup.errors import UserError

TEXTS = [
    "The quick brown fox jumps over the lazy dog. The dog sleeps; the fox runs.",
    "Café, naïve, résumé: the accents stay. Über den Wolken.",
    "한국어 문장입니다. 그는 학교에 갔습니다. 그녀는 학교에서 왔습니다.",
] * 5


@pytest.fixture(scope="module")
def english(shared_data) -> list[str]:
    """Real paragraphs, some 600 kB."""
    from selfsup.corpus.sources import read_documents

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
        "import json, sys; from selfsup.corpus.wordpiece import *;"
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


@pytest.mark.parametrize("texts", [[], ["", " \n "], ["\u200b"]])
def test_a_corpus_without_text_is_refused(texts):
    with pytest.raises(UserError, match="holds no text"):
        train_tokenizer(texts, vocab_size=100)


def test_counting_stays_within_its_bound_and_keeps_frequent_words():
    paragraphs = [f"common word{i} frequent" for i in range(5000)]
    counts = count_words(paragraphs, lambda piece: [piece], most_counted=500)
    assert len(counts) <= 502
    assert counts["common"] == counts["frequent"] == 5000


def test_a_saved_tokenizer_loads_in_transformers_with_equal_ids(tmp_path):
    transformers = pytest.importorskip("transformers")
    for name, options in {
        "uncased": {},
        "cased": {"lowercase": False},
        "stripped": {"strip_accents": True},
    }.items():
        tokenizer = train_tokenizer(TEXTS, vocab_size=300, allow_fewer=True, **options)
        save_tokenizer(tokenizer, tmp_path / name)
        loaded = transformers.AutoTokenizer.from_pretrained(tmp_path / name)
        assert "Bert" in type(loaded).__name__
        assert loaded.model_max_length == 512
        assert (loaded.pad_token_id, loaded.mask_token_id) == (0, 4)
        for text in (*TEXTS[:3], "ÜBER [MASK] Ωmega 漢字 \u200b x"):
            assert loaded(text).input_ids == tokenizer.encode(text).ids
        pair = tokenizer.encode("The fox", "the dog")
        assert loaded("The fox", "the dog").input_ids == pair.ids
        assert loaded("The fox", "the dog").token_type_ids == pair.type_ids


def test_a_saved_tokenizer_loads_again_from_either_file(tmp_path):
    tokenizer = train_tokenizer(TEXTS, vocab_size=300, allow_fewer=True)
    save_tokenizer(tokenizer, tmp_path)
    whole = load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    from_vocabulary = load_tokenizer(tmp_path)
    for text in (*TEXTS[:3], "[MASK] ÜBER"):
        assert whole.encode(text).ids == tokenizer.encode(text).ids
        assert from_vocabulary.encode(text).ids == tokenizer.encode(text).ids
    assert (
        tokenizer_sha256(tokenizer) == tokenizer_sha256(whole) == tokenizer_sha256(from_vocabulary)
    )


def test_a_folder_with_only_vocab_txt_is_read_as_berts(tmp_path, shared_data):
    for name in ("uncased", "cased"):
        folder = tmp_path / name
        folder.mkdir()
        vocabulary = (shared_data / "tokenizer" / f"bert-base-{name}.vocab.txt").read_bytes()
        (folder / "vocab.txt").write_bytes(vocabulary)
        (folder / "tokenizer_config.json").write_text(
            json.dumps({"do_lower_case": name == "uncased"})
        )
    uncased, cased = load_tokenizer(tmp_path / "uncased"), load_tokenizer(tmp_path / "cased")
    assert uncased.get_vocab_size() == 30522
    assert uncased.encode("Héllo").tokens == ["[CLS]", "hello", "[SEP]"]
    assert cased.get_vocab_size() == 28996
    assert cased.encode("Paris").tokens == ["[CLS]", "Paris", "[SEP]"]


def test_a_token_that_stands_twice_in_vocab_txt_leaves_no_id_without_a_name(tmp_path):
    tokens = [*SPECIAL_TOKENS, "a", "b", "a", "c"]
    (tmp_path / "vocab.txt").write_text("".join(f"{token}\n" for token in tokens))
    tokenizer = load_tokenizer(tmp_path)
    peer = transformers.BertTokenizer.from_pretrained(tmp_path)
    assert tokenizer.encode("a b c").ids == peer("a b c").input_ids == [2, 7, 6, 8, 3]
    save_tokenizer(tokenizer, tmp_path / "saved")
    written = (tmp_path / "saved" / "vocab.txt").read_text().splitlines()
    assert [written.index(token) for token in "abc"] == [7, 6, 8]
    assert len(written) == vocabulary_size(tokenizer) == len(tokens)


def test_ids_that_no_token_has_are_counted_and_keep_the_others_in_their_lines(tmp_path):
    vocabulary = {token: number for number, token in enumerate(SPECIAL_TOKENS)} | {"a": 9, "b": 7}
    tokenizer = wordpiece_tokenizer(vocabulary, lowercase=True, strip_accents=False)
    assert vocabulary_size(tokenizer) == 10
    save_tokenizer(tokenizer, tmp_path)
    written = (tmp_path / "vocab.txt").read_text().splitlines()
    assert (written.index("a"), written.index("b")) == (9, 7)


@pytest.mark.parametrize(
    ("file", "config"),
    [
        ("tokenizer_config.json", {"tokenizer_class": "BertJapaneseTokenizer"}),
        ("tokenizer_config.json", {"word_tokenizer_type": "mecab"}),
        ("tokenizer_config.json", {"subword_tokenizer_type": "character"}),
        ("config.json", {"tokenizer_class": "BertJapaneseTokenizer"}),
    ],
)
def test_a_vocabulary_whose_words_are_cut_otherwise_is_refused(tmp_path, file, config):
    (tmp_path / "vocab.txt").write_text("".join(f"{token}\n" for token in SPECIAL_TOKENS))
    load_tokenizer(tmp_path)
    (tmp_path / file).write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"vocab\.txt: .* cuts words otherwise than BERT's"):
        load_tokenizer(tmp_path)


def test_a_tokenizer_as_training_leaves_it_puts_cls_and_sep_around_a_text(tmp_path):
    tokenizer = BertWordPieceTokenizer()
    tokenizer.train_from_iterator(TEXTS, vocab_size=60, show_progress=False)
    bare = Tokenizer.from_str(tokenizer.to_str())
    bare.post_processor = None  # type: ignore[assignment]
    bare.save(str(tmp_path / "tokenizer.json"))
    loaded = load_tokenizer(tmp_path)
    ids = bare.encode("the text").ids
    assert loaded.encode("the text").tokens == [
        "[CLS]", *(bare.id_to_token(number) for number in ids), "[SEP]"
    ]  # fmt: skip


def test_the_hash_tells_tokenizers_apart_by_what_decides_the_ids():
    vocabulary = train_tokenizer(TEXTS, vocab_size=100).get_vocab()
    swapped = {**vocabulary, "the": vocabulary["##e"], "##e": vocabulary["the"]}
    plain = wordpiece_tokenizer(vocabulary, lowercase=True, strip_accents=False)
    hashes = {
        tokenizer_sha256(plain),
        tokenizer_sha256(wordpiece_tokenizer(vocabulary, lowercase=False, strip_accents=False)),
        tokenizer_sha256(wordpiece_tokenizer(vocabulary, lowercase=True, strip_accents=True)),
        tokenizer_sha256(wordpiece_tokenizer(swapped, lowercase=True, strip_accents=False)),
    }
    assert len(hashes) == 4
    berts_rule = wordpiece_tokenizer(vocabulary, lowercase=True, strip_accents=None)
    assert tokenizer_sha256(berts_rule) in hashes
    other_words = Tokenizer.from_str(plain.to_str())
    other_words.pre_tokenizer = WhitespaceSplit()
    assert tokenizer_sha256(other_words) not in hashes
    # A token beside the vocabulary is found within words, where one of the vocabulary is not.
    beside = {token: number for token, number in vocabulary.items() if number < 99}
    of_99 = wordpiece_tokenizer(beside, lowercase=True, strip_accents=False)
    of_99.add_tokens(["covid"])
    of_100 = wordpiece_tokenizer({**beside, "covid": 99}, lowercase=True, strip_accents=False)
    assert of_99.get_vocab() == of_100.get_vocab()
    assert tokenizer_sha256(of_99) != tokenizer_sha256(of_100)
    plain.enable_truncation(8)
    assert tokenizer_sha256(plain) in hashes


def test_a_folder_without_a_tokenizer_is_refused_in_one_line(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        load_tokenizer(tmp_path / "missing")
    with pytest.raises(UserError, match=r"holds no tokenizer\.json or vocab\.txt"):
        load_tokenizer(tmp_path)
    (tmp_path / "vocab.txt").write_text("a\nb\n")
    with pytest.raises(UserError, match=r"vocab\.txt.*\[PAD\]"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text('{"cut": ')
    with pytest.raises(UserError, match=r"tokenizer\.json.*not a tokenizer"):
        load_tokenizer(tmp_path)
