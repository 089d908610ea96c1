"""Shards that were spoilt on purpose, and sound ones."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from selfsup.corpus.prepare import prepare
from selfsup.corpus.tokenizer.folder import save_tokenizer
from selfsup.corpus.tokenizer.training import train_tokenizer
from selfsup.doctor import doctor
from selfsup.doctor import unlabelled as shards_diagnosis
from selfsup.settings.showing import DoctorSettings
from tests.doctor.found_problems import found_in, only_one
from tests.toy_corpus import toy_documents

LITTLE_TEXT = "from so little text an encoder learns little"


@pytest.fixture
def make_shards(tmp_path, no_text_is_little) -> Callable[..., Path]:
    def make(texts: list[str], tokenizer_texts: list[str] | None = None) -> Path:
        lines = [json.dumps({"text": text}, ensure_ascii=False) for text in texts]
        (tmp_path / "texts.jsonl").write_text("\n".join(lines), encoding="utf-8")
        tokenizer = train_tokenizer(tokenizer_texts or texts, vocab_size=200, allow_fewer=True)
        save_tokenizer(tokenizer, tmp_path / "tokenizer")
        out = tmp_path / "shards"
        prepare(
            [str(tmp_path / "texts.jsonl")], tmp_path / "tokenizer", out, workers=1,
            max_bad_fraction=1.0, show_progress=False,
        )  # fmt: skip
        return out

    return make


def test_sound_shards_have_no_problems(make_shards):
    result = doctor(DoctorSettings(path=str(make_shards(toy_documents(20)))))
    assert result["kind"] == "token shards"
    assert result["problems"] == []
    assert result["counts"]["documents"] == 20
    assert result["counts"]["tokens"] > result["counts"]["sentences"] > 20


def test_a_little_corpus_is_named_little(make_shards, monkeypatch):
    monkeypatch.setattr(shards_diagnosis, "_MIN_TOKENS", 1_000_000)
    assert LITTLE_TEXT in only_one(found_in(make_shards(toy_documents(20))))


def test_shards_of_an_interrupted_prepare_are_to_be_finished(make_shards):
    shards = make_shards(toy_documents(20))
    (shards / "manifest.json").unlink()
    (shards / "progress.json").write_text("{}")
    assert "prepare was interrupted → run the same prepare command again" in only_one(
        found_in(shards)
    )


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "what"),
    [(cut, "cut short"), (flip_a_bit, "checksum"), (Path.unlink, "missing")],
)
def test_a_spoilt_shard_is_to_be_made_again(spoil, what: str, make_shards):
    shards = make_shards(toy_documents(20))
    spoil(shards / "shard-00000.safetensors")
    problem = only_one(found_in(shards))
    assert "shard-00000.safetensors" in problem
    assert what in problem
    assert "prepare" in problem


def test_a_tokenizer_that_was_replaced_is_found(make_shards):
    shards = make_shards(toy_documents(20))
    other = train_tokenizer(["other words and more other words"], vocab_size=40, allow_fewer=True)
    save_tokenizer(other, shards / "tokenizer")
    assert "not the tokenizer that made these shards" in only_one(found_in(shards))


def test_many_unknown_tokens_ask_for_a_tokenizer_of_this_text(make_shards):
    korean = "작은 집에 개와 고양이가 산다. 아침마다 새가 노래한다."
    shards = make_shards([f"{korean} {number}." for number in range(20)], toy_documents(20))
    assert any(
        "of the characters are in words that become [UNK]" in problem
        and "train-tokenizer" in problem
        for problem in found_in(shards)
    )


def test_documents_of_one_sentence_have_no_next_one(make_shards):
    sentences = [document.split(".")[0] + "." for document in toy_documents(20)]
    assert "single sentence" in only_one(found_in(make_shards(sentences)))


def test_sentences_without_end_ask_for_the_language(make_shards):
    random = np.random.default_rng(1)
    texts = [" ".join(random.choice(["so", "and", "on", "it", "goes"], 300)) for _ in range(20)]
    problems = found_in(make_shards(texts))
    assert any("few sentence ends" in problem and "--language" in problem for problem in problems)


def test_too_few_documents_to_measure_with_are_named(make_shards):
    problem = only_one(found_in(make_shards(toy_documents(2))))
    assert "there are 2 documents, and next-sentence prediction needs 4" in problem
    assert "give more text" not in problem


def test_records_that_were_left_out_and_duplicates_are_counted(make_shards, tmp_path):
    shards = make_shards([*toy_documents(5), *[toy_documents(1)[0]] * 20])
    assert any("20 of 25 documents were duplicates" in problem for problem in found_in(shards))


def test_offsets_that_contradict_each_other_are_found(make_shards):
    shards = make_shards(toy_documents(20))
    shard = shards / "shard-00000.safetensors"
    tensors = load_file(shard)
    tensors["sentence_offsets"][1] = 10**6
    save_file(tensors, shard)
    # As whoever wrote this shard would have written its manifest.
    manifest = json.loads((shards / "manifest.json").read_bytes())
    manifest["shards"][0] |= {
        "bytes": shard.stat().st_size,
        "sha256": hashlib.sha256(shard.read_bytes()).hexdigest(),
    }
    (shards / "manifest.json").write_text(json.dumps(manifest))
    assert "contradict each other" in only_one(found_in(shards))
