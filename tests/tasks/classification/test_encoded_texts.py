"""Texts become the ids that `transformers` gives them, laid end to end."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from selfsup.corpus.tokenizer.folder import load_tokenizer
from selfsup.tasks.classification.encoding import encode_texts
from selfsup.tasks.encoders import Limits
from selfsup.tasks.text_windows import IGNORE_INDEX
from tests.toy_tasks import VOCABULARY, toy_examples, toy_tokenizer, write_toy_model

TEXTS = [text for _, text in toy_examples(40, seed=3)] + ["", "unheard of", "Fine FILMS"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_toy_model(tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize("max_length", [8, 64])
def test_ids_and_lengths_equal_those_of_transformers(folder, max_length: int):
    encoded = encode_texts(load_tokenizer(folder), TEXTS, Limits(max_length, 0))
    peer = AutoTokenizer.from_pretrained(folder)
    theirs = [peer(text, truncation=True, max_length=max_length)["input_ids"] for text in TEXTS]
    assert encoded.window_lengths.tolist() == [len(ids) for ids in theirs]
    assert encoded.input_ids.tolist() == [token for ids in theirs for token in ids]


def test_texts_that_are_too_long_are_cut_and_counted():
    encoded = encode_texts(toy_tokenizer(), ["a film", "a film was a film", "a"], Limits(5, 0))
    assert encoded.notes == (": 1 of 3 texts cut at 5 tokens",)
    assert encoded.window_lengths.tolist() == [4, 5, 3]


def test_padding_and_truncation_that_a_tokenizer_brings_along_are_left_aside():
    tokenizer = toy_tokenizer()
    tokenizer.enable_padding(length=20)
    tokenizer.enable_truncation(3)
    encoded = encode_texts(tokenizer, ["the film is fine"], Limits(16, 0))
    assert encoded.window_lengths.tolist() == [6]
    assert tokenizer.padding is not None  # the caller's own is as it was


def test_texts_beyond_one_block_keep_their_order():
    texts = ["film " * (1 + number % 5) for number in range(5000)]
    lengths = encode_texts(toy_tokenizer(), texts, Limits(16, 0)).window_lengths
    assert lengths.tolist() == [3 + number % 5 for number in range(5000)]


@given(st.lists(st.integers(0, len(TEXTS) - 1), min_size=1, max_size=10, unique=True))
def test_a_batch_holds_the_texts_at_its_places_in_their_order(places):
    labels = np.arange(len(TEXTS))
    encoded = encode_texts(toy_tokenizer(), TEXTS, Limits(16, 0), labels)
    batch = encoded.units.batch(np.array(places))
    alone = [encoded.units.batch(np.array([place])) for place in places]
    assert torch.equal(batch.input_ids, torch.cat([one.input_ids for one in alone]))
    assert torch.equal(batch.token_type_ids, torch.zeros_like(batch.input_ids))
    assert batch.labels.tolist() == places
    assert batch.token_count == encoded.window_lengths[places].sum()
    assert batch.packing.cu_seqlens.diff().tolist() == encoded.window_lengths[places].tolist()
    assert all(
        batch.input_ids[row] == VOCABULARY.index("[CLS]") for row in batch.packing.first_rows
    )


def test_labels_that_are_unknown_are_those_that_cross_entropy_ignores():
    encoded = encode_texts(toy_tokenizer(), ["a", "the"], Limits(8, 0))
    assert encoded.labels.tolist() == [IGNORE_INDEX] * 2
    assert torch.nn.CrossEntropyLoss().ignore_index == IGNORE_INDEX
