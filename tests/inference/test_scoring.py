"""Scores come back in the order of the examples, whatever the batches were."""

from functools import partial

import numpy as np
import pytest
import torch

from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.layers import initialize
from selfsup.errors import UserError
from selfsup.inference import scoring
from selfsup.inference.scoring import allocate_scores, score
from selfsup.tasks.classification.encoding import encode_texts
from selfsup.tasks.classification.task import Classification
from selfsup.tasks.encoders import Limits
from selfsup.tasks.labels import Labels
from selfsup.training.compute import Compute
from tests.toy_tasks import CONFIG, toy_examples, toy_tokenizer

task = Classification(paired=False)

FLOAT32 = Compute(torch.device("cpu"), torch.float32)
TEXTS = [text for _, text in toy_examples(30, 2)]
EXAMPLES = encode_texts(toy_tokenizer(), TEXTS, Limits(32, 0)).windows


@pytest.fixture
def model():
    model = task.build_model(BertEncoder(CONFIG), Labels("class", ("down", "up")), 0.5)
    initialize(model, 0.3, seed=0)
    return model.eval()


@pytest.mark.parametrize("max_examples", [1, 7, 1000])
@pytest.mark.parametrize("max_tokens", [1, 40, 4096])
def test_each_example_gets_its_own_scores(model, monkeypatch, max_examples, max_tokens):
    monkeypatch.setattr(scoring, "_MOST_TOKENS", max_tokens)
    scores = score(model, EXAMPLES, FLOAT32, max_examples)
    with torch.no_grad():
        alone = [model.scores(EXAMPLES.batch(np.array([place]))) for place in range(30)]
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, torch.cat(alone).numpy(), atol=1e-5)


@pytest.mark.parametrize("mode", [True, False])
def test_the_model_is_left_in_the_mode_it_was_in_and_scored_without_dropout(model, mode):
    scores = score(model, EXAMPLES, FLOAT32)
    model.train(mode)
    np.testing.assert_array_equal(score(model, EXAMPLES, FLOAT32), scores)
    assert model.training == mode


def test_the_share_that_is_done_grows_to_the_whole(model):
    shares: list[float] = []
    score(model, EXAMPLES, FLOAT32, 4, shares.append)
    assert shares == sorted(shares)
    assert len(shares) == 8
    assert shares[-1] == 1.0


def test_results_that_are_too_large_for_the_memory_lie_in_a_file(model, monkeypatch):
    scores = score(model, EXAMPLES, FLOAT32)
    monkeypatch.setattr(scoring, "allocate_scores", partial(allocate_scores, most_in_memory=0))
    np.testing.assert_array_equal(score(model, EXAMPLES, FLOAT32), scores)


def test_results_that_do_not_fit_on_the_disk_either_end_in_one_line():
    with pytest.raises(UserError, match=r"GB of intermediate results do not fit there .* TMPDIR"):
        allocate_scores((1 << 60,))
