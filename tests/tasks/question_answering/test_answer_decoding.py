"""Answers from scores, against a search through every part of every window."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfsup.tasks.question_answering.data import Questions
from selfsup.tasks.question_answering.decoding import best_spans, fit_null_threshold, is_answered
from selfsup.tasks.question_answering.windows import AnswerWindows, answer_windows
from tests.toy_tasks import toy_tokenizer


def windows_of(lengths: list[int], max_length: int, doc_stride: int) -> AnswerWindows:
    """A question for each context of so many tokens."""
    count = len(lengths)
    contexts = ["film " * length for length in lengths]
    questions = Questions(
        "f", list(map(str, range(count))), ["was"] * count, contexts, np.arange(count), None, True
    )
    return answer_windows(toy_tokenizer(), questions, max_length, doc_stride)


def every_part(scores: np.ndarray, windows: AnswerWindows, question: int, longest: int):
    """Each part's score in the first of its windows with the most context on its poorer side."""
    found: dict[tuple[int, int], tuple[int, float]] = {}
    rows = np.cumsum(windows.lengths) - windows.lengths
    for window in np.flatnonzero(windows.question_of == question):
        size, row = (
            windows.context_lengths[window],
            rows[window] + windows.context_positions[window],
        )
        for start in range(size):
            for end in range(start, min(start + longest, size)):
                part = (windows.first_tokens[window] + start, windows.first_tokens[window] + end)
                context = min(start, size - 1 - end)
                if part not in found or context > found[part][0]:
                    found[part] = (
                        context,
                        float(scores[row + start, 0]) + float(scores[row + end, 1]),
                    )
    return {part: score for part, (_, score) in found.items()}


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=5),
    st.integers(8, 20),
    st.integers(1, 12),
    st.integers(1, 7),
    st.integers(1, 4),
    st.integers(0, 1000),
)
def test_the_best_parts_are_those_of_a_search_through_all(
    lengths, max_length, doc_stride, longest, count, seed
):
    windows = windows_of(lengths, max_length, doc_stride)
    scores = np.random.default_rng(seed).normal(size=(len(windows.input_ids), 2)) * 3
    scores = scores.astype(np.float32)
    found = best_spans(scores, windows, longest, count)
    rows = np.cumsum(windows.lengths) - windows.lengths
    for question in range(len(lengths)):
        parts = every_part(scores, windows, question, longest)
        best = sorted(parts.items(), key=lambda entry: -entry[1])[:count]
        kept = np.isfinite(found.scores[question])
        assert kept.sum() == len(best)
        np.testing.assert_allclose(found.scores[question][kept], [score for _, score in best])
        assert [tuple(part) for part in found.tokens[question][kept].tolist()] == [
            part for part, _ in best
        ]
        total = math.log(sum(map(math.exp, parts.values()))) if parts else -math.inf
        assert found.log_totals[question] == pytest.approx(total)
        nulls = scores[rows[windows.question_of == question]].astype(np.float64).sum(1)
        assert found.null_scores[question] == nulls.min()


def test_questions_are_decoded_alike_alone_and_among_others():
    windows = windows_of([5, 0, 40, 3, 17], 12, 4)
    scores = np.random.default_rng(1).normal(size=(len(windows.input_ids), 2))
    together = best_spans(scores, windows, 4, 30)
    rows = np.split(scores, np.cumsum(windows.lengths)[:-1])
    for question, length in enumerate([5, 0, 40, 3, 17]):
        alone = windows_of([length], 12, 4)
        own = [rows[window] for window in np.flatnonzero(windows.question_of == question)]
        found = best_spans(np.concatenate(own), alone, 4, 30)
        np.testing.assert_array_equal(together.scores[question], found.scores[0])
        np.testing.assert_allclose(together.log_totals[question], found.log_totals[0])


def test_an_answer_is_given_where_it_beats_none_by_more_than_the_threshold():
    windows = windows_of([2, 2, 0], 16, 4)
    scores = np.zeros((len(windows.input_ids), 2))
    scores[0] = 1.5  # of no answer to the first question: 3 in all
    scores[3] = 2.0  # of its first token: 4
    found = best_spans(scores, windows, 3, 1)
    assert found.margins[:2].tolist() == [1.0, 0.0]
    assert is_answered(found, 0.9).tolist() == [True, False, False]
    assert is_answered(found, 1.0).tolist() == [False, False, False]
    assert is_answered(found, -0.1).tolist() == [True, True, False]
    assert is_answered(found, None).tolist() == [True, True, False]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([-np.inf, -2.0, -1.0, 0.5, 0.75, 3.0]),
            st.sampled_from([0.0, 0.4, 1.0]),
            st.booleans(),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_no_other_threshold_gives_a_higher_f1(questions):
    margins, overlap, has_answer = (np.asarray(column) for column in zip(*questions, strict=True))
    overlap = np.where(has_answer & np.isfinite(margins), overlap, 0.0)

    def total(threshold: float) -> float:
        answered = np.isfinite(margins) & (margins > threshold)
        return float(np.where(answered, overlap, ~has_answer).sum())

    fitted = fit_null_threshold(margins, overlap, has_answer)
    assert math.isfinite(fitted)
    assert total(fitted) == pytest.approx(max(map(total, (-9.0, -1.5, 0.0, 0.6, 1.0, 9.0))))


def test_the_threshold_lies_halfway_between_the_margins_that_it_divides():
    fitted = fit_null_threshold(
        np.array([4.0, -3.0, 1.0]), np.array([1.0, 0.0, 1.0]), np.array([True, False, True])
    )
    assert fitted == -1.0
