import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfsup.corpus import duplicates
from selfsup.corpus.blocks import encode_block
from selfsup.corpus.duplicates import SeenHashes, drop_duplicates
from selfsup.corpus.tokenizer.training import train_tokenizer
from selfsup.corpus.tokenizer.wordpiece import WordPieceEncoder

LINES = ["Red fox.", "Grey wolf. It howls.", "Brown bear.", "White owl.", "\u200b"]
ENCODER = WordPieceEncoder(train_tokenizer(LINES * 3, vocab_size=200, allow_fewer=True))


def first_occurrences(batches: list[list[int]]) -> list[list[bool]]:
    seen: set[int] = set()
    return [[not (key in seen or seen.add(key)) for key in batch] for batch in batches]


@given(
    st.lists(
        st.lists(st.integers(0, 40) | st.integers(0, 2**64 - 1).map(lambda k: k & ~0xFF)),
        max_size=8,
    ),
    st.sampled_from([1 << 30, 0]),
)
def test_hashes_are_new_the_first_time_only(tmp_path_factory, batches, memory_bytes):
    # Keys that end in zero bits all begin their search at the same slots.
    batches = [[max(key, 1) for key in batch] for batch in batches]
    folder = tmp_path_factory.getbasetemp()
    seen = SeenHashes(folder, capacity=8, memory_bytes=memory_bytes)
    found = [seen.add(np.array(batch, np.uint64)).tolist() for batch in batches]
    assert found == first_occurrences(batches)
    assert len(seen) == len({key for batch in batches for key in batch})


def test_a_hash_of_zero_is_no_free_slot(tmp_path):
    seen = SeenHashes(tmp_path, capacity=8)
    zero = np.zeros(1, np.uint64)
    assert [seen.add(zero).tolist(), seen.add(zero).tolist()] == [[True], [False]]
    assert len(seen) == 1


def test_a_table_larger_than_memory_allows_gives_its_pages_back_and_leaves_no_file(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(duplicates, "_KEYS_BEFORE_RELEASE", 1000)
    keys = np.random.default_rng(0).integers(0, 2**63, 50_000).astype(np.uint64)
    seen = SeenHashes(tmp_path, capacity=1 << 10, memory_bytes=1 << 16)
    for part in np.split(keys, 50):
        assert seen.add(part).all()
    assert not seen.add(keys).any()
    assert len(seen) == len(keys)
    assert list(tmp_path.iterdir()) == []


def test_zero_is_a_hash_like_any_other(tmp_path):
    seen = SeenHashes(tmp_path)
    assert seen.add(np.array([0, 0], np.uint64)).tolist() == [True, False]


def kept_texts(batches: list[list[str]], tmp_path) -> tuple[list[list[list[int]]], int, int]:
    """Token ids of each document's sentences, and how many documents and paragraphs went."""
    seen = SeenHashes(tmp_path)
    documents = []
    dropped_documents = dropped_paragraphs = 0
    for batch in batches:
        kept = drop_duplicates(encode_block(batch, ENCODER, "en"), seen)
        sentences = np.split(kept.tokens, np.cumsum(kept.sentence_lengths)[:-1])
        ends = np.cumsum(kept.record_sentences).tolist()
        for start, end in zip([0, *ends], ends, strict=False):
            documents.append([sentence.tolist() for sentence in sentences[start:end]])
        dropped_documents += int(kept.is_duplicate.sum())
        dropped_paragraphs += int(kept.duplicate_paragraphs.sum())
    return documents, dropped_documents, dropped_paragraphs


def ids(*sentences: str) -> list[list[int]]:
    encoded = ENCODER.encode_batch(list(sentences))
    return [np.frombuffer(each, ENCODER.dtype).tolist() for each in encoded]


def test_documents_and_paragraphs_seen_before_are_dropped_and_counted(tmp_path):
    batches = [
        ["Red fox.\nGrey wolf. It howls.", "", "Red fox.\nBrown bear.\nRed fox."],
        ["\u200b Red fox.\tGrey", "Red fox.\n\nGrey wolf. It howls.", "White owl."],
    ]
    documents, dropped_documents, dropped_paragraphs = kept_texts(batches, tmp_path)
    assert documents == [
        ids("Red fox.", "Grey wolf.", "It howls."),
        [],
        ids("Brown bear."),
        ids("Red fox.", "Grey"),
        [],
        ids("White owl."),
    ]
    assert (dropped_documents, dropped_paragraphs) == (1, 2)


@given(
    st.lists(st.lists(st.sampled_from(LINES), max_size=4).map("\n".join), max_size=12),
    st.integers(1, 5),
)
def test_where_blocks_end_makes_no_difference(tmp_path_factory, texts, block):
    folder = tmp_path_factory.getbasetemp()
    blocks = [texts[start : start + block] for start in range(0, len(texts), block)]
    assert kept_texts(blocks, folder) == kept_texts([texts], folder)


@pytest.mark.parametrize("text", ["", "\n \n", "\u200b", "\ufeff\n\x00"])
def test_a_record_without_text_has_no_paragraphs(text):
    block = encode_block([text], ENCODER, "auto")
    assert block.record_paragraphs.tolist() == [0]
    assert len(block.tokens) == len(block.sentence_lengths) == len(block.paragraph_hashes) == 0
