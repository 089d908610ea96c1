import gzip
import json
from pathlib import Path

import pytest

from selfsup.corpus.train_tokenizer import sample_documents


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
