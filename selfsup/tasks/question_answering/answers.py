"""Scores → answers, as spans of the contexts with their probabilities, and how good these are.

Shapes: N questions, S spans of each one's context.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from selfsup.tasks.base import Prediction
from selfsup.tasks.labels import Labels
from selfsup.tasks.question_answering.data import Questions
from selfsup.tasks.question_answering.decoding import (
    BestSpans,
    best_spans,
    fit_null_threshold,
    is_answered,
)
from selfsup.tasks.question_answering.model import mean_loss
from selfsup.tasks.question_answering.squad_metrics import question_scores, squad_metrics
from selfsup.tasks.question_answering.windows import EncodedQuestions

# How many spans are listed for each question, the best first.
N_BEST = 5
# The entry of ``Labels.fitted``: by how much an answer must score above no answer (BERT's τ).
# Without it a model answers every question, as models for SQuAD 1.1 do.
NULL_THRESHOLD = "null_threshold"


def decode(
    scores: np.ndarray, encoded: EncodedQuestions, examples: Questions, labels: Labels
) -> list[Prediction]:
    """The answer to each question, and the best spans of its context.

    Returns:
        for each question ``{"answer", "start", "end", "probability", "n_best"}``. The answer is the
        context's characters from ``start`` up to ``end``. No answer is "", and both are None.
        ``n_best`` lists the best answers in the same form. Probabilities are over all spans of the
        context, and no answer if the model may give none.
    """
    found = _best_spans(scores, encoded, N_BEST)
    threshold = labels.fitted.get(NULL_THRESHOLD)
    # With the threshold added, no answer is given exactly if it is the most probable.
    blank = found.null_scores + threshold if threshold is not None else None
    totals = found.log_totals if blank is None else np.logaddexp(found.log_totals, blank)
    predictions = []
    for index in range(len(encoded)):
        entries = [
            _entry(examples.context(index), span, score - totals[index])
            for span, score in zip(
                _characters(found.tokens[index], encoded), found.scores[index], strict=True
            )
            if np.isfinite(score)
        ]
        if blank is not None or not entries:
            nothing = float(np.exp(blank[index] - totals[index])) if blank is not None else 1.0
            better = int((found.scores[index] > blank[index]).sum()) if blank is not None else 0
            none = {"answer": "", "start": None, "end": None, "probability": nothing}
            entries.insert(better, none)
        predictions.append({**entries[0], "n_best": entries[:N_BEST]})
    return predictions


def records(examples: Questions, predictions: Sequence[Prediction]) -> Iterator[dict[str, Any]]:
    """Each question with its id, the expected answers if known, and the prediction."""
    for index, prediction in enumerate(predictions):
        expected = {}
        if examples.answers is not None:
            expected["answers"] = [answer.text for answer in examples.answers[index]]
        yield {
            "id": examples.ids[index],
            "question": examples.questions[index],
            **expected,
            **prediction,
        }


def count_predictions(predictions: Sequence[Prediction]) -> dict[str, Any]:
    """How many questions were answered."""
    answered = sum(bool(prediction["answer"]) for prediction in predictions)
    return {"answered": answered, "unanswered": len(predictions) - answered}


def chance(examples: Questions) -> float:
    """The better F1 of two trivial answers: no answer, and the whole context."""
    empty = _squad_metrics([""] * len(examples), examples)["f1"]
    whole = [examples.context(index) for index in range(len(examples))]
    return max(empty, _squad_metrics(whole, examples)["f1"])


def fit_threshold(
    scores: np.ndarray, encoded: EncodedQuestions, examples: Questions, labels: Labels
) -> Labels:
    """Labels with the threshold of no answer that gives the highest F1, if some have no answer."""
    assert examples.answers is not None
    if not examples.may_be_unanswerable or all(examples.answers):
        return labels
    found = _best_spans(scores, encoded, 1)
    f1 = [
        question_scores(text, [answer.text for answer in answers], may_be_unanswerable=True)[1]
        for text, answers in zip(
            _best_texts(found, encoded, examples), examples.answers, strict=True
        )
    ]
    has_answer = np.asarray([bool(answers) for answers in examples.answers])
    threshold = fit_null_threshold(found.margins, np.asarray(f1), has_answer)
    return replace(labels, fitted={**labels.fitted, NULL_THRESHOLD: threshold})


def measure(
    scores: np.ndarray, encoded: EncodedQuestions, examples: Questions, labels: Labels
) -> dict[str, float]:
    """``exact_match`` and ``f1`` as SQuAD defines them, as shares; see ``squad_metrics``.

    ``loss`` is the mean over the windows, in nats.
    """
    found = _best_spans(scores, encoded, 1)
    answered = is_answered(found, labels.fitted.get(NULL_THRESHOLD))
    texts = [
        text if has_answer else ""
        for text, has_answer in zip(_best_texts(found, encoded, examples), answered, strict=True)
    ]
    windows = encoded.windows
    tensors = map(torch.from_numpy, (scores, windows.lengths, windows.labels))
    return {**_squad_metrics(texts, examples), "loss": mean_loss(*tensors)}


def _squad_metrics(texts: list[str], examples: Questions) -> dict[str, float]:
    assert examples.answers is not None
    accepted = [[answer.text for answer in answers] for answers in examples.answers]
    return squad_metrics(texts, accepted, may_be_unanswerable=examples.may_be_unanswerable)


def _best_spans(scores: np.ndarray, encoded: EncodedQuestions, count: int) -> BestSpans:
    """The best spans of each question's context."""
    return best_spans(scores, encoded.windows, encoded.max_answer_length, count)


def _best_texts(found: BestSpans, encoded: EncodedQuestions, examples: Questions) -> list[str]:
    """Each question's best span as text; "" if its context is empty."""
    spans = _characters(found.tokens[:, 0], encoded)
    return [
        examples.context(index)[begin:end] if np.isfinite(found.scores[index, 0]) else ""
        for index, (begin, end) in enumerate(spans)
    ]


def _characters(tokens: np.ndarray, encoded: EncodedQuestions) -> list[tuple[int, int]]:
    """The first and end characters of spans that are given as tokens, int64 [S, 2]."""
    offsets = encoded.windows.contexts.offsets
    if not len(offsets):
        return [(0, 0)] * len(tokens)
    return list(
        zip(offsets[tokens[:, 0], 0].tolist(), offsets[tokens[:, 1], 1].tolist(), strict=True)
    )


def _entry(context: str, span: tuple[int, int], log_probability: float) -> dict[str, Any]:
    begin, end = span
    return {
        "answer": context[begin:end],
        "start": begin,
        "end": end,
        "probability": float(np.exp(log_probability)),
    }
