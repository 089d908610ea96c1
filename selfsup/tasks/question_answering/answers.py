"""Scores → answers: exact parts of the contexts, their probabilities, or none.

Shapes: N questions, S parts of each one's context.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from selfsup.tasks.base import Prediction
from selfsup.tasks.labels import Labels
from selfsup.tasks.question_answering.data import Questions
from selfsup.tasks.question_answering.decoding import BestSpans, best_spans
from selfsup.tasks.question_answering.windows import AnswerWindows

# How many parts of the context are given for each question, the best first.
N_BEST = 5
# The entry of ``Labels.fitted``: by how much an answer must beat none (BERT's τ). Without it a
# model answers every question, as those trained on SQuAD 1.1 do.
NULL_THRESHOLD = "null_threshold"


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
    found = best_parts(scores, encoded, N_BEST)
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
            better = int((found.scores[place] > blank[place]).sum()) if blank is not None else 0
            none = {"answer": "", "start": None, "end": None, "probability": nothing}
            entries.insert(better, none)
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


def best_parts(scores: np.ndarray, encoded: EncodedQuestions, count: int) -> BestSpans:
    """The best parts of each question's context."""
    return best_spans(scores, encoded.windows, encoded.max_answer_length, count)


def best_texts(found: BestSpans, encoded: EncodedQuestions, examples: Questions) -> list[str]:
    """Each question's best part; "" where its context has none."""
    spans = _characters(found.tokens[:, 0], encoded)
    return [
        examples.context(place)[begin:end] if np.isfinite(found.scores[place, 0]) else ""
        for place, (begin, end) in enumerate(spans)
    ]


def _characters(tokens: np.ndarray, encoded: EncodedQuestions) -> list[tuple[int, int]]:
    """The characters from and up to which parts stand, given as tokens, int64 [S, 2]."""
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
