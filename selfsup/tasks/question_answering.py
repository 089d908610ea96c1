"""Extractive question answering: which part of a context answers a question (BERT §4.2, §4.3).

Shapes: N questions, W windows, T tokens of all windows laid end to end.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from selfsup.encoder.bert import BertEncoder
from selfsup.errors import UserError
from selfsup.tasks import answer_model
from selfsup.tasks.answer_decoding import BestSpans, best_spans, fit_null_threshold, is_answered
from selfsup.tasks.answer_model import SpanModel
from selfsup.tasks.answer_windows import MAX_QUESTION_TOKENS, AnswerWindows, answer_windows
from selfsup.tasks.columns import Columns
from selfsup.tasks.encoded_texts import IGNORE_INDEX
from selfsup.tasks.labels import Kind, Labels
from selfsup.tasks.limits import Limits
from selfsup.tasks.squad_file import Questions, read_squad, unlabelled_questions
from selfsup.tasks.squad_metrics import question_scores, squad_metrics
from selfsup.tasks.task import Prediction

NAME = "question-answering"
ARCHITECTURE = "BertForQuestionAnswering"
LABEL_KINDS: tuple[Kind, ...] = ("none",)
POOLED = False
PIPELINE = "question-answering"

# How many parts of the context are given for each question, the best first.
N_BEST = 5
# The entry of ``Labels.fitted``: by how much an answer must beat none (BERT's τ). Without it a
# model answers every question, as those trained on SQuAD 1.1 do.
NULL_THRESHOLD = "null_threshold"

parameter_names = answer_model.parameter_names


@dataclass(frozen=True)
class EncodedQuestions:
    """N questions as token ids.

    Attributes:
        windows: to learn from and to score.
        max_answer_length: most tokens of an answer.
        notes: what the user should know, a sentence each.
    """

    windows: AnswerWindows
    max_answer_length: int
    notes: tuple[str, ...]

    def __len__(self) -> int:
        """N."""
        return self.windows.question_count

    @property
    def units(self) -> AnswerWindows:
        """A window is learnt from by itself."""
        return self.windows


def default_max_length() -> int:
    """As usual for SQuAD: four in a hundred of its contexts are longer."""
    return 384


def read_examples(file: str, columns: Columns, *, labelled: bool) -> Questions:
    """Read a file in SQuAD's form; it has no columns.

    Raises:
        UserError: as ``read_squad``.
    """
    return read_squad(file, labelled=labelled)


def examples_of(texts: Sequence[str], text_pairs: Sequence[str] | None) -> Questions:
    """Questions, and the context of each.

    Raises:
        UserError: there are no contexts.
    """
    if text_pairs is None:
        raise UserError(f"this model does {NAME}: give a --question and a text to answer it from")
    return unlabelled_questions(texts, text_pairs)


def learn_labels(examples: Questions, label_type: Kind | None) -> Labels:
    """Answers are parts of the context and have no names.

    Raises:
        UserError: no question has an answer.
    """
    if not any(examples.answers or []):
        raise UserError(f"{examples.source}: no question has an answer: there is nothing to learn")
    return Labels("none")


def reading_notes(train: Questions, validation: Questions, labels: Labels) -> list[str]:
    """Questions without answers in one of the files alone, and those that are in both."""
    notes = []
    unanswerable = [
        sum(not answers for answers in examples.answers or []) for examples in (train, validation)
    ]
    for examples, count in zip((train, validation), unanswerable, strict=True):
        if count:
            notes.append(
                f"{examples.source}: {count:,} of {len(examples):,} questions have no answer"
            )
    if unanswerable[1] and not unanswerable[0]:
        notes.append(f"{train.source}: none is without an answer, so it is not learnt to give none")
    known = {(train.questions[place], train.context(place)) for place in range(len(train))}
    both = sum(
        (validation.questions[place], validation.context(place)) in known
        for place in range(len(validation))
    )
    if both:
        notes.append(f"{validation.source}: {both:,} of its questions are in {train.source}, too")
    if repeated := len(train) - len(known):
        notes.append(f"{train.source}: {repeated:,} questions are there more than once")
    return notes


def encode_examples(
    examples: Questions, labels: Labels, tokenizer: Tokenizer, limits: Limits
) -> EncodedQuestions:
    """Questions and contexts to windows of token ids."""
    windows = answer_windows(tokenizer, examples, limits.max_length, limits.doc_stride)
    notes, source = [], examples.source
    several = len(np.unique(windows.question_of[1:][np.diff(windows.question_of) == 0]))
    if several:
        notes.append(
            f"{source}: {several:,} of {len(examples):,} contexts do not fit beside their question "
            f"in {limits.max_length} tokens and are read in windows"
        )
    if windows.cut:
        notes.append(f"{source}: {windows.cut:,} questions cut at {MAX_QUESTION_TOKENS} tokens")
    unknown = np.unique(windows.question_of[windows.labels[:, 0] == IGNORE_INDEX])
    if examples.answers is not None and len(unknown):
        notes.append(
            f"{source}: {len(unknown):,} answers hold no token and are not learnt from (the first "
            f"is that of question {examples.ids[int(unknown[0])]})"
        )
    return EncodedQuestions(windows, limits.max_answer_length, tuple(notes))


def build_model(encoder: BertEncoder, labels: Labels, dropout: float) -> SpanModel:
    """The encoder under a new head, before which there is no dropout."""
    return SpanModel(encoder)


def selection_metric(labels: Labels) -> str:
    """The words that answers share with those expected."""
    return "f1"


def chance(encoded: EncodedQuestions, examples: Questions, labels: Labels) -> float:
    """F1 of answering nothing, or everything: with the whole context."""
    blank = _measure([""] * len(examples), examples)["f1"]
    whole = [examples.context(place) for place in range(len(examples))]
    return max(blank, _measure(whole, examples)["f1"])


def fit(
    scores: np.ndarray, encoded: EncodedQuestions, examples: Questions, labels: Labels
) -> Labels:
    """With the threshold of no answer that gives the highest F1, where some have none."""
    if not examples.may_be_unanswerable:
        return labels
    assert examples.answers is not None
    found = _best(scores, encoded, 1)
    overlap = [
        question_scores(given, [answer.text for answer in answers], may_be_unanswerable=True)[1]
        for given, answers in zip(_texts(found, encoded, examples), examples.answers, strict=True)
    ]
    has_answer = np.asarray([bool(answers) for answers in examples.answers])
    threshold = fit_null_threshold(found.margins, np.asarray(overlap), has_answer)
    return dataclasses.replace(labels, fitted={**labels.fitted, NULL_THRESHOLD: threshold})


def metrics(
    scores: np.ndarray, encoded: EncodedQuestions, examples: Questions, labels: Labels
) -> dict[str, float]:
    """``exact_match`` and ``f1`` as SQuAD defines them, as shares; see ``squad_metrics``.

    ``loss`` is the mean over the windows, in nats.
    """
    found = _best(scores, encoded, 1)
    answered = is_answered(found, labels.fitted.get(NULL_THRESHOLD))
    texts = [
        text if given else ""
        for text, given in zip(_texts(found, encoded, examples), answered, strict=True)
    ]
    windows = encoded.windows
    tensors = map(torch.from_numpy, (scores, windows.lengths, windows.labels))
    return {**_measure(texts, examples), "loss": answer_model.mean_loss(*tensors)}


def details(
    scores: np.ndarray, encoded: EncodedQuestions, examples: Questions, labels: Labels
) -> dict[str, Any]:
    """Nothing more."""
    return {}


def decode(
    scores: np.ndarray, encoded: EncodedQuestions, examples: Questions, labels: Labels
) -> list[Prediction]:
    """The answer to each question, and the best parts of its context.

    Returns:
        for each question ``{"answer", "start", "end", "probability", "n_best"}``. The answer is the
        context's characters from ``start`` up to ``end``; where there is none it is "" and both are
        None. ``n_best`` lists the best in the same form. Probabilities are over all parts of the
        context, and no answer where the model may give none.
    """
    found = _best(scores, encoded, N_BEST)
    threshold = labels.fitted.get(NULL_THRESHOLD)
    # With the threshold, no answer is given just where it is the most probable.
    blank = found.null_scores + threshold if threshold is not None else None
    totals = found.log_totals if blank is None else np.logaddexp(found.log_totals, blank)
    predictions = []
    for place in range(len(encoded)):
        entries = [
            _entry(examples.context(place), span, score - totals[place])
            for span, score in zip(
                _characters(found.tokens[place], encoded), found.scores[place], strict=True
            )
            if np.isfinite(score)
        ]
        if blank is not None or not entries:
            nothing = float(np.exp(blank[place] - totals[place])) if blank is not None else 1.0
            entries.append({"answer": "", "start": None, "end": None, "probability": nothing})
            entries.sort(key=lambda entry: (-entry["probability"], entry["answer"]))
        predictions.append({**entries[0], "n_best": entries[:N_BEST]})
    return predictions


def records(examples: Questions, predictions: Sequence[Prediction]) -> Iterator[dict[str, Any]]:
    """Each question with its id, the answers expected, if known, and the one given."""
    for place, prediction in enumerate(predictions):
        expected = {}
        if examples.answers is not None:
            expected["answers"] = [answer.text for answer in examples.answers[place]]
        yield {
            "id": examples.ids[place],
            "question": examples.questions[place],
            **expected,
            **prediction,
        }


def tally(predictions: Sequence[Prediction], labels: Labels) -> dict[str, Any]:
    """How many were answered."""
    answered = sum(bool(prediction["answer"]) for prediction in predictions)
    return {"answered": answered, "unanswered": len(predictions) - answered}


def _best(scores: np.ndarray, encoded: EncodedQuestions, count: int) -> BestSpans:
    return best_spans(scores, encoded.windows, encoded.max_answer_length, count)


def _characters(tokens: np.ndarray, encoded: EncodedQuestions) -> list[tuple[int, int]]:
    """The characters from and up to which parts stand, given as tokens, int64 [S, 2]."""
    offsets = encoded.windows.contexts.offsets
    if not len(offsets):
        return [(0, 0)] * len(tokens)
    return list(
        zip(offsets[tokens[:, 0], 0].tolist(), offsets[tokens[:, 1], 1].tolist(), strict=True)
    )


def _texts(found: BestSpans, encoded: EncodedQuestions, examples: Questions) -> list[str]:
    """Each question's best part; "" where its context has none."""
    spans = _characters(found.tokens[:, 0], encoded)
    return [
        examples.context(place)[begin:end] if np.isfinite(found.scores[place, 0]) else ""
        for place, (begin, end) in enumerate(spans)
    ]


def _entry(context: str, span: tuple[int, int], log_probability: float) -> dict[str, Any]:
    begin, end = span
    return {
        "answer": context[begin:end],
        "start": begin,
        "end": end,
        "probability": float(np.exp(log_probability)),
    }


def _measure(texts: list[str], examples: Questions) -> dict[str, float]:
    assert examples.answers is not None
    accepted = [[answer.text for answer in answers] for answers in examples.answers]
    return squad_metrics(texts, accepted, may_be_unanswerable=examples.may_be_unanswerable)
