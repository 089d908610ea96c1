import json
import unicodedata

import pytest
import transformers
from tokenizers import BertWordPieceTokenizer, Tokenizer
from tokenizers.pre_tokenizers import WhitespaceSplit

from selfsup.corpus.tokenizer.folder import (
    complete_tokenizer_config,
    load_tokenizer,
    save_tokenizer,
    tokenizer_sha256,
)
from selfsup.corpus.tokenizer.training import train_tokenizer
from selfsup.corpus.tokenizer.wordpiece import SPECIAL_TOKENS, vocabulary_size, wordpiece_tokenizer
from selfsup.errors import UserError

TEXTS = [
    "The quick brown fox jumps over the lazy dog. The dog sleeps; the fox runs.",
    "Café, naïve, résumé: the accents stay. Über den Wolken.",
    "한국어 문장입니다. 그는 학교에 갔습니다. 그녀는 학교에서 왔습니다.",
] * 5


def test_a_saved_tokenizer_loads_in_transformers_with_equal_ids(tmp_path):
    for name, options in {
        "uncased": {},
        "cased": {"lowercase": False},
        "stripped": {"strip_accents": True},
    }.items():
        tokenizer = train_tokenizer(TEXTS, vocab_size=300, allow_fewer=True, **options)
        save_tokenizer(tokenizer, tmp_path / name)
        loaded = transformers.AutoTokenizer.from_pretrained(tmp_path / name)
        assert loaded.model_max_length == 512
        assert (loaded.pad_token_id, loaded.mask_token_id) == (0, 4)
        for text in (*TEXTS[:3], "ÜBER [MASK] Ωmega 漢字 \u200b x"):
            assert loaded(text).input_ids == tokenizer.encode(text).ids
        pair = tokenizer.encode("The fox", "the dog")
        assert loaded("The fox", "the dog").input_ids == pair.ids
        assert loaded("The fox", "the dog").token_type_ids == pair.type_ids


# Scripts with and without spaces, decomposed text, runs that are longer than a word may be.
OTHER_TEXTS = [
    *(unicodedata.normalize("NFD", text) for text in TEXTS[:3]),
    "ภาษาไทยเขียนติดกันไม่เว้นวรรค" * 20,
    "ភាសាខ្មែរគ្មានដកឃ្លា" * 20,
    "にほんごをぶんかちがきしない" * 20,
    unicodedata.normalize("NFD", "がぎぐげご" * 50),
    "a" * 300,
    "그래" * 120 + " 😀😀 👩‍👩‍👧 e\u200b\u0301 \ufeffx",
    "x\u0301\u0323" * 90 + " " + "\u0301" * 250,
]


def test_transformers_gives_our_ids_for_every_script(tmp_path):
    tokenizer = train_tokenizer([*TEXTS, *OTHER_TEXTS], vocab_size=600, allow_fewer=True)
    folder = tmp_path / "ours"
    save_tokenizer(tokenizer, folder)
    (folder / "config.json").write_text('{"model_type": "bert"}')  # as in a model folder
    loaded = transformers.AutoTokenizer.from_pretrained(folder)
    loaded.save_pretrained(tmp_path / "theirs")
    again = load_tokenizer(tmp_path / "theirs")
    assert tokenizer_sha256(again) == tokenizer_sha256(tokenizer)
    for text in (*TEXTS, *OTHER_TEXTS):
        ids = tokenizer.encode(text).ids
        assert loaded(text).input_ids == again.encode(text).ids == ids
        assert len(ids) > 3 or len(text) < 101
    assert loaded("a", "b").token_type_ids == tokenizer.encode("a", "b").type_ids


def test_a_copied_tokenizer_file_alone_gets_a_config_that_leaves_it_its_rules(tmp_path):
    tokenizer = train_tokenizer(TEXTS, vocab_size=300, allow_fewer=True)
    (tmp_path / "tokenizer.json").write_text(tokenizer.to_str())
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    complete_tokenizer_config(tmp_path, 512)
    loaded = transformers.AutoTokenizer.from_pretrained(tmp_path)
    for text in OTHER_TEXTS:
        assert loaded(text).input_ids == tokenizer.encode(text).ids


def test_a_saved_tokenizer_loads_again_from_either_file(tmp_path):
    tokenizer = train_tokenizer(TEXTS, vocab_size=300, allow_fewer=True)
    save_tokenizer(tokenizer, tmp_path)
    whole = load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    from_vocabulary = load_tokenizer(tmp_path)
    for text in (*TEXTS[:3], *OTHER_TEXTS, "[MASK] ÜBER"):
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


def test_a_vocabulary_without_the_token_for_unknown_words_is_refused(tmp_path):
    save_tokenizer(train_tokenizer(TEXTS, vocab_size=120), tmp_path)
    path = tmp_path / "tokenizer.json"
    parts = json.loads(path.read_bytes())
    parts["added_tokens"] = [t for t in parts["added_tokens"] if t["content"] != "[UNK]"]
    del parts["model"]["vocab"]["[UNK]"]
    path.write_text(json.dumps(parts))
    with pytest.raises(UserError, match=r"tokenizer\.json: .*its vocabulary lacks \[UNK\]"):
        load_tokenizer(tmp_path)
