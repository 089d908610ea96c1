"""Sentences and documents of a folder of shards, numbered through, as the objectives see them."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from selfsup.counter_random import permutation
from selfsup.errors import UserError

_HELD_OUT_STREAM = 0x48454C44  # the choice of held-out documents depends on no run's seed


class TokenShard(Protocol):
    """What a shard holds; see ``selfsup.corpus.shards.Shard``."""

    @property
    def tokens(self) -> np.ndarray: ...
    @property
    def sentence_offsets(self) -> np.ndarray: ...
    @property
    def document_offsets(self) -> np.ndarray: ...


class TextCorpus:
    """The shards' tokens (never copied) under global sentence and document numbers.

    Attributes:
        sentence_offsets: int64 [S + 1], first token of each sentence, counted over all shards.
        document_offsets: int64 [D + 1], first sentence of each document, likewise.
    """

    def __init__(self, shards: Sequence[TokenShard]) -> None:
        self._tokens = [shard.tokens for shard in shards]
        token_counts = [len(shard.tokens) for shard in shards]
        sentence_counts = [len(shard.sentence_offsets) - 1 for shard in shards]
        self._first_tokens = _exclusive_sum(token_counts)
        self.sentence_offsets = _join_offsets(
            [shard.sentence_offsets for shard in shards], self._first_tokens
        )
        self.document_offsets = _join_offsets(
            [shard.document_offsets for shard in shards], _exclusive_sum(sentence_counts)
        )

    @property
    def document_count(self) -> int:
        return len(self.document_offsets) - 1

    def document_starts(self) -> np.ndarray:
        """First token of each document, int64 [D]."""
        return self.sentence_offsets[self.document_offsets[:-1]]

    def document_lengths(self) -> np.ndarray:
        """Tokens in each document, int64 [D]."""
        return np.diff(self.sentence_offsets[self.document_offsets])

    def tokens_at(self, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """The tokens of spans that each lie within one document, laid end to end, int64."""
        shard = np.searchsorted(self._first_tokens, starts, side="right") - 1
        begin = starts - self._first_tokens[shard]
        spans = zip(shard.tolist(), begin.tolist(), (begin + lengths).tolist(), strict=True)
        return np.concatenate([self._tokens[i][a:b] for i, a, b in spans], dtype=np.int64)


def split_held_out(
    corpus: TextCorpus, fraction: float, at_least: int = 1, max_tokens: int = 200_000
) -> tuple[np.ndarray, np.ndarray]:
    """Divide the documents into those to train on and those held out, int64 numbers of each.

    At least ``at_least`` documents go to either part. No more than about ``max_tokens`` tokens are
    held out, which is enough to measure by; where ``at_least`` documents are longer than that, the
    shortest ones are held out. The choice depends on the corpus alone.

    Raises:
        UserError: if there are fewer than twice ``at_least`` documents.
    """
    if corpus.document_count < 2 * at_least:
        raise UserError(
            f"the corpus has {corpus.document_count} document(s), and pre-training needs "
            f"{2 * at_least}: {at_least} to train on and {at_least} to measure with; give more text"
        )
    order = permutation(corpus.document_count, _HELD_OUT_STREAM)
    lengths = corpus.document_lengths()
    if lengths[order[:at_least]].sum() > max_tokens:
        order = np.argsort(lengths, kind="stable")
    total = np.cumsum(lengths[order])
    wanted = min(round(corpus.document_count * fraction), int(np.searchsorted(total, max_tokens)))
    held_out_count = min(max(at_least, wanted), corpus.document_count - at_least)
    return np.sort(order[held_out_count:]), np.sort(order[:held_out_count])


def concatenated_ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """``range(start, start + length)`` for each pair, laid end to end, int64."""
    places = np.cumsum(lengths) - lengths
    return np.repeat(starts - places, lengths) + np.arange(int(lengths.sum()))


def _exclusive_sum(counts: list[int]) -> np.ndarray:
    return np.cumsum([0, *counts[:-1]])


def _join_offsets(offsets: list[np.ndarray], firsts: np.ndarray) -> np.ndarray:
    parts = [part[:-1] + first for part, first in zip(offsets, firsts, strict=True)]
    return np.concatenate([*parts, offsets[-1][-1:] + firsts[-1]]).astype(np.int64)
