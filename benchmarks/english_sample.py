"""The English sample that the benchmarks use, and shards of it."""

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("SELFSUP_DATA") or PROJECT.parent / "shared" / "data")
CORPUS = DATA / "text" / "wiki-en.jsonl.xz"
VOCABULARY = DATA / "tokenizer" / "bert-base-uncased.vocab.txt"


def prepare_shards(corpus: Path, vocabulary: Path, folder: Path, **settings) -> Path:
    """Write shards of a corpus into ``folder``; ``settings`` are those of ``prepare``."""
    from selfsup.corpus.prepare import prepare

    tokenizer = folder / "tokenizer"
    tokenizer.mkdir()
    (tokenizer / "vocab.txt").write_bytes(vocabulary.read_bytes())
    prepare([str(corpus)], tokenizer, folder / "shards", show_progress=False, **settings)
    return folder / "shards"
