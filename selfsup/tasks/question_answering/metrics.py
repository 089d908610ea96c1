"""How good answers are: SQuAD's metrics, and the threshold of no answer that is best for them."""

import dataclasses
from typing import Any

import numpy as np
import torch

from selfsup.tasks.labels import Labels
from selfsup.tasks.question_answering.answers import (
    NULL_THRESHOLD,
    EncodedQuestions,
    best_parts,
    best_texts,
)
from selfsup.tasks.question_answering.data import Questions
from selfsup.tasks.question_answering.decoding import fit_null_threshold, is_answered
from selfsup.tasks.question_answering.model import mean_loss
from selfsup.tasks.question_answering.squad_metrics import question_scores, squad_metrics


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
    assert examples.answers is not None
    if not examples.may_be_unanswerable or all(examples.answers):
        return labels
    found = best_parts(scores, encoded, 1)
    overlap = [
        question_scores(given, [answer.text for answer in answers], may_be_unanswerable=True)[1]
        for given, answers in zip(
            best_texts(found, encoded, examples), examples.answers, strict=True
        )
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
    found = best_parts(scores, encoded, 1)
    answered = is_answered(found, labels.fitted.get(NULL_THRESHOLD))
    texts = [
        text if given else ""
        for text, given in zip(best_texts(found, encoded, examples), answered, strict=True)
    ]
    windows = encoded.windows
    tensors = map(torch.from_numpy, (scores, windows.lengths, windows.labels))
    return {**_measure(texts, examples), "loss": mean_loss(*tensors)}


def details(
    scores: np.ndarray, encoded: EncodedQuestions, examples: Questions, labels: Labels
) -> dict[str, Any]:
    """Nothing more."""
    return {}


def _measure(texts: list[str], examples: Questions) -> dict[str, float]:
    assert examples.answers is not None
    accepted = [[answer.text for answer in answers] for answers in examples.answers]
    return squad_metrics(texts, accepted, may_be_unanswerable=examples.may_be_unanswerable)
