"""Token classification: tags, head, loss, entities, metrics; and transformers does the same."""

from typing import Any

import numpy as np
import pytest
import torch
import transformers
from scipy.special import log_softmax, softmax
from seqeval import metrics as peer
from transformers import BertConfig, BertForTokenClassification

from selfsup.corpus.tokenizer.folder import save_tokenizer
from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.layers import initialize
from selfsup.errors import UserError
from selfsup.finetuning.data import FrozenFeatures
from selfsup.inference.scoring import score
from selfsup.tasks.base import Reading
from selfsup.tasks.encoders import Limits, TextPreparation
from selfsup.tasks.labels import Labels
from selfsup.tasks.registry import TASKS, TaskModel, load_task_model, save_task_model
from selfsup.tasks.token_classification.tag_scheme import TaggedText, TaggedTexts
from selfsup.tasks.token_classification.task import TokenClassifier
from selfsup.training.compute import Compute
from tests.tokenizer_folder import text_preparation
from tests.toy_tasks import CONFIG, TAGS, VOCABULARY, toy_sentences, toy_tokenizer, write_toy_conll

task = TASKS["token-classification"]

LABELS = Labels("tag", TAGS)
LIMITS = Limits(max_length=32, doc_stride=10)
FLOAT32 = Compute(torch.device("cpu"), torch.float32)


def tagged(sentences: list[tuple[list[str], list[str]]]) -> TaggedTexts:
    return TaggedTexts(
        "f",
        [
            TaggedText.from_words(line, words, tags, [line] * len(words))
            for line, (words, tags) in enumerate(sentences, 1)
        ],
    )


EXAMPLES = tagged(toy_sentences(12, seed=3))


def new_model(seed: int = 0) -> TokenClassifier:
    model = task.build_model(BertEncoder(CONFIG, pooled=False), LABELS, 0.1)
    initialize(model, 0.3, seed=seed)
    return model.eval()


def encode(examples: TaggedTexts, limits: Limits = LIMITS):
    return task.encode_examples(examples, LABELS, TextPreparation(toy_tokenizer(), limits))


def write_model(folder, seed: int = 0) -> TokenClassifier:
    save_tokenizer(toy_tokenizer(), folder)
    model = new_model(seed)
    save_task_model(folder, task, model, LABELS, text_preparation(folder, LIMITS), "# Card\n")
    return model


def answers(loaded: TaskModel, texts: list[str]) -> list[dict[str, Any]]:
    examples = task.examples_of(texts, None)
    encoded = task.encode_examples(examples, loaded.labels, loaded.preparation)
    scores = score(loaded.model, encoded.windows, FLOAT32)
    return list(task.decode(scores, encoded, examples, loaded.labels))


# Tags.


def test_tags_are_learned_with_those_that_belong_to_them(tmp_path):
    path = write_toy_conll(tmp_path / "train.conll", 20, seed=0)
    examples = task.read_examples(str(path), Reading(), labelled=True)
    assert (examples.notes, task.learn_labels(examples, None)) == ((), LABELS)
    few = tagged([(["fine", "film"], ["B-GOOD", "O"]), (["dull"], ["B-BAD"])])
    assert task.learn_labels(few, None) == LABELS


def test_tags_that_tell_nothing_apart_are_refused():
    with pytest.raises(UserError, match="f: all words are tagged 'O'"):
        task.learn_labels(tagged([(["a", "film"], ["O", "O"])]), None)
    with pytest.raises(UserError, match="f: 60 different tags of 60 words: these are no tags"):
        task.learn_labels(tagged([(["a"], [f"text {n}"]) for n in range(60)]), None)


def test_a_tag_never_trained_on_is_refused_with_its_line():
    examples = tagged([(["a"], ["O"]), (["Paris"], ["B-LOC"])])
    with pytest.raises(UserError, match=r"f, line 2: tag 'B-LOC' was not .*\(O, B-BAD, .*\)"):
        encode(examples)


def test_what_is_odd_about_the_files_is_said():
    train = tagged([(["fine"], ["B-GOOD"]), (["fine"], ["B-GOOD"]), (["dull"], ["B-BAD"])])
    validation = tagged([(["fine"], ["B-GOOD"]), (["a"], ["O"])])
    assert task.reading_notes(train, validation, LABELS) == [
        'f: types with fewer than 8 entities: "BAD" (1), "GOOD" (2)',
        'f: no entity of the type "BAD"',
        "f: 1 of 3 examples repeats an earlier one (the first in line 2)",
        "f: 1 of 2 examples is also in f (the first in line 1): "
        "the metrics flatter the model; take them out of one",
    ]
    torn = tagged([(["fine"], ["B-GOOD"]), (["fine"], ["O"])])
    assert any("another label" in note for note in task.reading_notes(torn, validation, LABELS))
    many, others = tagged(toy_sentences(60, seed=1)), tagged(toy_sentences(30, seed=2))
    long = tagged([(words, tags) for words, tags in toy_sentences(60, seed=1) if len(words) > 5])
    assert task.reading_notes(many, long, LABELS)[-1].startswith(f"f: {len(long)} of {len(long)} ")
    assert task.reading_notes(many, others, LABELS) == []


# Head and loss.


def test_loss_and_scores_equal_those_of_transformers(tmp_path):
    write_model(tmp_path)
    loading: Any = BertForTokenClassification.from_pretrained
    model, info = loading(tmp_path, output_loading_info=True)
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert [model.config.id2label[number] for number in range(5)] == list(TAGS)
    encoded = encode(EXAMPLES)
    ours = load_task_model(tmp_path).model
    with torch.no_grad():
        loss, right, count = ours(encoded.windows.batch(np.arange(12)))["tagging"]
    scores = score(ours, encoded.windows, FLOAT32, 5)

    batch = encoded.windows.batch(np.arange(12))
    labels = torch.full_like(batch.input_ids, -100)
    labels[batch.word_rows] = batch.labels
    lengths = batch.packing.cu_seqlens.diff().tolist()
    pad = torch.nn.utils.rnn.pad_sequence
    padded = pad(list(batch.input_ids.split(lengths)), batch_first=True)
    wanted = pad(list(labels.split(lengths)), batch_first=True, padding_value=-100)
    with torch.no_grad():
        theirs = model.eval()(padded, attention_mask=padded > 0, labels=wanted)
    logits = theirs.logits[wanted != -100]
    torch.testing.assert_close(torch.from_numpy(scores), logits, atol=1e-5, rtol=0)
    torch.testing.assert_close(loss, theirs.loss, atol=1e-5, rtol=0)
    assert count == len(scores) == sum(len(s.spans) for s in EXAMPLES.sentences)
    assert int(right) == int((logits.argmax(-1) == batch.labels).sum())


def test_the_head_over_frozen_features_is_the_same_model():
    model, windows = new_model(), encode(EXAMPLES).windows
    places = np.array([4, 1, 7])
    with torch.no_grad():
        features = model.features(windows.batch(np.arange(12)))
        frozen = FrozenFeatures(windows, features, windows.row_counts)
        whole, head = model(windows.batch(places)), model.on_features()(frozen.batch(places))
    torch.testing.assert_close(head["tagging"][0], whole["tagging"][0])
    assert model.classifier.weight in set(model.on_features().parameters())


# Answers.


def test_entities_stand_at_their_places_in_the_original_text():
    examples = task.examples_of(["Angela  Merkel (71) lives in BERLIN."], None)
    labels = Labels("tag", ("O", "B-PER", "I-PER", "B-LOC"))
    encoded = task.encode_examples(examples, labels, TextPreparation(toy_tokenizer(), LIMITS))
    tags = [1, 2, 0, 0, 0, 0, 0, 3, 0]
    scores = np.eye(4, dtype=np.float32)[tags] * 5
    (answer,) = task.decode(scores, encoded, examples, labels)
    probability = softmax([5, 0, 0, 0])[0]
    assert answer["entities"] == [
        {"text": "Angela  Merkel", "label": "PER", "start": 0, "end": 14,
         "probability": pytest.approx(probability)},
        {"text": "BERLIN", "label": "LOC", "start": 29, "end": 35,
         "probability": pytest.approx(probability)},
    ]  # fmt: skip
    assert answer["words"] == ["Angela", "Merkel", "(", "71", ")", "lives", "in", "BERLIN", "."]
    assert answer["tags"] == [labels.names[tag] for tag in tags]


def test_texts_without_words_have_no_entities(tmp_path):
    write_model(tmp_path)
    found = answers(load_task_model(tmp_path), ["", "fine", " \u200b"])
    assert [answer["tags"] for answer in (found[0], found[2])] == [[], []]
    assert found[0]["entities"] == []
    assert len(found[1]["tags"]) == 1


def test_second_texts_are_refused():
    with pytest.raises(UserError, match="--text-pair: this model does token-classification"):
        task.examples_of(["a"], ["b"])


def test_a_text_of_many_windows_is_tagged_word_by_word(tmp_path):
    model = write_model(tmp_path)
    words = [word for words, _ in toy_sentences(40, seed=9) for word in words]
    examples = tagged([(words, ["O"] * len(words))])
    encoded = encode(examples)
    assert len(encoded.windows) > 5
    assert encoded.notes == (
        "f: 1 of 1 sentences are longer than 32 tokens and are read in windows",
    )
    scores = score(model, encoded.windows, FLOAT32, 3)
    (answer,) = task.decode(scores, encoded, examples, LABELS)
    assert answer["words"] == words
    assert answer["tags"] == [TAGS[tag] for tag in scores.argmax(1)]


def test_a_predictions_file_has_the_right_tags_beside_the_predicted(tmp_path):
    predictions = [{"entities": [], "words": ["a"], "tags": ["B-GOOD"]}]
    (line,) = task.records(tagged([(["a"], ["O"])]), predictions)
    assert (line["text"], line["tags"], line["prediction"]) == ("a", ["O"], ["B-GOOD"])
    (line,) = task.records(task.examples_of(["a"], None), predictions)
    assert line == {"text": "a", **predictions[0]}
    assert task.count_predictions([{"entities": [{"label": "BAD"}] * 2}], LABELS) == {
        "entities": {"BAD": 2, "GOOD": 0}
    }


# Metrics.


def test_metrics_are_those_of_seqeval():
    encoded = encode(EXAMPLES)
    given = encoded.windows.labels
    random = np.random.default_rng(0)
    scores = random.normal(size=(len(given), 5)).astype(np.float32)
    scores[np.arange(len(given)), given] += 1.5
    names = np.array(TAGS)[scores.argmax(1)]
    parts = np.split(names, np.cumsum(encoded.word_counts)[:-1])
    predicted = [part.tolist() for part in parts]
    truth = [list(sentence.tags or ()) for sentence in EXAMPLES.sentences]
    found = task.metrics(scores, encoded, EXAMPLES, LABELS)
    assert 0.2 < found["f1"] < 0.9
    for name in ("f1", "precision", "recall", "accuracy"):
        assert found[name] == getattr(peer, f"{name}_score")(truth, predicted)
    picked = log_softmax(scores, axis=1)[np.arange(len(given)), given]
    assert found["loss"] == pytest.approx(-picked.mean(), rel=1e-5)

    more = task.details(scores, encoded, EXAMPLES, LABELS)
    report: Any = peer.classification_report(truth, predicted, output_dict=True)
    assert [(row["label"], row["f1"]) for row in more["classes"]] == [
        (kind, report[kind]["f1-score"]) for kind in ("BAD", "GOOD")
    ]
    matrix = np.array(more["confusion"]["matrix"])
    assert more["confusion"]["labels"] == ["BAD", "GOOD", "O"]
    assert matrix[:2].sum(axis=1).tolist() == [report[kind]["support"] for kind in ("BAD", "GOOD")]


def test_the_metric_to_choose_by_is_no_better_than_chance_without_entities():
    encoded = encode(EXAMPLES)
    scores = np.zeros((len(encoded.windows.labels), 5), np.float32)
    found = task.metrics(scores, encoded, EXAMPLES, LABELS)
    assert found[task.selection_metric(LABELS)] == task.chance(encoded, EXAMPLES, LABELS) == 0


@pytest.mark.parametrize("names", [TAGS, tuple(reversed(TAGS))])
def test_the_baseline_is_the_most_frequent_tag_for_every_word(names):
    examples = tagged([(["fine", "film", "and", "dull"], ["B-GOOD", "O", "O", "B-BAD"])])
    labels = Labels("tag", names)
    preparation = TextPreparation(toy_tokenizer(), LIMITS)
    encoded = task.encode_examples(examples, labels, preparation)
    assert task.baseline(encoded, examples, labels) == {
        "f1": 0.0,
        "precision": 0.0,
        "recall": 0.0,
        "accuracy": 0.5,
    }


def test_the_baseline_of_tags_without_o_is_that_of_seqeval():
    examples = tagged([(["fine", "film"], ["B-GOOD", "B-GOOD"]), (["dull"], ["B-BAD"])])
    labels = Labels("tag", ("B-BAD", "B-GOOD"))
    preparation = TextPreparation(toy_tokenizer(), LIMITS)
    encoded = task.encode_examples(examples, labels, preparation)
    true, said = [["B-GOOD", "B-GOOD"], ["B-BAD"]], [["B-GOOD", "B-GOOD"], ["B-GOOD"]]
    found = task.baseline(encoded, examples, labels)
    assert found["f1"] == pytest.approx(peer.f1_score(true, said))
    assert found["accuracy"] == pytest.approx(2 / 3)


# Models that go to transformers, and come from there.

TEXTS = [
    " ".join(words) + ending for words, _ in toy_sentences(15, 7) for ending in (".", " Films!")
]


def assert_equal_entities(loaded: TaskModel, folder) -> None:
    pipeline: Any = transformers.pipeline(
        "token-classification", model=str(folder), aggregation_strategy="first"
    )
    ours, theirs = answers(loaded, TEXTS), pipeline(TEXTS)
    found = 0
    for text, answer, peers in zip(TEXTS, ours, theirs, strict=True):
        keys = ("label", "start", "end")
        assert [tuple(entity[key] for key in keys) for entity in answer["entities"]] == [
            (entity["entity_group"], entity["start"], entity["end"]) for entity in peers
        ]
        for entity, other in zip(answer["entities"], peers, strict=True):
            assert entity["text"] == text[entity["start"] : entity["end"]]
            assert entity["probability"] == pytest.approx(float(other["score"]), abs=1e-5)
        found += len(peers)
    assert found > len(TEXTS)


def test_the_pipeline_of_transformers_finds_equal_entities_with_what_is_saved(tmp_path):
    model = write_model(tmp_path)
    loaded = load_task_model(tmp_path)
    assert (loaded.task, loaded.labels, loaded.preparation.limits) == (task, LABELS, LIMITS)
    for one, other in zip(model.parameters(), loaded.model.parameters(), strict=True):
        assert torch.equal(one, other)
    assert_equal_entities(loaded, tmp_path)


def test_what_transformers_fine_tuned_finds_equal_entities_here(tmp_path):
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=40,
        max_position_embeddings=40,
        id2label=dict(enumerate(TAGS)),
        initializer_range=0.5,
    )
    BertForTokenClassification(config).save_pretrained(tmp_path)
    save_tokenizer(toy_tokenizer(), tmp_path)
    loaded = load_task_model(tmp_path)
    assert (loaded.task, loaded.labels.names) == (task, TAGS)
    assert loaded.preparation.limits.max_length == 40
    assert_equal_entities(loaded, tmp_path)
