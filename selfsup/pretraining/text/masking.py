"""Choose tokens of a batch and mask them (BERT §3.1, task 1).

Of the chosen tokens 80 % become ``[MASK]``, 10 % become a random token, and 10 % stay.

Shapes: B sequences, T tokens in all, M masked tokens, V vocabulary.
"""

import functools
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from selfsup.counter_random import hash64, uniform
from selfsup.pretraining.text.sequences import Sequences, SpecialTokens

MASK_SHARE, RANDOM_SHARE = 0.8, 0.1
_CHOOSE, _SPAN_LENGTH, _ACTION, _REPLACEMENT = range(4)
# SpanBERT (Joshi et al. 2019, §3.1): lengths from a geometric distribution with p = 0.2, up to 10.
_SPAN_GEOMETRIC, _SPAN_MAX = 0.2, 10
_NO_SPAN = -_SPAN_MAX


@dataclass(frozen=True)
class Masking:
    """How tokens are chosen and replaced.

    Attributes:
        probability: expected share of tokens chosen, special tokens not counted.
        unit: "token" chooses each token on its own; "whole-word" chooses all pieces of a word
            together; "span" chooses runs of tokens, and replaces all tokens of a run in the same
            way.
        special: ids that are never chosen, and never used as a random replacement.
        vocab_size: V.
        is_continuation: bool [V], true for pieces that continue a word ("##…").
    """

    probability: float
    unit: str
    special: SpecialTokens
    vocab_size: int
    is_continuation: np.ndarray

    def mask(
        self, sequences: Sequences, seed: int, epoch: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Choose tokens and replace them.

        Returns:
            input_ids after masking, int64 [T]; the rows of the chosen tokens, int64 [M]; their ids
            before masking, int64 [M].
        """
        streams = hash64(seed, epoch, sequences.keys)  # [B]
        sequence, position = _positions(sequences.lengths)  # [T] each
        unit_position = position
        if self.unit == "token":
            chosen = _draw(streams, _CHOOSE, sequence, position) < self.probability
        elif self.unit == "whole-word":
            begins = ~self.is_continuation[sequences.input_ids]
            rows = np.arange(len(position))
            word_begin = np.maximum.accumulate(np.where(begins, rows, 0))
            of_word = position - (rows - word_begin)
            chosen = _draw(streams, _CHOOSE, sequence, of_word) < self.probability
        elif self.unit == "span":
            unit_position = self._span_begins(streams, sequences.lengths)
            chosen = unit_position > _NO_SPAN
        else:
            raise ValueError(f"no masking unit is called {self.unit!r}")
        masked_rows = np.flatnonzero(chosen)
        labels = sequences.input_ids[masked_rows]
        is_text = np.isin(labels, self.special.ids(), invert=True)
        masked_rows, labels = masked_rows[is_text], labels[is_text]

        sequence, position = sequence[masked_rows], position[masked_rows]
        action = _draw(streams, _ACTION, sequence, unit_position[masked_rows])
        replacement = self._random_tokens(streams, sequence, position)
        replaced = np.where(
            action < MASK_SHARE,
            self.special.mask,
            np.where(action < MASK_SHARE + RANDOM_SHARE, replacement, labels),
        )
        input_ids = sequences.input_ids.copy()
        input_ids[masked_rows] = replaced
        return input_ids, masked_rows, labels

    def _random_tokens(
        self, streams: np.ndarray, sequence: np.ndarray, position: np.ndarray
    ) -> np.ndarray:
        """Uniform over the vocabulary without the special tokens, int64 [M]."""
        special = self.special.ids()
        count = self.vocab_size - len(special)
        token = (_draw(streams, _REPLACEMENT, sequence, position) * count).astype(np.int64)
        for taken in special:
            token += token >= taken
        return token

    def _span_begins(self, streams: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Where in its sequence each token's span begins, int64 [T]; ``_NO_SPAN`` outside spans.

        At each position a span begins with such a probability that the expected share of tokens
        covered is ``probability``, a token in two spans counted once. Spans may begin before their
        sequence, so that its first tokens are covered as often as others; they end at its end.
        Where spans overlap, a token belongs to the span that begins nearest before it.
        """
        before = _SPAN_MAX - 1
        sequence, position = _positions(lengths + before)
        position -= before
        draw = _draw(streams, _CHOOSE, sequence, position)
        begins = np.flatnonzero(draw < span_start_probability(self.probability))
        draw = _draw(streams, _SPAN_LENGTH, sequence[begins], position[begins])
        length = 1 + np.sum(draw[:, None] < span_longer_than()[None, 1:], axis=1)
        span_begin = np.full(len(position) + before, _NO_SPAN)
        for distance in range(_SPAN_MAX - 1, -1, -1):
            reaching = begins[length > distance]
            # Rows past a sequence's end are positions before the next one, which are dropped.
            span_begin[reaching + distance] = position[reaching]
        return span_begin[: len(position)][position >= 0]


def _positions(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sequence and the position in it of each token, int64 [T] each."""
    ends = np.cumsum(lengths)
    sequence = np.repeat(np.arange(len(lengths)), lengths)
    return sequence, np.arange(ends[-1]) - (ends - lengths)[sequence]


def _draw(
    streams: np.ndarray, purpose: int, sequence: np.ndarray, position: np.ndarray
) -> np.ndarray:
    """Uniform float64 in [0, 1) for each position of a sequence."""
    return uniform(position, after=hash64(purpose, after=streams)[sequence])


def span_longer_than() -> np.ndarray:
    """P(span length > n) for n = 0 … 9, of the geometric distribution cut off at 10."""
    mass = _SPAN_GEOMETRIC * (1 - _SPAN_GEOMETRIC) ** np.arange(_SPAN_MAX)
    mass /= mass.sum()
    return 1 - np.concatenate([[0.0], np.cumsum(mass)[:-1]])


@functools.cache
def span_start_probability(probability: float) -> float:
    """The probability with which spans must begin to cover a share ``probability`` of all tokens.

    A token is not covered if, for every n, no span longer than n begins n tokens before it.
    """
    longer_than = span_longer_than()

    def excess(start: float) -> float:
        return float(1 - np.prod(1 - start * longer_than)) - probability

    return brentq(excess, 0.0, 1.0)  # type: ignore[return-value]
