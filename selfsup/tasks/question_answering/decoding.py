"""Scores of tokens → the best spans of each context, and whether there is an answer (BERT §4.3).

A span's score is its first token's score as a start plus its last token's score as an end. A span
in several overlapping windows is scored in the one where its smaller margin of context is largest.
The score of no answer is that of ``[CLS]`` as start and end, the lowest over a question's windows.
Probabilities are a softmax over all spans of a question, from all its windows together.

Shapes: N questions, W windows, T tokens of all windows, R tokens of contexts among them, J tokens
of the longest answer, S answers wanted for each question.
"""

from dataclasses import dataclass

import numpy as np

from selfsup.shards.arrays import concatenated_ranges
from selfsup.tasks.question_answering.windows import AnswerWindows

# Larger than any distance between tokens, for windows without a neighbour.
_NOWHERE = 1 << 40


@dataclass(frozen=True)
class BestSpans:
    """The S best spans of each question's context, best first.

    Attributes:
        scores: float64 [N, S], start plus end; -inf where there are fewer spans.
        tokens: int64 [N, S, 2], first and last token among those of all contexts; 0 where there
            are fewer spans.
        null_scores: float64 [N], the score of no answer.
        log_totals: float64 [N], log of the summed exp(score) of all spans; -inf if there are none.
    """

    scores: np.ndarray
    tokens: np.ndarray
    null_scores: np.ndarray
    log_totals: np.ndarray

    @property
    def margins(self) -> np.ndarray:
        """The score of the best span minus that of no answer, float64 [N]."""
        return self.scores[:, 0] - self.null_scores


def best_spans(
    scores: np.ndarray, windows: AnswerWindows, max_answer_length: int, count: int
) -> BestSpans:
    """Find the S best spans of every question's context, of at most J tokens.

    ``scores``, float [T, 2], are of each token of the windows as a start and as an end.
    """
    scores = scores.astype(np.float64)
    first_rows = np.cumsum(windows.lengths) - windows.lengths
    nulls = scores[first_rows].sum(1)
    first_windows = np.searchsorted(windows.question_of, np.arange(windows.question_count))
    found = BestSpans(
        np.full((windows.question_count, count), -np.inf),
        np.zeros((windows.question_count, count, 2), np.int64),
        np.minimum.reduceat(nulls, first_windows),
        np.full(windows.question_count, -np.inf),
    )
    # The tokens of each question that has any; reduceat takes no empty ranges.
    sizes = np.zeros(windows.question_count, np.int64)
    np.add.at(sizes, windows.question_of, windows.context_lengths)
    asked = np.flatnonzero(sizes)
    if not len(asked):
        return found
    sizes = sizes[asked]
    bounds = np.cumsum(sizes) - sizes

    parts = _Parts.of(scores, windows)
    best = np.full(len(parts.tokens), -np.inf)  # of the spans that begin at each token
    log_total = best.copy()
    for further in range(min(max_answer_length, len(best))):
        begun, part_scores = slice(0, len(best) - further), parts.all_scores(further)
        best[begun] = np.maximum(best[begun], part_scores)
        log_total[begun] = np.logaddexp(log_total[begun], part_scores)
    found.log_totals[asked] = np.logaddexp.reduceat(log_total, bounds)

    # The S best spans begin at the S tokens with the best spans that begin there.
    begins = _best_rows(best, bounds, sizes, count)
    table = np.stack([parts.scores(begins, further) for further in range(max_answer_length)], -1)
    table[begins < 0] = -np.inf
    table = table.reshape(len(asked), -1)  # [N, S × J]
    order = np.argsort(-table, axis=1, kind="stable")[:, :count]
    first = parts.tokens[np.take_along_axis(begins, order // max_answer_length, 1)]
    kept = order.shape[1]
    found.scores[asked, :kept] = np.take_along_axis(table, order, 1)
    spans = np.stack([first, first + order % max_answer_length], -1)
    found.tokens[asked, :kept] = np.where(found.scores[asked, :kept, None] > -np.inf, spans, 0)
    return found


@dataclass(frozen=True)
class _Parts:
    """All spans of the contexts, by their first token and by how many tokens further they end.

    Attributes:
        starts, ends: float64 [R], each token's score as a start and as an end.
        tokens: int64 [R], its number among those of all contexts.
        nearest, farthest: int64 [R], the range of how many tokens further a span that begins here
            may end so that it is scored in this window.
    """

    starts: np.ndarray
    ends: np.ndarray
    tokens: np.ndarray
    nearest: np.ndarray
    farthest: np.ndarray

    @classmethod
    def of(cls, scores: np.ndarray, windows: AnswerWindows) -> "_Parts":
        first_rows = np.cumsum(windows.lengths) - windows.lengths + windows.context_positions
        sizes, first = windows.context_lengths, windows.first_tokens
        rows = concatenated_ranges(first_rows, sizes)
        tokens = concatenated_ranges(first, sizes)
        last = first + sizes - 1
        # A question's windows are equally long, so a part from s to e has most context in the one
        # whose middle is nearest its own: s + e tells, and halfway between a window and the next
        # it is last + first of the next.
        same = windows.question_of[1:] == windows.question_of[:-1]
        border_before, border_after = np.full_like(first, -_NOWHERE), np.full_like(first, _NOWHERE)
        border_before[1:][same] = border_after[:-1][same] = (last[:-1] + first[1:])[same]
        of_row = np.repeat(np.arange(len(sizes)), sizes)
        nearest = border_before[of_row] + 1 - 2 * tokens
        farthest = np.minimum(last[of_row] - tokens, border_after[of_row] - 2 * tokens)
        return cls(scores[rows, 0], scores[rows, 1], tokens, nearest, farthest)

    def all_scores(self, further: int) -> np.ndarray:
        """Of the spans that end ``further`` tokens after they begin, float64 [R - further].

        -inf where such a span leaves the window, or is scored in another.
        """
        begun = slice(0, len(self.tokens) - further)
        scores = self.starts[begun] + self.ends[further:]
        scores[(self.nearest[begun] > further) | (self.farthest[begun] < further)] = -np.inf
        return scores

    def scores(self, begins: np.ndarray, further: int) -> np.ndarray:
        """The same for the spans that begin at some of the R tokens."""
        allowed = (self.nearest[begins] <= further) & (further <= self.farthest[begins])
        ends = self.ends[np.minimum(begins + further, len(self.ends) - 1)]
        return np.where(allowed, self.starts[begins] + ends, -np.inf)


def _best_rows(best: np.ndarray, bounds: np.ndarray, sizes: np.ndarray, count: int) -> np.ndarray:
    """Indices of the ``count`` best of each range, padded with -1, int64 [N, S]."""
    chosen = np.empty((len(bounds), count), np.int64)
    for place, (begin, size) in enumerate(zip(bounds.tolist(), sizes.tolist(), strict=True)):
        part = best[begin : begin + size]
        if count == 1:
            chosen[place] = begin + part.argmax()
        elif size > count:
            chosen[place] = begin + np.argpartition(-part, count)[:count]
        else:
            chosen[place, :size] = np.arange(begin, begin + size)
            chosen[place, size:] = -1
    return chosen


def is_answered(found: BestSpans, null_threshold: float | None) -> np.ndarray:
    """Whether the best span scores above no answer by more than BERT's τ, bool [N].

    Without a threshold: always, if there is a span.
    """
    threshold = -np.inf if null_threshold is None else null_threshold
    best = found.scores[:, 0]
    return np.isfinite(best) & (best > found.null_scores + threshold)


def fit_null_threshold(
    margins: np.ndarray, answered_f1: np.ndarray, has_answer: np.ndarray
) -> float:
    """The threshold that gives the highest mean F1 over N questions.

    Args:
        margins: the score of the best span minus that of no answer, float [N].
        answered_f1: F1 of each question if its best span is the answer, float [N].
        has_answer: bool [N]; where it is false, no answer is right.

    Returns:
        a number halfway between two margins, or one beyond the last of them.
    """
    order = np.argsort(-margins, kind="stable")
    margins = margins[order]
    gain = answered_f1[order] - ~has_answer[order]
    # [N + 1], if that many of the first are answered
    totals = np.concatenate([[0.0], np.cumsum(gain)])
    # A threshold cannot separate equal margins.
    totals[1:-1][margins[1:] == margins[:-1]] = -np.inf
    finite = int(np.isfinite(margins).sum())
    answered = int(np.argmax(totals[: finite + 1]))
    above = margins[answered - 1] if answered else margins[0] + 2 if finite else 2.0
    below = margins[answered] if answered < finite else above - 2
    return float((above + below) / 2)
