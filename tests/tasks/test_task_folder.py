"""A fine-tuned model goes to `transformers` and back with equal scores."""

import json
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from transformers import BertConfig, BertForSequenceClassification

from selfsup.corpus.tokenizer.folder import save_tokenizer
from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.layers import initialize
from selfsup.errors import UserError
from selfsup.inference.scoring import score
from selfsup.tasks.encoders import Limits
from selfsup.tasks.labels import Labels
from selfsup.tasks.registry import TASKS, TaskModel, load_task_model, save_task_model
from selfsup.training.compute import Compute
from tests.tokenizer_folder import text_preparation
from tests.toy_tasks import CONFIG, VOCABULARY, toy_examples, toy_tokenizer, write_toy_model

task = TASKS["sequence-classification"]

LABELS = Labels("class", ("negative", "neutral", "positive"))
TEXTS = [text for _, text in toy_examples(11, seed=8)]
FLOAT32 = Compute(torch.device("cpu"), torch.float32)


def write_classifier(folder, labels=LABELS, max_length=32):
    save_tokenizer(toy_tokenizer(), folder)
    model = task.build_model(BertEncoder(CONFIG), labels, 0.1)
    initialize(model, 0.3, seed=3)
    preparation = text_preparation(folder, Limits(max_length, 4))
    save_task_model(folder, task, model.eval(), labels, preparation, "# Card\n")
    return model


def our_probabilities(loaded: TaskModel) -> list[dict[str, float]]:
    examples = loaded.task.examples_of(TEXTS, None)
    encoded = loaded.task.encode_examples(examples, loaded.labels, loaded.preparation)
    scores = score(loaded.model, encoded.windows, FLOAT32)
    answers = list(loaded.task.decode(scores, encoded, examples, loaded.labels))
    return [answer["probabilities"] for answer in answers]


def their_probabilities(folder) -> list[dict[str, float]]:
    pipeline: Any = transformers.pipeline("text-classification", model=str(folder), top_k=None)
    return [{entry["label"]: entry["score"] for entry in row} for row in pipeline(TEXTS)]


def assert_equal_probabilities(ours, theirs) -> None:
    assert len(ours) == len(theirs) == len(TEXTS)
    for our, their in zip(ours, theirs, strict=True):
        assert our == pytest.approx(their, abs=1e-5)


def test_the_pipeline_of_transformers_gives_equal_probabilities_for_what_is_saved(tmp_path):
    write_classifier(tmp_path)
    theirs = their_probabilities(tmp_path)
    assert np.std([row["positive"] for row in theirs]) > 0.01  # the texts are told apart
    assert_equal_probabilities(our_probabilities(load_task_model(tmp_path)), theirs)


def test_what_transformers_fine_tuned_gives_equal_probabilities_here(tmp_path):
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=40,
        max_position_embeddings=40,
        id2label={number: f"LABEL_{number}" for number in range(4)},
        initializer_range=0.3,
    )
    BertForSequenceClassification(config).save_pretrained(tmp_path)
    save_tokenizer(toy_tokenizer(), tmp_path)
    loaded = load_task_model(tmp_path)
    assert loaded.labels.names == ("LABEL_0", "LABEL_1", "LABEL_2", "LABEL_3")
    assert loaded.preparation.limits.max_length == 40
    assert_equal_probabilities(our_probabilities(loaded), their_probabilities(tmp_path))


def test_a_model_comes_back_with_its_labels_and_its_length(tmp_path):
    model = write_classifier(tmp_path, max_length=17)
    loaded = load_task_model(tmp_path)
    assert (loaded.labels, loaded.preparation.limits, loaded.task) == (LABELS, Limits(17, 4), task)
    assert not loaded.model.training
    for ours, back in zip(model.parameters(), loaded.model.parameters(), strict=True):
        assert torch.equal(ours, back)


def test_a_run_folder_is_taken_for_the_model_in_it(tmp_path):
    write_classifier(tmp_path / "model")
    assert load_task_model(tmp_path).folder == tmp_path / "model"


def test_a_pre_trained_model_is_no_classifier(tmp_path):
    with pytest.raises(UserError, match=r"not fine-tuned for a task .* BertForPreTraining"):
        load_task_model(write_toy_model(tmp_path))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id2label": {"0": "a", "1": "a"}}, "two or more different labels"),
        ({"id2label": {"1": "a", "2": "b"}}, "does not number its labels from 0"),
        ({"id2label": {"0": "a", "1": "b"}}, "classifier.weight has sizes"),
    ],
)
def test_labels_that_do_not_go_with_the_weights_are_refused(tmp_path, change, said):
    write_classifier(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(UserError, match=said):
        load_task_model(tmp_path)


def test_a_model_without_its_head_is_refused(tmp_path):
    write_toy_model(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["architectures"] = ["BertForSequenceClassification"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"lacks classifier\.bias"):
        load_task_model(tmp_path)
