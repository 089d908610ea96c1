"""Token sequences before anything is hidden in them, laid end to end.

Two ways to cut a corpus into sequences: pairs of segments (for next-sentence prediction) and full
sequences. Each is planned for one epoch, and each sequence can then be built on its own: what it
holds is a function of (seed, epoch, its place in the corpus).

Shapes: B sequences, T tokens in all.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from selfsup.counter_random import integers
from selfsup.objectives.text_corpus import TextCorpus, concatenated_ranges


@dataclass(frozen=True)
class SpecialTokens:
    """The ids of the tokens that are no text."""

    pad: int
    unk: int
    cls: int
    sep: int
    mask: int

    def ids(self) -> np.ndarray:
        """All five, sorted, int64."""
        return np.unique([self.pad, self.unk, self.cls, self.sep, self.mask])


@dataclass(frozen=True)
class Sequences:
    """B sequences laid end to end.

    Attributes:
        input_ids: int64 [T].
        token_type_ids: int64 [T], 0 in the first segment and its separators, 1 in the second.
        lengths: int64 [B].
        keys: int64 [B], the place in the corpus that randomness is drawn from.
        is_random_next: int64 [B], 1 where the second segment comes from another document, as in
            BERT's ``next_sentence_label``; None where there are no pairs.
    """

    input_ids: np.ndarray
    token_type_ids: np.ndarray
    lengths: np.ndarray
    keys: np.ndarray
    is_random_next: np.ndarray | None


class SequencePlan(Protocol):
    """The sequences of one epoch."""

    def __len__(self) -> int: ...

    def take(self, examples: np.ndarray) -> Sequences:
        """Build the sequences with these numbers, int64 [B], each below ``len(plan)``."""
        ...


class FullSequences:
    """Documents cut into runs of as many tokens as fit: ``[CLS] … [SEP]``.

    A document's first run ends at a place that changes with the epoch, so that borders fall
    elsewhere each time.
    """

    def __init__(
        self,
        corpus: TextCorpus,
        documents: np.ndarray,
        special: SpecialTokens,
        max_length: int,
        seed: int,
        epoch: int,
    ) -> None:
        self._corpus, self._special = corpus, special
        room = max_length - 2
        first = corpus.sentence_offsets[corpus.document_offsets[documents]]
        length = corpus.document_lengths()[documents]
        shift = np.where(length > room, integers(room, seed, epoch, first), 0)
        run_count = -(-(length + shift) // room)
        document = np.repeat(np.arange(len(documents)), run_count)
        within = concatenated_ranges(np.zeros_like(run_count), run_count)
        begin = within * room - shift[document]
        self._starts = first[document] + np.maximum(begin, 0)
        self._ends = first[document] + np.minimum(begin + room, length[document])

    def __len__(self) -> int:
        return len(self._starts)

    def take(self, examples: np.ndarray) -> Sequences:
        starts = self._starts[examples]
        lengths = self._ends[examples] - starts
        input_ids, token_type_ids = assemble(
            self._corpus, self._special, starts[:, None], lengths[:, None]
        )
        return Sequences(input_ids, token_type_ids, lengths + 2, starts, None)


def assemble(
    corpus: TextCorpus, special: SpecialTokens, starts: np.ndarray, lengths: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """``[CLS]``, then each of S segments followed by ``[SEP]``, for B sequences at once.

    Args:
        corpus: where the tokens are.
        special: ids of ``[CLS]`` and ``[SEP]``.
        starts: the segments' first tokens in the corpus, int64 [B, S].
        lengths: their lengths, int64 [B, S].

    Returns:
        input_ids and token_type_ids (the number of the segment), int64 [T] each.
    """
    batch, segments = lengths.shape
    whole = lengths + 1  # with its [SEP]
    whole[:, 0] += 1  # and [CLS]
    ends = np.cumsum(whole)
    separators = ends - 1
    first_rows = (ends - whole.ravel())[::segments]
    is_text = np.ones(ends[-1], bool)
    is_text[separators] = is_text[first_rows] = False
    input_ids = np.full(ends[-1], special.sep, np.int64)
    input_ids[first_rows] = special.cls
    input_ids[is_text] = corpus.tokens_at(starts.ravel(), lengths.ravel())
    return input_ids, np.repeat(np.tile(np.arange(segments), batch), whole.ravel())
