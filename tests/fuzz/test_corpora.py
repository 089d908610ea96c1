"""Files of text to pre-train on, damaged: the readers of documents, and ``prepare``."""

import bz2
import gzip
import lzma
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from selfsup.corpus.prepare import prepare
from selfsup.corpus.readers.sources import read_documents
from selfsup.corpus.tokenizer.folder import save_tokenizer
from tests.fuzz.examples import JSON_ROWS, PARQUET, READERS, SHEETS
from tests.fuzz.mutations import json_lines, mutated, mutated_json, mutated_text
from tests.fuzz.target import FUZZED, few, reads_or_refuses, refusal_of
from tests.toy_tasks import toy_tokenizer

COMPRESSORS = {
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.compress,
    ".bz2": bz2.compress,
}


def read(file: str) -> int:
    return sum(1 for _ in read_documents([file], max_bad_fraction=0.5))


@pytest.mark.parametrize("ending", READERS)
@FUZZED
@given(data=st.data())
def test_text_and_tables(folder, ending: str, data):
    content = data.draw(mutated_text(READERS[ending]))
    reads_or_refuses(folder / f"corpus{ending}", content, read)


@FUZZED
@given(content=mutated_json(JSON_ROWS, json_lines))
def test_json_lines_of_strange_values(folder, content: bytes):
    reads_or_refuses(folder / "corpus.jsonl", content, read)


@FUZZED
@given(content=mutated(PARQUET))
def test_parquet(folder, content: bytes):
    reads_or_refuses(folder / "corpus.parquet", content, read)


@few(4)
@given(content=mutated(SHEETS))
def test_sheets(folder, content: bytes):
    reads_or_refuses(folder / "corpus.xlsx", content, read)


@pytest.mark.parametrize("compression", COMPRESSORS)
@FUZZED
@given(data=st.data())
def test_compressed_files(folder, compression: str, data):
    """Either the compressed file is damaged, or what was compressed."""
    ending = data.draw(st.sampled_from(sorted(READERS)))
    compress = COMPRESSORS[compression]
    content = data.draw(
        mutated([compress(whole) for whole in READERS[ending]])
        | mutated_text(READERS[ending]).map(compress)
    )
    reads_or_refuses(folder / f"corpus{ending}{compression}", content, read)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory) -> Path:
    parent = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(toy_tokenizer(), parent)
    return parent


@few(4)
@given(data=st.data())
def test_prepare_leaves_whole_shards_or_none(tmp_path_factory, tokenizer, data):
    folder = tmp_path_factory.mktemp("prepare")
    ending = data.draw(st.sampled_from(sorted(READERS)))
    corpus = folder / f"corpus{ending}"
    corpus.write_bytes(data.draw(mutated_text(READERS[ending])))
    with refusal_of(corpus.name):
        manifest = prepare([str(corpus)], tokenizer, folder / "out", workers=1, language="en",
                           max_bad_fraction=0.5, show_progress=False)  # fmt: skip
        assert (folder / "out" / "manifest.json").exists()
        assert manifest["documents"] > 0
