"""Pairs become the ids and segments that `transformers` gives them; long texts become windows."""

import numpy as np
import pytest
import torch
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer

from selfsup.corpus.tokenizer.folder import load_tokenizer
from selfsup.errors import UserError
from selfsup.tasks import text_windows
from selfsup.tasks.classification.encoding import MAX_TRAINING_WINDOWS, encode_texts
from selfsup.tasks.encoders import Limits
from selfsup.tasks.text_windows import sequence_layout
from tests.toy_tasks import OTHER, VOCABULARY, toy_tokenizer, write_toy_model

CLS, SEP = VOCABULARY.index("[CLS]"), VOCABULARY.index("[SEP]")


def texts_of_lengths(lengths) -> list[str]:
    """Texts of so many tokens each."""
    random = np.random.default_rng(0)
    return [" ".join(random.choice(OTHER[:-1], length)) for length in lengths]


FIRST = texts_of_lengths([0, 1, 4, 9, 9, 20, 3, 13, 12, 6])
SECOND = texts_of_lengths([0, 3, 4, 9, 2, 20, 30, 12, 13, 7])


@pytest.mark.parametrize("max_length", [8, 13, 16, 64])
def test_pairs_equal_those_of_transformers(tmp_path, max_length: int):
    folder = write_toy_model(tmp_path)
    tokenizer = load_tokenizer(folder)
    encoded = encode_texts(tokenizer, FIRST, Limits(max_length, 0), text_pairs=SECOND)
    peer = AutoTokenizer.from_pretrained(folder)
    theirs = peer(FIRST, SECOND, truncation=True, max_length=max_length)
    assert encoded.window_lengths.tolist() == [len(ids) for ids in theirs["input_ids"]]
    assert encoded.input_ids.tolist() == [token for ids in theirs["input_ids"] for token in ids]
    segments = [segment for row in theirs["token_type_ids"] for segment in row]
    assert encoded.token_type_ids.tolist() == segments


def test_pairs_that_are_too_long_are_counted():
    encoded = encode_texts(
        toy_tokenizer(), FIRST, Limits(16, 0), text_pairs=SECOND, source="dev.tsv"
    )
    assert encoded.notes == ("dev.tsv: 5 of 10 texts cut at 16 tokens",)


def test_windows_of_a_text_hold_it_all_and_overlap():
    text = " ".join(VOCABULARY[5:15])  # ten words, a token each
    encoded = encode_texts(toy_tokenizer(), ["fine", text], Limits(6, 1, "window"), source="t")
    windows = [part.tolist() for part in np.split(encoded.input_ids, [3, 9, 15])]
    fine = VOCABULARY.index("fine")
    assert windows == [
        [CLS, fine, SEP],
        [CLS, 5, 6, 7, 8, SEP],
        [CLS, 8, 9, 10, 11, SEP],
        [CLS, 11, 12, 13, 14, SEP],
    ]
    assert encoded.window_counts.tolist() == [1, 3]
    assert encoded.notes == (
        "t: 1 of 2 texts are longer than 6 tokens and are read in windows, 3.0 on average",
    )


def test_windows_of_a_pair_go_over_its_longer_text():
    encoded = encode_texts(
        toy_tokenizer(), ["fine"], Limits(6, 0, "window"), text_pairs=["the film is grim"]
    )
    the, film, is_, grim = (VOCABULARY.index(word) for word in ("the", "film", "is", "grim"))
    fine = VOCABULARY.index("fine")
    windows = encoded.input_ids.reshape(2, 6).tolist()
    assert windows == [[CLS, fine, SEP, the, film, SEP], [CLS, fine, SEP, is_, grim, SEP]]
    assert encoded.token_type_ids.reshape(2, 6).tolist() == [[0, 0, 0, 1, 1, 1]] * 2


def test_beside_a_long_text_windows_go_on_by_half_of_the_room_that_is_left():
    limits = Limits(19, 9, "window")  # of 16 tokens 8 are left for the longer text
    texts = texts_of_lengths([40, 12])
    encoded = encode_texts(toy_tokenizer(), texts[:1], limits, text_pairs=texts[1:], source="t")
    assert encoded.window_counts.tolist() == [9]
    assert encoded.notes[1] == (
        "t: 1 pairs of two long texts: of the shorter one only the beginning is read, "
        "half of a window"
    )
    short = texts_of_lengths([9, 8])
    fits = encode_texts(toy_tokenizer(), short[:1], limits, text_pairs=short[1:], source="t")
    assert fits.window_counts.tolist() == [2]


def test_two_texts_that_fit_once_the_shorter_is_cut_are_one_window():
    first, second = texts_of_lengths([8, 8])
    encoded = encode_texts(
        toy_tokenizer(), [first], Limits(18, 2, "window"), text_pairs=[second], source="t"
    )
    assert encoded.window_counts.tolist() == [1]
    assert len(encoded.notes) == 1


def test_a_text_is_learned_from_in_all_its_windows_or_in_some_evenly_spread():
    texts = ["a", "film " * 20, "plot " * 200]
    labels = np.array([0, 1, 2])
    encoded = encode_texts(toy_tokenizer(), texts, Limits(6, 0, "window"), labels)
    assert encoded.window_counts.tolist() == [1, 5, 50]
    units = encoded.units
    assert units.windows_of(np.array([1, 0])).tolist() == [1, 2, 3, 4, 5, 0]
    spread = units.windows_of(np.array([2])) - 6
    assert len(spread) == MAX_TRAINING_WINDOWS
    assert (spread[0], spread[-1]) == (0, 49)
    assert set(np.diff(spread).tolist()) <= {6, 7, 8}
    assert units.lengths.tolist() == [3, 5 * 6, MAX_TRAINING_WINDOWS * 6]
    batch = units.batch(np.array([2, 0]))
    assert batch.window_counts.tolist() == [MAX_TRAINING_WINDOWS, 1]
    assert batch.labels.tolist() == [2, 0]
    assert batch.packing.cu_seqlens.diff().tolist() == [6] * MAX_TRAINING_WINDOWS + [3]


def test_a_window_to_be_scored_knows_its_texts_label():
    labels = np.array([7, 9])
    encoded = encode_texts(toy_tokenizer(), ["a", "a " * 8], Limits(6, 0, "window"), labels)
    batch = encoded.windows.batch(np.array([2, 0, 1]))
    assert batch.labels.tolist() == [9, 7, 9]
    assert batch.window_counts.tolist() == [1, 1, 1]
    assert torch.equal(batch.packing.cu_seqlens.diff(), torch.tensor([6, 3, 6], dtype=torch.int32))


def test_so_many_characters_are_tokenized_at_once(monkeypatch):
    monkeypatch.setattr(text_windows, "_CHARACTERS_IN_BLOCK", 10)
    monkeypatch.setattr(text_windows, "_TEXTS_IN_BLOCK", 3)
    texts = ["a", "b" * 30, "cc", "dd", "ee", "ff", "g" * 9]
    blocks = list(text_windows.text_blocks(texts))
    assert [text for block in blocks for text in block] == texts
    assert [len(block) for block in blocks] == [1, 1, 3, 1, 1]


def test_of_a_text_that_is_cut_no_more_is_kept_than_fits():
    lists = text_windows.token_lists(toy_tokenizer(), ["film " * 1000, "a"], 16)
    assert len(lists.ids) == 17
    assert lists.lengths.tolist() == [1000, 1]


def test_a_tokenizer_without_cls_and_sep_is_refused():
    tokenizer = toy_tokenizer()
    assert sequence_layout(tokenizer)[:2] == (CLS, SEP)
    tokenizer.post_processor = None  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(UserError, match=r"does not put \[CLS\] before a text"):
        sequence_layout(tokenizer)


@pytest.mark.parametrize(
    "pair",
    ["[CLS] $A [SEP] [SEP]:1 $B:1 [SEP]:1", "[CLS] $A $B:1 [SEP]:1"],
    ids=["two of them between", "none between"],
)
def test_a_tokenizer_that_lays_out_pairs_otherwise_is_refused_for_pairs_alone(pair: str):
    tokenizer = toy_tokenizer()
    special = [("[CLS]", CLS), ("[SEP]", SEP)]
    tokenizer.post_processor = TemplateProcessing("[CLS] $A [SEP]", pair, special)  # pyright: ignore[reportAttributeAccessIssue]
    assert sequence_layout(tokenizer)[:2] == (CLS, SEP)
    with pytest.raises(UserError, match="does not lay out a pair of texts as BERT's does"):
        sequence_layout(tokenizer, paired=True)
    assert sequence_layout(toy_tokenizer(), paired=True) == (CLS, SEP, 1, 1)
