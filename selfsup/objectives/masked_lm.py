"""Masked language modelling: hide some tokens, predict them (BERT §3.1, task 1).

Of the chosen tokens 80 % become ``[MASK]``, 10 % a random token, 10 % stay.

Shapes: B sequences, T tokens in all, M masked tokens, D width, V vocabulary.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import brentq
from torch import Tensor, nn

from selfsup.counter_random import hash64, integers, uniform
from selfsup.encoder.bert import ACTIVATIONS, EncoderOutput
from selfsup.objectives.linear_cross_entropy import linear_cross_entropy
from selfsup.objectives.sequences import Sequences, SpecialTokens
from selfsup.objectives.text_batch import TextBatch

MASK_SHARE, RANDOM_SHARE = 0.8, 0.1
_CHOOSE, _SPAN_LENGTH, _ACTION, _REPLACEMENT = range(4)
# SpanBERT (Joshi et al. 2019, §3.1): lengths from a geometric distribution with p = 0.2, up to 10.
_SPAN_GEOMETRIC, _SPAN_MAX = 0.2, 10


@dataclass(frozen=True)
class Masking:
    """How tokens are chosen and replaced.

    Attributes:
        probability: expected share of (not special) tokens chosen.
        unit: "token" chooses each alone; "whole-word" chooses all pieces of a word together;
            "span" chooses runs of tokens, and replaces all of a run in the same way.
        special: ids that are never chosen and never put in another's place.
        vocab_size: V.
        is_continuation: bool [V], true for pieces that continue a word ("##…").
    """

    probability: float
    unit: str
    special: SpecialTokens
    vocab_size: int
    is_continuation: np.ndarray

    def hide(
        self, sequences: Sequences, seed: int, epoch: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Choose tokens and replace them.

        Returns:
            input_ids with tokens hidden, int64 [T]; the rows chosen, int64 [M]; what stood there,
            int64 [M].
        """
        lengths = sequences.lengths
        key = np.repeat(hash64(seed, epoch, sequences.keys), lengths)
        rows = np.arange(len(key))
        position = rows - np.repeat(np.cumsum(lengths) - lengths, lengths)
        if self.unit == "token":
            unit_position = position
            chosen = uniform(key, position, _CHOOSE) < self.probability
        elif self.unit == "whole-word":
            begins = ~self.is_continuation[sequences.input_ids] | sequences.is_special
            unit_position = position - (rows - np.maximum.accumulate(np.where(begins, rows, 0)))
            chosen = uniform(key, unit_position, _CHOOSE) < self.probability
            unit_position = position
        elif self.unit == "span":
            chosen, unit_position = self._spans(key, position)
        else:
            raise ValueError(f"no masking unit is called {self.unit!r}")
        masked_rows = np.flatnonzero(chosen & ~sequences.is_special)

        labels = sequences.input_ids[masked_rows]
        key, unit_position, position = (x[masked_rows] for x in (key, unit_position, position))
        action = uniform(key, unit_position, _ACTION)
        replacement = self._random_tokens(key, position)
        hidden = np.where(
            action < MASK_SHARE,
            self.special.mask,
            np.where(action < MASK_SHARE + RANDOM_SHARE, replacement, labels),
        )
        input_ids = sequences.input_ids.copy()
        input_ids[masked_rows] = hidden
        return input_ids, masked_rows, labels

    def _random_tokens(self, key: np.ndarray, position: np.ndarray) -> np.ndarray:
        """Uniform over the vocabulary less the special tokens, int64 [M]."""
        special = self.special.ids()
        token = integers(self.vocab_size - len(special), key, position, _REPLACEMENT)
        for taken in special:
            token += token >= taken
        return token

    def _spans(self, key: np.ndarray, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which tokens lie in a span, bool [T], and where their span begins, int64 [T].

        A span begins at each token with a probability such that, overlaps counted once, the
        expected share of tokens covered is ``probability``. Spans end with their sequence.
        """
        begins = uniform(key, position, _CHOOSE) < span_start_probability(self.probability)
        draw = uniform(key, position, _SPAN_LENGTH)
        longer_than = span_longer_than()  # [10], decreasing
        length = 1 + np.sum(draw[:, None] < longer_than[None, 1:], axis=1)
        start_row = np.full(len(position), -1)
        start_position = np.zeros_like(position)
        rows = np.arange(len(position))
        # Later (nearer) starts overwrite earlier ones, so that a token belongs to the nearest.
        for distance in range(_SPAN_MAX - 1, -1, -1):
            reaches = begins & (length > distance)
            targets = rows[reaches] + distance
            inside = targets < len(rows)
            sources, targets = rows[reaches][inside], targets[inside]
            same_sequence = position[targets] == position[sources] + distance
            start_row[targets[same_sequence]] = sources[same_sequence]
            start_position[targets[same_sequence]] = position[sources[same_sequence]]
        return start_row >= 0, start_position


def span_longer_than() -> np.ndarray:
    """P(span length > n) for n = 0 … 9, of the geometric distribution cut off at 10."""
    mass = _SPAN_GEOMETRIC * (1 - _SPAN_GEOMETRIC) ** np.arange(_SPAN_MAX)
    mass /= mass.sum()
    return 1 - np.concatenate([[0.0], np.cumsum(mass)[:-1]])


def span_start_probability(probability: float) -> float:
    """How often spans must begin for a share ``probability`` of all tokens to be covered.

    A token is uncovered if no span that begins n tokens before it is longer than n.
    """
    longer_than = span_longer_than()

    def covered_too_much(start: float) -> float:
        return float(1 - np.prod(1 - start * longer_than)) - probability

    return brentq(covered_too_much, 0.0, 1.0)  # type: ignore[return-value]


class MaskedLMHead(nn.Module):
    """Dense, activation, norm, then a score for every token of the vocabulary.

    The output matrix is the word embedding itself.
    """

    def __init__(
        self, word_embeddings: nn.Embedding, activation: str, layer_norm_eps: float
    ) -> None:
        super().__init__()
        vocab_size, width = word_embeddings.weight.shape
        self.dense = nn.Linear(width, width)
        self.activation = ACTIVATIONS[activation]
        self.norm = nn.LayerNorm(width, eps=layer_norm_eps)
        self.decoder_weight = word_embeddings.weight  # [V, D], shared with the encoder
        self.bias = nn.Parameter(torch.zeros(vocab_size))

    def transform(self, hidden: Tensor) -> Tensor:
        """[M, D] → [M, D]."""
        return self.norm(self.activation(self.dense(hidden)))

    def forward(self, hidden: Tensor) -> Tensor:
        """[M, D] → scores [M, V]."""
        return nn.functional.linear(self.transform(hidden), self.decoder_weight, self.bias)

    def loss(self, encoded: EncoderOutput, batch: TextBatch) -> tuple[Tensor, Tensor, int]:
        """Mean loss in nats, number of right answers (int64 scalar), number of masked tokens.

        Scores are computed at masked tokens only.
        """
        hidden = encoded.last_hidden_state.index_select(0, batch.masked_rows)
        loss, right = linear_cross_entropy(
            self.transform(hidden), self.decoder_weight, self.bias, batch.masked_labels
        )
        return loss, right, len(batch.masked_labels)
