"""A tokenizer from the command: of the size asked for, or of what the text allows."""

import gzip
import json
from pathlib import Path

import pytest

from selfsup.corpus.tokenizer.folder import load_tokenizer
from selfsup.corpus.tokenizer.training import sample_documents, train_from_corpus
from selfsup.errors import UserError
from selfsup.settings.corpus import TrainTokenizerSettings
from tests.toy_corpus import write_toy_corpus


def test_without_a_size_it_has_as_many_tokens_as_the_text_allows(tmp_path):
    texts = str(write_toy_corpus(tmp_path / "texts.txt"))
    out = tmp_path / "tokenizer"
    result = train_from_corpus(TrainTokenizerSettings(corpus=(texts,), out=str(out)))
    assert 64 < result["vocab_size"] == load_tokenizer(out).get_vocab_size() < 30_522


def test_a_size_that_is_asked_for_is_had_or_refused(tmp_path):
    texts = str(write_toy_corpus(tmp_path / "texts.txt"))
    settings = TrainTokenizerSettings(corpus=(texts,), out=str(tmp_path / "a"), vocab_size=100)
    assert train_from_corpus(settings)["vocab_size"] == 100
    settings = TrainTokenizerSettings(corpus=(texts,), out=str(tmp_path / "b"), vocab_size=30_522)
    with pytest.raises(UserError, match="this corpus allows at most"):
        train_from_corpus(settings)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("name", ["tokenizer.json", "vocab.txt", "config.json", "run.yaml"])
def test_no_other_tokenizer_or_model_is_written_over(tmp_path, name):
    texts = str(write_toy_corpus(tmp_path / "texts.txt"))
    out = tmp_path / "model"
    out.mkdir()
    (out / name).write_text("mine")
    with pytest.raises(UserError, match=f"holds {name}, of another tokenizer or model: choose"):
        train_from_corpus(TrainTokenizerSettings(corpus=(texts,), out=str(out)))
    assert [path.name for path in out.iterdir()] == [name]
    assert (out / name).read_text() == "mine"


@pytest.fixture
def corpus(tmp_path) -> str:
    path = tmp_path / "c.jsonl"
    path.write_text(
        "".join(json.dumps({"text": f"{n:04}" + "x" * 100}) + "\n" for n in range(2000))
    )
    return str(path)


def numbers(corpus: str, **options) -> list[int]:
    return [int(document.text[:4]) for document in sample_documents([corpus], **options)]


def test_a_corpus_within_the_budget_is_read_whole(corpus):
    assert numbers(corpus) == list(range(2000))


def test_a_larger_one_is_sampled_evenly_to_about_the_budget(corpus):
    chosen = numbers(corpus, budget_bytes=60_000)
    assert chosen == numbers(corpus, budget_bytes=60_000)
    assert 400 < len(chosen) < 600
    # Each fifth of the corpus is there with about a fifth of the sample.
    for start in range(0, 2000, 400):
        assert 60 < sum(start <= number < start + 400 for number in chosen) < 150


def test_compressed_bytes_are_taken_for_four_times_as_much_text(corpus, tmp_path):
    path = tmp_path / "c.jsonl.gz"
    path.write_bytes(gzip.compress(Path(corpus).read_bytes()))
    budget = 2 * path.stat().st_size
    assert 800 < len(numbers(str(path), budget_bytes=budget)) < 1200
