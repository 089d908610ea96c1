"""Measuring on held-out documents is the same however a model was trained."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.config import EncoderConfig
from selfsup.encoder.layers import initialize
from selfsup.pretraining.text import batches as text_batches
from selfsup.pretraining.text.batches import HeldOutText, TextData
from selfsup.pretraining.text.masked_lm import unigram_loss
from selfsup.pretraining.text.masking import Masking
from selfsup.pretraining.text.model import TextPretrainingModel, text_objectives
from selfsup.settings.objectives import TEXT_OBJECTIVES
from tests.pretraining.text.corpus_of import (
    FIRST_TOKEN,
    SPECIAL,
    Documents,
    corpus_of,
    vocab_size_of,
)

DOCUMENTS: Documents = [[4, 7, 2, 9], [3, 3, 8], [5] * 12, [6, 2], [2, 11, 4] * 5]
VOCAB_SIZE = vocab_size_of(DOCUMENTS)
CPU = torch.device("cpu")


def held_out(probability: float = 0.15, unit: str = "token") -> HeldOutText:
    masking = Masking(probability, unit, SPECIAL, VOCAB_SIZE, np.arange(VOCAB_SIZE) % 3 == 2)
    documents = np.arange(len(DOCUMENTS))
    objectives = text_objectives(TEXT_OBJECTIVES)
    return HeldOutText(TextData(corpus_of(DOCUMENTS), documents, masking, objectives, 24))


def model() -> TextPretrainingModel:
    config = EncoderConfig(
        vocab_size=VOCAB_SIZE,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=24,
    )
    made = TextPretrainingModel(BertEncoder(config), TEXT_OBJECTIVES)
    initialize(made, 0.3, seed=0)
    return made


@pytest.mark.parametrize(("probability", "unit"), [(0.4, "token"), (0.15, "span"), (0.9, "span")])
def test_fifteen_per_cent_token_by_token_whatever_training_hides(probability, unit):
    expected = held_out().measure(model(), CPU)
    assert held_out(probability, unit).measure(model(), CPU) == expected


def test_a_quick_measurement_looks_at_a_part(monkeypatch):
    monkeypatch.setattr(text_batches, "_HELD_OUT_BATCH_TOKENS", 24)
    seen: list[int] = []
    measured = model()
    measured.register_forward_pre_hook(lambda _, given: seen.append(given[0].token_count))
    held_out().measure(measured, CPU)
    everything = sum(seen)
    seen.clear()
    held_out().measure(measured, CPU, max_tokens=60)
    assert 60 <= sum(seen) < 60 + 24 < everything


def test_measuring_leaves_a_model_that_learns_learning():
    measured = model().train()
    held_out().measure(measured, CPU)
    assert measured.training


def text_masking(unk: int) -> Masking:
    vocab_size = FIRST_TOKEN + 5
    special = replace(SPECIAL, unk=unk)
    return Masking(0.15, "token", special, vocab_size, np.zeros(vocab_size, bool))


def test_guessing_by_word_frequency_is_reckoned_from_the_training_documents():
    # Tokens 5 to 7 to train on, 8 and 9 held out: counts and one of each, 8 in all.
    corpus, masking = corpus_of([[3], [2]]), text_masking(SPECIAL.unk)
    found = unigram_loss(corpus, np.array([0]), np.array([1]), masking)
    assert found == pytest.approx(-math.log(1 / 8))
    both = unigram_loss(corpus, np.array([0]), np.array([0, 1]), masking)
    assert both == pytest.approx(-(3 * math.log(2 / 8) + 2 * math.log(1 / 8)) / 5)


def test_it_leaves_out_the_unknown_token_as_masking_does():
    # Token 7 is [UNK] in place of 1, so that counts and one of each are 7 in all.
    corpus, masking = corpus_of([[3], [2]]), text_masking(unk=FIRST_TOKEN + 2)
    both = unigram_loss(corpus, np.array([0]), np.array([0, 1]), masking)
    assert both == pytest.approx(-(2 * math.log(2 / 7) + 2 * math.log(1 / 7)) / 4)
