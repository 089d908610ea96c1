"""Accumulated batches take the step that one batch of all their sequences takes."""

import numpy as np
import torch

from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.config import EncoderConfig
from selfsup.encoder.layers import initialize
from selfsup.pretraining.text.batches import TextBatches, TextData
from selfsup.pretraining.text.masking import Masking
from selfsup.pretraining.text.model import TextPretrainingModel, text_objectives
from selfsup.settings.objectives import TEXT_OBJECTIVES
from selfsup.training.compute import Compute
from selfsup.training.loop import Extent, RunState, Stage, StepReport, StepSettings, train
from tests.pretraining.text.corpus_of import SPECIAL, Documents, corpus_of, vocab_size_of

# Long and short ones, so that batches differ in how much they have to predict.
DOCUMENTS: Documents = [[10, 8, 12], [1, 1], [1], [2, 1], [9] * 6, [1, 1, 1]]
VOCAB_SIZE = vocab_size_of(DOCUMENTS)


def batches_of(batch_size: int) -> TextBatches:
    nowhere = np.zeros(VOCAB_SIZE, dtype=bool)
    data = TextData(
        corpus_of(DOCUMENTS),
        np.arange(len(DOCUMENTS)),
        Masking(0.3, "token", SPECIAL, VOCAB_SIZE, nowhere),
        text_objectives(TEXT_OBJECTIVES),
        max_length=24,
    )
    return TextBatches(data, batch_size, seed=0)


def one_step(batches: TextBatches, accumulate: int) -> tuple[dict, StepReport]:
    """The weights after a step of plain gradient descent, and what it was reported to be."""
    config = EncoderConfig(
        vocab_size=VOCAB_SIZE,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=24,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    model = TextPretrainingModel(BertEncoder(config), TEXT_OBJECTIVES)
    initialize(model, 0.1, seed=0)
    reports: list[StepReport] = []
    train(
        model,
        torch.optim.SGD(model.parameters(), lr=0.1),
        [Stage(1.0, batches, {})],
        Extent(steps=1),
        StepSettings("linear", 0.0, 1e9, accumulate, seed=0),
        Compute(torch.device("cpu"), torch.float32),
        RunState(),
        reports.append,
    )
    return model.state_dict(), reports[0]


def test_uneven_batches_teach_what_one_large_batch_does():
    parts, whole = batches_of(2), batches_of(1000)
    whole[0]
    assert whole.end_step == 1
    parts[0]
    in_epoch = [parts[step].predictions for step in range(parts.end_step)]
    assert len({counts["mlm"] for counts in in_epoch}) > 2
    assert len({counts["nsp"] for counts in in_epoch}) > 1
    expected, of_whole = one_step(whole, 1)
    weights, of_parts = one_step(parts, len(in_epoch))
    torch.testing.assert_close(weights, expected)
    assert of_parts.step_tokens == of_whole.step_tokens
    for name in TEXT_OBJECTIVES:
        assert abs(of_parts.losses[name] - of_whole.losses[name]) < 1e-5
