"""Question answering: head, loss, threshold, answers, metrics, and the folders of transformers."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp, softmax
from transformers import BertConfig, BertForQuestionAnswering

from selfsup.corpus.tokenizer.folder import save_tokenizer
from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.huggingface.names import to_hugging_face
from selfsup.encoder.layers import initialize
from selfsup.errors import UserError
from selfsup.finetuning.data import FrozenFeatures
from selfsup.inference.scoring import score
from selfsup.tasks.encoders import Limits, TextPreparation
from selfsup.tasks.labels import Labels
from selfsup.tasks.question_answering.data import Questions
from selfsup.tasks.question_answering.files import read_squad
from selfsup.tasks.question_answering.task import NULL_THRESHOLD, SpanModel, mean_loss
from selfsup.tasks.question_answering.windows import EncodedQuestions
from selfsup.tasks.registry import TASKS, load_task_model, save_task_model
from selfsup.training.compute import choose_compute
from tests.tokenizer_folder import text_preparation
from tests.toy_tasks import CONFIG, toy_tokenizer, write_toy_questions

task = TASKS["question-answering"]

LIMITS = Limits(20, 4, max_answer_length=5)
NONE = Labels("none")


def new_model() -> SpanModel:
    model = task.build_model(BertEncoder(CONFIG, pooled=False), NONE, 0.1)
    initialize(model, 0.2, seed=0)
    return model.eval()


def their_config() -> BertConfig:
    sizes = {
        name: getattr(CONFIG, name)
        for name in (
            "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
            "intermediate_size", "max_position_embeddings",
        )
    }  # fmt: skip
    return BertConfig(**sizes)


def encode(questions: Questions, limits: Limits = LIMITS) -> EncodedQuestions:
    return task.encode_examples(questions, NONE, TextPreparation(toy_tokenizer(), limits))


@pytest.fixture
def questions(tmp_path) -> Questions:
    path = write_toy_questions(tmp_path / "dev.json", 9, seed=1, unanswerable=True)
    return read_squad(str(path), labelled=True)


# Head and loss.


def test_loss_and_scores_equal_those_of_transformers(questions):
    model = new_model()
    peer = BertForQuestionAnswering(their_config()).eval()
    state = to_hugging_face(model.named_parameters(), task.parameter_names(model.encoder.config))
    missing, unexpected = peer.load_state_dict(state, strict=False)
    assert not missing
    assert not unexpected
    windows = encode(questions).windows
    assert len(windows) > len(questions)
    losses = []
    with torch.no_grad():
        for place in range(len(windows)):  # one by one: they count padding among the tokens
            batch = windows.batch(np.array([place]))
            theirs = peer(
                batch.input_ids[None], token_type_ids=batch.token_type_ids[None],
                start_positions=batch.labels[:, 0], end_positions=batch.labels[:, 1],
            )  # fmt: skip
            scores = model.scores(batch)
            torch.testing.assert_close(scores[:, 0], theirs.start_logits[0], atol=1e-5, rtol=0)
            torch.testing.assert_close(scores[:, 1], theirs.end_logits[0], atol=1e-5, rtol=0)
            losses.append(float(theirs.loss))
            torch.testing.assert_close(model(batch)["answer"][0], theirs.loss, atol=1e-5, rtol=0)
        together = model(windows.batch(np.arange(len(windows))))["answer"]
        every = model.scores(windows.batch(np.arange(len(windows))))
    assert float(together[0]) == pytest.approx(np.mean(losses), abs=1e-5)
    assert together[2] == len(windows)
    tensors = map(torch.from_numpy, (windows.lengths, windows.labels))
    assert mean_loss(every, *tensors) == pytest.approx(np.mean(losses), abs=1e-5)


def test_windows_of_unknown_answers_teach_nothing(questions):
    model, windows = new_model(), encode(questions).windows
    places = np.arange(len(windows))
    unknown = windows.labels.copy()
    unknown[1:] = -100
    some = replace(windows, labels=unknown)
    loss = model(some.batch(places))["answer"][0]
    torch.testing.assert_close(loss, model(windows.batch(places[:1]))["answer"][0])
    none = replace(windows, labels=np.full_like(unknown, -100))
    loss = model(none.batch(places))["answer"][0]
    loss.backward()
    assert float(loss.detach()) == 0


def test_right_are_windows_with_both_ends_right(questions):
    model, windows = new_model(), encode(questions).windows
    batch = windows.batch(np.arange(len(windows)))
    with torch.no_grad():
        scores = model.scores(batch).split(windows.lengths.tolist())
        _, right, _ = model(batch)["answer"]
        expected = [(part.argmax(0) == label).all() for part, label in zip(scores, batch.labels)]  # noqa: B905
    assert int(right) == sum(map(int, expected))


def test_the_head_over_frozen_features_is_the_same_model(questions):
    model, windows = new_model(), encode(questions).windows
    places = np.array([4, 1, 7])
    with torch.no_grad():
        features = model.features(windows.batch(np.arange(len(windows))))
        frozen = FrozenFeatures(windows, features, windows.row_counts)
        whole, head = model(windows.batch(places)), model.on_features()(frozen.batch(places))
    torch.testing.assert_close(head["answer"][0], whole["answer"][0])
    assert [*model.on_features().head.children()] == [model.qa_outputs]


# Model folders.


def test_a_model_saved_here_loads_in_transformers_and_back(questions, tmp_path):
    model = new_model()
    save_tokenizer(toy_tokenizer(), tmp_path)
    labels = Labels("none", fitted={NULL_THRESHOLD: -1.5})
    save_task_model(tmp_path, task, model, labels, text_preparation(tmp_path, LIMITS), "# Card\n")
    loading: Any = BertForQuestionAnswering.from_pretrained(tmp_path, output_loading_info=True)
    peer, report = loading
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    batch = encode(questions).windows.batch(np.array([0]))
    with torch.no_grad():
        theirs = peer(batch.input_ids[None], token_type_ids=batch.token_type_ids[None])
        ours = model.scores(batch)
    torch.testing.assert_close(ours[:, 0], theirs.start_logits[0], atol=1e-5, rtol=0)
    loaded = load_task_model(tmp_path)
    assert (loaded.task.name, loaded.labels) == (task.name, labels)
    assert loaded.preparation.limits == LIMITS


def test_a_model_saved_by_transformers_answers_here(questions, tmp_path):
    torch.manual_seed(0)
    peer = BertForQuestionAnswering(their_config()).eval()
    peer.save_pretrained(tmp_path)
    save_tokenizer(toy_tokenizer(), tmp_path)
    loaded = load_task_model(tmp_path)
    assert loaded.task is task
    assert not loaded.labels.fitted
    batch = encode(questions).windows.batch(np.array([2]))
    with torch.no_grad():
        theirs = peer(batch.input_ids[None], token_type_ids=batch.token_type_ids[None])
        ours = loaded.model.scores(batch)
    torch.testing.assert_close(ours[:, 1], theirs.end_logits[0], atol=1e-5, rtol=0)


# Answers.


def answers_of(questions: Questions, scores: np.ndarray, labels: Labels = NONE):
    encoded = encode(questions)
    return list(task.decode(scores, encoded, questions, labels))


def random_scores(encoded: EncodedQuestions, seed: int = 0) -> np.ndarray:
    shape = (len(encoded.windows.input_ids), 2)
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


TEXTS = st.text("aä FfiIlm ,.\u00a0\n\u3000th😀한글e", max_size=40)


@given(st.lists(TEXTS, min_size=1, max_size=3), st.integers(0, 99), st.booleans())
def test_answers_are_exact_parts_of_the_context(contexts, seed, may_give_none):
    questions = task.examples_of(["the film"] * len(contexts), contexts)
    labels = Labels("none", fitted={NULL_THRESHOLD: 0.0}) if may_give_none else NONE
    predictions = answers_of(questions, random_scores(encode(questions), seed), labels)
    assert len(predictions) == len(contexts)
    for context, prediction in zip(contexts, predictions, strict=True):
        probabilities = [entry["probability"] for entry in prediction["n_best"]]
        assert probabilities == sorted(probabilities, reverse=True)
        assert 0 < sum(probabilities) <= 1 + 1e-9
        first = {name: prediction[name] for name in prediction if name != "n_best"}
        assert first == prediction["n_best"][0]
        for entry in prediction["n_best"]:
            if entry["start"] is None:
                assert entry["answer"] == ""
                assert may_give_none or not context.strip(" \n\u00a0\u3000")
            else:
                assert entry["answer"] == context[entry["start"] : entry["end"]] != ""
                assert entry["answer"] == entry["answer"].strip()
        json.dumps(prediction)


def test_probabilities_are_over_all_parts_and_no_answer():
    questions = task.examples_of(["the film"], ["plot was dull"])
    encoded = encode(questions)
    scores = random_scores(encoded)
    (row,) = encoded.windows.context_positions
    begin, end = scores[row : row + 3].astype(np.float64).T
    parts = [begin[i] + end[j] for i in range(3) for j in range(i, 3)]
    (prediction,) = answers_of(questions, scores)
    assert prediction["probability"] == pytest.approx(max(softmax(parts)))
    assert len(prediction["n_best"]) == 5
    threshold = 0.7
    blank = float(scores[0].astype(np.float64).sum()) + threshold
    labels = Labels("none", fitted={NULL_THRESHOLD: threshold})
    (prediction,) = answers_of(questions, scores, labels)
    everything = softmax([*parts, blank])
    expected = sorted(everything, reverse=True)[:5]
    assert [entry["probability"] for entry in prediction["n_best"]] == pytest.approx(expected)
    for entry in prediction["n_best"]:
        if not entry["answer"]:
            assert entry["probability"] == pytest.approx(everything[-1])
    assert (prediction["answer"] == "") == (blank >= max(parts))


@pytest.mark.parametrize(("threshold", "answered"), [(None, 9), (-1e9, 9), (1e9, 0)])
def test_the_threshold_decides_who_is_answered(questions, threshold, answered):
    labels = NONE if threshold is None else Labels("none", fitted={NULL_THRESHOLD: threshold})
    predictions = answers_of(questions, random_scores(encode(questions)), labels)
    assert task.count_predictions(predictions, labels) == {
        "answered": answered,
        "unanswered": 9 - answered,
    }


def test_an_answer_deep_in_a_long_context_is_found_there():
    context = "the plot was dull , " * 40 + "Fine film"
    questions = task.examples_of(["the film"], [context])
    encoded = encode(questions)
    scores = np.zeros((len(encoded.windows.input_ids), 2), np.float32)
    scores[-3, 0] = scores[-2, 1] = 5  # the last two tokens before [SEP], in the last window
    (prediction,) = task.decode(scores, encoded, questions, NONE)
    assert (prediction["answer"], prediction["start"]) == ("Fine film", len(context) - 9)
    assert prediction["end"] == len(context)
    assert len(encoded.windows) > 10


# Metrics and the threshold.


def test_metrics_are_those_of_the_answers_given(questions):
    encoded = encode(questions)
    scores = random_scores(encoded)
    labels = task.fit(scores, encoded, questions, NONE)
    found = task.metrics(scores, encoded, questions, labels)
    given_answers = [entry["answer"] for entry in task.decode(scores, encoded, questions, labels)]
    assert questions.answers is not None
    right = [
        text.lower() in [answer.text.lower() for answer in accepted] if accepted else not text
        for text, accepted in zip(given_answers, questions.answers, strict=True)
    ]
    assert found["exact_match"] == pytest.approx(np.mean(right))
    assert set(found) == {
        "exact_match", "f1", "loss", "has_answer_exact_match", "has_answer_f1",
        "no_answer_exact_match", "no_answer_f1",
    }  # fmt: skip


def test_the_fitted_threshold_is_the_best_there_is(questions):
    encoded = encode(questions)
    scores = random_scores(encoded, seed=4)

    def f1(threshold: float) -> float:
        labels = Labels("none", fitted={NULL_THRESHOLD: threshold})
        return task.metrics(scores, encoded, questions, labels)["f1"]

    fitted = task.fit(scores, encoded, questions, NONE)
    best = max(map(f1, np.linspace(-8, 8, 300)))
    assert f1(fitted.fitted[NULL_THRESHOLD]) == pytest.approx(best)


def test_where_all_questions_have_answers_nothing_is_fitted(tmp_path):
    path = write_toy_questions(tmp_path / "dev.json", 4, seed=1)
    questions = read_squad(str(path), labelled=True)
    encoded = encode(questions)
    assert task.fit(random_scores(encoded), encoded, questions, NONE) == NONE


def test_a_file_of_version_2_without_unanswerable_questions_fits_nothing_either(tmp_path):
    path = write_toy_questions(tmp_path / "dev.json", 4, seed=1)
    whole = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**whole, "version": "v2.0"}), encoding="utf-8")
    questions = read_squad(str(path), labelled=True)
    assert questions.may_be_unanswerable
    encoded = encode(questions)
    assert task.fit(random_scores(encoded), encoded, questions, NONE) == NONE


def test_the_loss_is_the_cross_entropy_of_start_and_end(questions):
    encoded = encode(questions)
    scores = random_scores(encoded)
    windows, losses = encoded.windows, []
    parts = np.split(scores.astype(np.float64), np.cumsum(windows.lengths)[:-1])
    for part, label in zip(parts, windows.labels, strict=True):
        losses += [logsumexp(part[:, side]) - part[label[side], side] for side in (0, 1)]
    labels = task.fit(scores, encoded, questions, NONE)
    assert task.metrics(scores, encoded, questions, labels)["loss"] == pytest.approx(
        np.mean(losses)
    )


def test_chance_is_the_better_of_saying_nothing_and_saying_everything(questions, tmp_path):
    assert task.chance(encode(questions), questions, NONE) == pytest.approx(3 / 9)
    path = write_toy_questions(tmp_path / "all.json", 4, seed=1)
    answerable = read_squad(str(path), labelled=True)
    assert 0 < task.chance(encode(answerable), answerable, NONE) < 0.5


def test_the_baseline_of_questions_without_answers_is_to_give_none(questions):
    found = task.baseline(encode(questions), questions, NONE)
    assert found["exact_match"] == found["f1"] == pytest.approx(3 / 9)
    assert (found["has_answer_f1"], found["no_answer_f1"]) == (0.0, 1.0)


# Reading.


def test_what_is_odd_about_the_files_is_said_before_training(tmp_path):
    train = read_squad(str(write_toy_questions(tmp_path / "train.json", 4, seed=1)), labelled=True)
    path = write_toy_questions(tmp_path / "dev.json", 9, seed=2, unanswerable=True)
    validation = read_squad(str(path), labelled=True)
    notes = " | ".join(task.reading_notes(train, validation, NONE))
    assert "dev.json: 3 of 9 questions have no answer" in notes
    assert "train.json: all questions have an answer" in notes
    assert "too" not in notes
    assert "4 of its questions are in" in " | ".join(task.reading_notes(train, train, NONE))


def test_long_contexts_and_questions_are_told_of(questions):
    notes = " | ".join(encode(questions).notes)
    assert "of 9 questions do not fit with their context in 20 tokens" in notes
    long = task.examples_of(["film " * 70], ["the plot"])
    assert "1 questions cut at 64 tokens" in encode(long, Limits(200, 60)).notes[0]
    assert encode(task.examples_of(["film"], ["plot"])).notes == ()


def test_questions_without_any_answer_cannot_be_learned(tmp_path):
    question = {"id": "1", "question": "film", "answers": [], "is_impossible": True}
    path = tmp_path / "train.json"
    path.write_text(json.dumps({"data": [{"paragraphs": [{"context": "a", "qas": [question]}]}]}))
    with pytest.raises(UserError, match=r"train\.json: no question has an answer"):
        task.learn_labels(read_squad(str(path), labelled=True), None)


def test_a_question_needs_a_context():
    with pytest.raises(UserError, match="give a --question and a text"):
        task.examples_of(["what?"], None)
    with pytest.raises(ValueError, match="1 questions and 2 contexts"):
        task.examples_of(["what?"], ["this", "that"])


def test_scores_come_in_the_order_of_the_windows(questions):
    model, encoded = new_model(), encode(questions)
    compute = choose_compute("cpu", "float32", None)
    scores = score(model, encoded.windows, compute, 2)
    with torch.no_grad():
        whole = model.scores(encoded.windows.batch(np.arange(len(encoded.windows))))
    np.testing.assert_allclose(scores, whole.numpy(), atol=1e-5)
