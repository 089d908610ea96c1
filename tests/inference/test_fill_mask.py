"""Masks are filled as `transformers` fills them."""

from typing import Any

import pytest
import torch
import transformers

from selfsup.corpus.tokenizer.folder import load_tokenizer, save_tokenizer
from selfsup.encoder.bert import BertEncoder
from selfsup.errors import UserError
from selfsup.inference.fill_mask import fill_mask
from selfsup.tasks.classification.task import Classification
from selfsup.tasks.encoders import Limits
from selfsup.tasks.labels import Labels
from selfsup.tasks.registry import save_task_model
from selfsup.training.compute import Compute
from tests.tokenizer_folder import text_preparation
from tests.toy_tasks import CONFIG, toy_tokenizer, write_toy_model

task = Classification(paired=False)

FLOAT32 = Compute(torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_toy_model(tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize(
    "text", ["The film is [MASK].", "[MASK] plot was very [MASK] , a [MASK] film", "[MASK]"]
)
def test_candidates_and_probabilities_equal_those_of_the_pipeline(folder, text: str):
    ours = fill_mask(folder, text, 4, FLOAT32)
    theirs: Any = transformers.pipeline("fill-mask", model=str(folder), top_k=4)(text)
    theirs = [theirs] if text.count("[MASK]") == 1 else theirs
    assert len(ours) == len(theirs) == text.count("[MASK]")
    tokenizer = load_tokenizer(folder)
    for our, their in zip(ours, theirs, strict=True):
        assert our["text"] == text
        assert [c["token"] for c in our["candidates"]] == [
            tokenizer.id_to_token(c["token"]) for c in their
        ]
        assert [c["probability"] for c in our["candidates"]] == pytest.approx(
            [c["score"] for c in their], abs=1e-6
        )


def test_candidates_come_best_first_and_as_many_as_asked_for(folder):
    for top in (1, 3, 1000):
        (mask,) = fill_mask(folder, "a [MASK] film", top, FLOAT32)
        probabilities = [candidate["probability"] for candidate in mask["candidates"]]
        assert probabilities == sorted(probabilities, reverse=True)
        assert len(probabilities) == min(top, CONFIG.vocab_size)
    assert sum(probabilities) == pytest.approx(1.0, abs=1e-5)


def test_the_text_is_shown_with_the_mask_filled_in_as_it_was_written(folder):
    first, second = fill_mask(folder, "The [MASK] is Very [MASK]!", 1000, FLOAT32)
    sequences = {c["token"]: c["sequence"] for c in first["candidates"]}
    assert sequences["film"] == "The film is Very [MASK]!"
    sequences = {c["token"]: c["sequence"] for c in second["candidates"]}
    assert sequences["fine"] == "The [MASK] is Very fine!"
    assert sequences["##s"] == "The [MASK] is Verys!"


def test_a_run_folder_is_taken_for_the_model_in_it(tmp_path):
    write_toy_model(tmp_path / "model")
    assert len(fill_mask(tmp_path, "a [MASK]")) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("The film is fine.", r"holds no \[MASK\]"),
        ("The film is [mask].", "in capitals"),
        ("film " * 40 + "[MASK]", "43 tokens long, and the model takes 32"),
    ],
)
def test_a_text_that_cannot_be_filled_is_refused(folder, text: str, said: str):
    with pytest.raises(UserError, match=said):
        fill_mask(folder, text)


def test_a_tokenizer_of_more_tokens_than_the_model_is_refused(tmp_path):
    folder = write_toy_model(tmp_path)
    tokenizer = load_tokenizer(folder)
    tokenizer.add_tokens([f"more{number}" for number in range(9)])
    save_tokenizer(tokenizer, folder)
    with pytest.raises(UserError, match="they do not belong together"):
        fill_mask(folder, "a [MASK] more8")


def test_a_model_without_a_masked_lm_head_is_refused(tmp_path):
    save_tokenizer(toy_tokenizer(), tmp_path)
    labels = Labels("class", ("0", "1"))
    classifier = task.build_model(BertEncoder(CONFIG), labels, 0.1)
    preparation = text_preparation(tmp_path, Limits(32, 0))
    save_task_model(tmp_path, task, classifier, labels, preparation, "# Card\n")
    with pytest.raises(UserError, match="no masked-LM head"):
        fill_mask(tmp_path, "a [MASK]")


def test_the_precision_is_the_one_that_is_asked_for(folder):
    half = Compute(torch.device("cpu"), torch.bfloat16)
    exact, rounded = (
        fill_mask(folder, "a [MASK] film", 1, compute)[0]["candidates"][0]["probability"]
        for compute in (FLOAT32, half)
    )
    assert rounded != exact
    assert rounded == pytest.approx(exact, rel=0.1)
