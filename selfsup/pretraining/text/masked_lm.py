"""Cross-entropy of a linear layer's scores, without keeping the scores in float32.

Shapes: M labels, N rows (M, and padding rows), D width, V vocabulary.
"""

import functools
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import brentq
from torch import Tensor, nn

from selfsup.counter_random import hash64, uniform
from selfsup.encoder.layers import ACTIVATIONS, compute_dtype
from selfsup.encoder.packing import pad_rows
from selfsup.pretraining.text.batch import TextBatch, TextStates
from selfsup.pretraining.text.sequences import Sequences, SpecialTokens

_ROWS_AT_ONCE = 16


def linear_cross_entropy(
    hidden: Tensor, weight: Tensor, bias: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean of ``-log softmax(hidden @ weight.T + bias)[label]``.

    The scores are computed once in the precision of ``hidden`` and overwritten by their
    exponentials, from which the backward pass has the gradient by matrix products alone: with
    p = softmax(z), dL/dz = (p - onehot(label)) / M, so dL/dh = (p W - W[label]) / M and
    dL/dW = (pᵀ h - scatter(h)) / M, and p is never formed. On a CPU, log-softmax's own backward
    pass in float32 costs more than all of this (docs/log.md).

    Args:
        hidden: [N, D], float32 or bfloat16; rows after the M count for nothing.
        weight: [V, D], float32.
        bias: [V], float32.
        labels: int64 [M].

    Returns:
        the mean in nats, float32, and the number of rows in which no score is better than the
        label's, int64; both scalars. With no rows, both are zero.
    """
    if len(labels) == 0:
        return (hidden.sum() + bias.sum()) * 0.0, labels.new_zeros(())
    return _LinearCrossEntropy.apply(hidden, weight, bias, labels)  # type: ignore[return-value]


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden: Tensor, weight: Tensor, bias: Tensor, labels: Tensor):
        device = hidden.device.type
        with torch.autocast(device, enabled=False):
            weight = weight.to(hidden.dtype)
            scores = torch.addmm(bias.to(hidden.dtype), hidden, weight.t())  # [N, V]
            of_label = scores[: len(labels)].gather(1, labels[:, None]).float()  # [M, 1]
            best = scores.amax(-1, keepdim=True)  # [N, 1]
            exponentials = scores.sub_(best).exp_()
            # In parts, since on a CPU torch first copies all that it sums in another precision.
            parts = exponentials.split(_ROWS_AT_ONCE if device == "cpu" else len(exponentials))
            total = torch.cat([part.sum(-1, keepdim=True, dtype=torch.float32) for part in parts])
            best = best[: len(labels)].float()
            losses = total[: len(labels)].log() + best - of_label
            right = (of_label == best).sum()
        ctx.save_for_backward(exponentials, total, hidden, weight, labels)
        ctx.mark_non_differentiable(right)
        return losses.mean(), right

    @staticmethod
    def backward(ctx, gradient: Tensor, _right):  # type: ignore[override]
        exponentials, total, hidden, weight, labels = ctx.saved_tensors
        with torch.autocast(hidden.device.type, enabled=False):
            count = len(labels)
            each = gradient / count
            share = each / total  # [N, 1]: p · each = exponentials · share
            share[count:] = 0
            d_hidden = (exponentials @ weight).float() * share
            d_hidden[:count] -= weight.index_select(0, labels).float() * each
            scaled = (hidden.float() * share).to(hidden.dtype)
            d_weight = (exponentials.t() @ scaled).float()
            d_weight.index_add_(0, labels, hidden[:count].float() * -each)
            d_bias = (exponentials.t() @ share.to(hidden.dtype)).float().squeeze(1)
            d_bias.index_add_(0, labels, (-each).expand(count))
        return d_hidden.to(hidden.dtype), d_weight, d_bias, None


# Masked language modelling: hide some tokens, predict them (BERT §3.1, task 1).
#
# Of the chosen tokens 80 % become ``[MASK]``, 10 % a random token, 10 % stay.
#
# Shapes: B sequences, T tokens in all, M masked tokens, D width, V vocabulary.


MASK_SHARE, RANDOM_SHARE = 0.8, 0.1
_CHOOSE, _SPAN_LENGTH, _ACTION, _REPLACEMENT = range(4)
# SpanBERT (Joshi et al. 2019, §3.1): lengths from a geometric distribution with p = 0.2, up to 10.
_SPAN_GEOMETRIC, _SPAN_MAX = 0.2, 10
_NO_SPAN = -_SPAN_MAX


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
        streams = hash64(seed, epoch, sequences.keys)  # [B]
        sequence, position = _places(sequences.lengths)  # [T] each
        if self.unit == "token":
            chosen = self._chosen(streams, sequence, position)
            unit_position = position
        elif self.unit == "whole-word":
            begins = ~self.is_continuation[sequences.input_ids]
            rows = np.arange(len(position))
            word_begin = np.maximum.accumulate(np.where(begins, rows, 0))
            chosen = self._chosen(streams, sequence, position - (rows - word_begin))
            unit_position = position
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
        hidden = np.where(
            action < MASK_SHARE,
            self.special.mask,
            np.where(action < MASK_SHARE + RANDOM_SHARE, replacement, labels),
        )
        input_ids = sequences.input_ids.copy()
        input_ids[masked_rows] = hidden
        return input_ids, masked_rows, labels

    def _chosen(
        self, streams: np.ndarray, sequence: np.ndarray, unit_position: np.ndarray
    ) -> np.ndarray:
        """Whether the unit that begins at this position is chosen, bool [T]."""
        return _draw(streams, _CHOOSE, sequence, unit_position) < self.probability

    def _random_tokens(
        self, streams: np.ndarray, sequence: np.ndarray, position: np.ndarray
    ) -> np.ndarray:
        """Uniform over the vocabulary less the special tokens, int64 [M]."""
        special = self.special.ids()
        count = self.vocab_size - len(special)
        token = (_draw(streams, _REPLACEMENT, sequence, position) * count).astype(np.int64)
        for taken in special:
            token += token >= taken
        return token

    def _span_begins(self, streams: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Where in its sequence each token's span begins, int64 [T]; ``_NO_SPAN`` outside spans.

        A span begins at each place with a probability such that, overlaps counted once, the
        expected share of tokens covered is ``probability``. Spans may begin before their sequence,
        so that its first tokens are covered as often as others, and they end with it. Where spans
        overlap, a token belongs to the one that begins nearest.
        """
        before = _SPAN_MAX - 1
        sequence, position = _places(lengths + before)
        position -= before
        draw = _draw(streams, _CHOOSE, sequence, position)
        begins = np.flatnonzero(draw < span_start_probability(self.probability))
        draw = _draw(streams, _SPAN_LENGTH, sequence[begins], position[begins])
        length = 1 + np.sum(draw[:, None] < span_longer_than()[None, 1:], axis=1)
        span_begin = np.full(len(position) + before, _NO_SPAN)
        for distance in range(_SPAN_MAX - 1, -1, -1):
            reaching = begins[length > distance]
            # Past a sequence's end lie the places before the next one, which are dropped.
            span_begin[reaching + distance] = position[reaching]
        return span_begin[: len(position)][position >= 0]


def _places(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sequence and the position in it of each token, int64 [T] each."""
    ends = np.cumsum(lengths)
    sequence = np.repeat(np.arange(len(lengths)), lengths)
    return sequence, np.arange(ends[-1]) - (ends - lengths)[sequence]


def _draw(
    streams: np.ndarray, purpose: int, sequence: np.ndarray, position: np.ndarray
) -> np.ndarray:
    """Uniform float64 in [0, 1) at each place of a sequence."""
    return uniform(position, after=hash64(purpose, after=streams)[sequence])


def span_longer_than() -> np.ndarray:
    """P(span length > n) for n = 0 … 9, of the geometric distribution cut off at 10."""
    mass = _SPAN_GEOMETRIC * (1 - _SPAN_GEOMETRIC) ** np.arange(_SPAN_MAX)
    mass /= mass.sum()
    return 1 - np.concatenate([[0.0], np.cumsum(mass)[:-1]])


@functools.cache
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

    def loss(self, states: TextStates, batch: TextBatch) -> tuple[Tensor, Tensor, int]:
        """Mean loss in nats, number of right answers (int64 scalar), number of masked tokens.

        Scores are computed at masked tokens only.
        """
        hidden = self.transform(pad_rows(states.masked))
        # Autocast leaves norms in float32 on some devices; the large product need not be.
        hidden = hidden.to(compute_dtype(hidden))
        loss, right = linear_cross_entropy(
            hidden, self.decoder_weight, self.bias, batch.masked_labels
        )
        return loss, right, len(batch.masked_labels)
