"""A tokenizer from the command: of the size asked for, or of what the text allows."""

import pytest

from selfsup.corpus.tokenizer.folder import load_tokenizer
from selfsup.corpus.train_tokenizer import train_tokenizer
from selfsup.errors import UserError
from selfsup.settings.corpus import TrainTokenizerSettings
from tests.toy_corpus import write_toy_corpus


def test_without_a_size_it_has_as_many_tokens_as_the_text_allows(tmp_path):
    texts = str(write_toy_corpus(tmp_path / "texts.txt"))
    out = tmp_path / "tokenizer"
    result = train_tokenizer(TrainTokenizerSettings(corpus=(texts,), out=str(out)))
    assert 64 < result["vocab_size"] == load_tokenizer(out).get_vocab_size() < 30_522


def test_a_size_that_is_asked_for_is_had_or_refused(tmp_path):
    texts = str(write_toy_corpus(tmp_path / "texts.txt"))
    settings = TrainTokenizerSettings(corpus=(texts,), out=str(tmp_path / "a"), vocab_size=100)
    assert train_tokenizer(settings)["vocab_size"] == 100
    settings = TrainTokenizerSettings(corpus=(texts,), out=str(tmp_path / "b"), vocab_size=30_522)
    with pytest.raises(UserError, match="this corpus allows at most"):
        train_tokenizer(settings)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("name", ["tokenizer.json", "vocab.txt", "config.json", "run.yaml"])
def test_no_other_tokenizer_or_model_is_written_over(tmp_path, name):
    texts = str(write_toy_corpus(tmp_path / "texts.txt"))
    out = tmp_path / "model"
    out.mkdir()
    (out / name).write_text("mine")
    with pytest.raises(UserError, match=f"holds {name}, of another tokenizer or model: choose"):
        train_tokenizer(TrainTokenizerSettings(corpus=(texts,), out=str(out)))
    assert [path.name for path in out.iterdir()] == [name]
    assert (out / name).read_text() == "mine"
