"""The classifier's losses are those of `transformers`, for every kind of label, also in windows."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from transformers import BertConfig, BertForSequenceClassification

from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.huggingface.names import to_hugging_face
from selfsup.encoder.layers import initialize
from selfsup.finetuning.data import FrozenFeatures
from selfsup.tasks.classification.encoding import EncodedTexts, encode_texts
from selfsup.tasks.classification.task import Classification, SequenceClassifier, mean_of_windows
from selfsup.tasks.encoders import Limits
from selfsup.tasks.labels import Labels, config_entries
from tests.toy_tasks import CONFIG, toy_examples, toy_tokenizer

TEXTS = [text for _, text in toy_examples(8, seed=5)]
ALL = np.arange(8)
RANDOM = np.random.default_rng(0)
KINDS = [
    (Labels("class", ("a", "b", "c")), ALL % 3),
    (Labels("multi", ("a", "b", "c")), RANDOM.integers(0, 2, (8, 3)).astype(np.float32)),
    (Labels("number", ("value",)), RANDOM.normal(size=8).astype(np.float32)),
]
NUMBERS = Labels("number", ("value",), mean=20.0, std=5.0)
WHOLE, WINDOWS = Limits(16, 0), Limits(8, 2, "window")


def new_model(labels: Labels) -> SequenceClassifier:
    model = SequenceClassifier(BertEncoder(CONFIG), labels, 0.0)
    initialize(model, 0.2, seed=0)
    return model.eval()


def encoded(labels: np.ndarray | None = None, limits: Limits = WHOLE) -> EncodedTexts:
    return encode_texts(toy_tokenizer(), TEXTS, limits, labels)


def peer_of(model: SequenceClassifier, labels: Labels) -> BertForSequenceClassification:
    sizes = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
             "intermediate_size", "max_position_embeddings")  # fmt: skip
    entries = config_entries(labels)
    entries["id2label"] = {int(number): name for number, name in entries["id2label"].items()}
    peer = BertForSequenceClassification(
        BertConfig(**{name: getattr(CONFIG, name) for name in sizes}, **entries)
    ).eval()
    state = to_hugging_face(
        model.saved_parameters(), Classification(paired=False).parameter_names(model.encoder.config)
    )
    missing, unexpected = peer.load_state_dict(state, strict=False)
    assert not missing
    assert not unexpected
    return peer


def padded(batch) -> torch.Tensor:
    ids = batch.input_ids.split(batch.packing.cu_seqlens.diff().tolist())
    return torch.nn.utils.rnn.pad_sequence(list(ids), batch_first=True)


@pytest.mark.parametrize(("labels", "given"), KINDS, ids=lambda value: getattr(value, "kind", ""))
def test_loss_and_scores_equal_those_of_transformers(labels, given):
    model, batch = new_model(labels), encoded(given).units.batch(ALL)
    ids = padded(batch)
    with torch.no_grad():
        theirs = peer_of(model, labels)(ids, attention_mask=ids > 0, labels=batch.labels)
        loss, _, count = model(batch)["classification"]
        scores = model.scores(batch)
    torch.testing.assert_close(scores, theirs.logits, atol=1e-5, rtol=0)
    torch.testing.assert_close(loss, theirs.loss, atol=1e-5, rtol=0)
    assert count == 8


def test_several_labels_count_as_right_where_all_of_them_are():
    model = new_model(KINDS[1][0])
    with torch.no_grad():
        given = (model.scores(encoded().units.batch(ALL)).sigmoid() > 0.5).float().numpy()
        given[:3, 1] = 1 - given[:3, 1]
        _, right, count = model(encoded(given).units.batch(ALL))["classification"]
    assert (int(right), count) == (5, 8)


def test_numbers_are_learned_in_standard_deviations_and_scored_and_saved_as_they_are():
    given = (20 + 5 * RANDOM.normal(size=8)).astype(np.float32)
    model, batch = new_model(NUMBERS), encoded(given).units.batch(ALL)
    ids = padded(batch)
    with torch.no_grad():
        model.classifier.bias.add_(0.7)
        scores, (loss, _, _) = model.scores(batch), model(batch)["classification"]
        theirs = peer_of(model, NUMBERS)(ids, attention_mask=ids > 0).logits
    assert scores.mean() > 10
    torch.testing.assert_close(scores, theirs, atol=1e-4, rtol=0)
    torch.testing.assert_close(loss, F.mse_loss(scores[:, 0], batch.labels) / 25, atol=1e-5, rtol=0)


def test_large_numbers_keep_their_digits_in_bfloat16_as_well():
    prices = Labels("number", ("value",), mean=300_000.0, std=10.0)
    model, batch = new_model(prices), encoded().units.batch(ALL)
    with torch.no_grad():
        exact = model.scores(batch)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded = model.scores(batch)
    assert rounded.dtype == torch.float32
    assert exact.std() > 1
    torch.testing.assert_close(rounded, exact, atol=0.5, rtol=0)


def test_the_mean_is_taken_over_each_texts_windows():
    scores = torch.tensor([[1.0, 0.0], [2.0, 2.0], [4.0, 4.0], [9.0, 0.0]])
    means = mean_of_windows(scores, torch.tensor([1, 2, 1]))
    assert means.tolist() == [[1.0, 0.0], [3.0, 3.0], [9.0, 0.0]]


@pytest.mark.parametrize(("labels", "given"), KINDS, ids=lambda value: getattr(value, "kind", ""))
def test_a_text_in_windows_is_learned_by_the_mean_of_their_scores(labels, given):
    model = new_model(labels)
    texts = encoded(given, WINDOWS)
    assert texts.window_counts.max() > 1
    with torch.no_grad():
        windows = model.scores(texts.windows.batch(np.arange(len(texts.window_lengths))))
        parts = windows.split(texts.window_counts.tolist())
        means = torch.stack([part.mean(0) for part in parts])
        loss, _, count = model(texts.units.batch(ALL))["classification"]
    right = torch.from_numpy(given)
    expected = {
        "class": lambda: F.cross_entropy(means, right),
        "multi": lambda: F.binary_cross_entropy_with_logits(means, right),
        "number": lambda: F.mse_loss(means[:, 0], right),
    }[labels.kind]()
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=0)
    assert count == 8


@pytest.mark.parametrize(("labels", "given"), [*KINDS, (NUMBERS, KINDS[2][1])])
def test_the_head_over_frozen_features_is_the_same_model_also_in_windows(labels, given):
    model, texts = new_model(labels), encoded(given, WINDOWS)
    places, windows = np.array([4, 1, 7]), np.arange(len(texts.window_lengths))
    with torch.no_grad():
        values = model.features(texts.windows.batch(windows))
        features = FrozenFeatures(texts.units, values, texts.windows.row_counts)
        whole, head = model(texts.units.batch(places)), model.on_features()(features.batch(places))
        of_windows = FrozenFeatures(texts.windows, values, texts.windows.row_counts)
        scores = model.on_features().scores(of_windows.batch(windows))
        torch.testing.assert_close(scores, model.scores(texts.windows.batch(windows)))
    torch.testing.assert_close(head["classification"][0], whole["classification"][0])
