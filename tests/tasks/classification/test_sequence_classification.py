"""Classification of single texts: rows, labels, head, loss, answers, metrics."""

import json

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn import metrics as peer
from transformers import BertConfig, BertForSequenceClassification

from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.huggingface.names import to_hugging_face
from selfsup.encoder.layers import initialize
from selfsup.errors import UserError
from selfsup.finetuning.data import FrozenFeatures
from selfsup.tasks.base import Reading
from selfsup.tasks.classification.data import LabelledTexts
from selfsup.tasks.classification.encoding import encode_texts
from selfsup.tasks.classification.task import Classification, SequenceClassifier
from selfsup.tasks.encoders import Limits, TextPreparation
from selfsup.tasks.labels import Labels
from tests.toy_tasks import CONFIG, toy_examples, toy_tokenizer

task = Classification(paired=False)


def read(tmp_path, lines: list[str], labelled: bool = True) -> LabelledTexts:
    path = tmp_path / "table.tsv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return task.read_examples(str(path), Reading(), labelled=labelled)


LABELS = Labels("class", ("a", "b", "c"))
PREPARATION = TextPreparation(toy_tokenizer(), Limits(16, 0))


def new_model() -> SequenceClassifier:
    model = task.build_model(BertEncoder(CONFIG), LABELS, 0.0)
    initialize(model, 0.2, seed=0)
    return model.eval()


def encoded():
    texts = [text for _, text in toy_examples(9, seed=5)]
    numbers = np.arange(9) % 3
    return encode_texts(toy_tokenizer(), texts, Limits(16, 0), numbers)


# Rows and labels.


def test_labels_in_numbers_are_in_their_order_and_others_in_the_alphabets(tmp_path):
    numbers = read(tmp_path, ["label\ttext", "10\ta", "9\tb", "-1\tc"])
    assert task.learn_labels(numbers, None) == Labels("class", ("-1", "9", "10"))
    others = read(tmp_path, ["label\ttext", "b\ta", "10\tb", "a\tc"])
    assert task.learn_labels(others, None) == Labels("class", ("10", "a", "b"))


def test_labels_of_json_keep_their_meaning_as_texts(tmp_path):
    path = tmp_path / "table.jsonl"
    rows = [{"text": "t", "label": label} for label in (1, 0.0, True, " x ")]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    examples = task.read_examples(str(path), Reading(), labelled=True)
    assert examples.labels == ["1", "0", "True", "x"]


def test_empty_texts_are_counted_and_left_out_of_training(tmp_path):
    lines = ["label\ttext", "1\tfine", "0\t", "1\t  ", "0\tdull"]
    kept = read(tmp_path, lines).drop_empty()
    assert (kept.texts(), kept.labels, kept.lines) == (["fine", "dull"], ["1", "0"], [2, 5])
    assert kept.notes[-1].endswith("2 empty texts left out (the first is in line 3)")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["label\ttext", "1\ta", "\tb"], 'table.tsv, line 3: "label" holds no label'),
        (["label\ttext", "1\ta", "1\tb"], "all 2 examples are labelled '1'"),
        (["label\ttext", *(f"x{n}\ta" for n in range(99))], "99 different labels in 99 "),
        (["label\ttext", "1\t", "0\t "], "all texts are empty"),
    ],
)
def test_labels_that_cannot_be_learned_are_refused(tmp_path, lines, said):
    with pytest.raises(UserError, match=said):
        task.learn_labels(read(tmp_path, lines).drop_empty(), None)


def test_a_label_never_trained_on_is_refused_with_its_line(tmp_path):
    examples = read(tmp_path, ["label\ttext", "1\ta", "2\tb"])
    with pytest.raises(UserError, match=r"table\.tsv, line 3: label '2' .*\(0, 1\)"):
        task.settled(examples, Labels("class", ("0", "1")))


def test_numbers_stand_for_the_names_that_transformers_gives_by_itself(tmp_path):
    examples = read(tmp_path, ["label\ttext", "1\ta", "0\tb"])
    labels = Labels("class", ("LABEL_0", "LABEL_1"))
    encoded = task.encode_examples(task.settled(examples, labels), labels, PREPARATION)
    assert encoded.labels.tolist() == [1, 0]


# Head and loss.


def test_loss_and_scores_equal_those_of_transformers():
    model, batch = new_model(), encoded().units.batch(np.arange(9))
    sizes = {name: getattr(CONFIG, name) for name in ("vocab_size", "hidden_size")}
    peer_model = BertForSequenceClassification(
        BertConfig(
            **sizes,
            num_hidden_layers=CONFIG.num_hidden_layers,
            num_attention_heads=CONFIG.num_attention_heads,
            intermediate_size=CONFIG.intermediate_size,
            max_position_embeddings=CONFIG.max_position_embeddings,
            id2label={0: "a", 1: "b", 2: "c"},
        )
    ).eval()
    state = to_hugging_face(model.named_parameters(), task.parameter_names(model.encoder.config))
    missing, unexpected = peer_model.load_state_dict(state, strict=False)
    assert not missing
    assert not unexpected
    ids = batch.input_ids.split(batch.packing.cu_seqlens.diff().tolist())
    padded = torch.nn.utils.rnn.pad_sequence(list(ids), batch_first=True)
    with torch.no_grad():
        theirs = peer_model(padded, attention_mask=padded > 0, labels=batch.labels)
        loss, right, count = model(batch)["classification"]
        scores = model.scores(batch)
    torch.testing.assert_close(scores, theirs.logits, atol=1e-5, rtol=0)
    torch.testing.assert_close(loss, theirs.loss, atol=1e-5, rtol=0)
    assert (int(right), count) == (int((theirs.logits.argmax(-1) == batch.labels).sum()), 9)


def test_the_head_over_frozen_features_is_the_same_model():
    model, texts = new_model(), encoded()
    places = np.array([4, 1, 7])
    with torch.no_grad():
        values = model.features(texts.windows.batch(np.arange(9)))
        features = FrozenFeatures(texts.units, values, np.ones(9, np.int64))
        whole, head = model(texts.units.batch(places)), model.on_features()(features.batch(places))
    torch.testing.assert_close(head["classification"][0], whole["classification"][0])


def test_what_the_head_over_frozen_features_learns_the_model_has_learned():
    model = new_model()
    head = model.on_features()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(1.0)
    learned = dict(model.named_parameters())
    for parameter in head.parameters():
        assert any(parameter is other for other in learned.values())


# Answers and metrics.

NO_TEXTS = LabelledTexts("", [], [])  # which they do not depend on


def of_texts(labels: np.ndarray):
    """Texts with these labels."""
    return encode_texts(toy_tokenizer(), ["a"] * len(labels), Limits(8, 0), labels)


def test_answers_are_the_softmax_of_the_scores():
    scores = np.array([[1.0, 3.0, -2.0], [900.0, 0.0, 1.0]], np.float32)
    answers = list(task.decode(scores, of_texts(np.zeros(2, np.int64)), NO_TEXTS, LABELS))
    assert [answer["label"] for answer in answers] == ["b", "a"]
    for answer, row in zip(answers, softmax(scores.astype(np.float64), axis=1), strict=True):
        assert list(answer["probabilities"]) == ["a", "b", "c"]
        np.testing.assert_allclose(list(answer["probabilities"].values()), row, rtol=1e-12)
        assert answer["probability"] == max(answer["probabilities"].values())


def test_metrics_are_those_of_scikit_learn():
    random = np.random.default_rng(0)
    scores, labels = random.normal(size=(200, 3)).astype(np.float32), random.integers(0, 3, 200)
    predicted = scores.argmax(1)
    found = task.metrics(scores, of_texts(labels), NO_TEXTS, LABELS)
    assert found["accuracy"] == peer.accuracy_score(labels, predicted)
    assert found["f1"] == peer.f1_score(labels, predicted, average="macro")
    assert found["matthews_correlation"] == peer.matthews_corrcoef(labels, predicted)
    assert found["loss"] == pytest.approx(peer.log_loss(labels, softmax(scores, axis=1)), rel=1e-5)


def test_confusion_counts_labels_in_rows_and_answers_in_columns():
    scores = np.eye(3, dtype=np.float32)[[0, 1, 1, 0]]
    found = task.details(scores, of_texts(np.array([0, 0, 1, 0])), NO_TEXTS, LABELS)
    assert found["confusion"] == {
        "labels": ["a", "b", "c"],
        "matrix": [[2, 1, 0], [0, 1, 0], [0, 0, 0]],
    }


def test_chance_is_the_share_of_the_most_frequent_label():
    assert task.chance(of_texts(np.array([0, 1, 1, 2])), NO_TEXTS, LABELS) == 0.5
