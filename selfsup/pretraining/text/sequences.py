"""The corpus as global sentences and documents, and token sequences cut from it, before masking.

A corpus is cut into full sequences, here, or into pairs of segments, in ``next_sentence``. One
epoch is planned at a time; each sequence can then be built on its own, as a function of (seed,
epoch, its position in the corpus).

Shapes: N sequences of an epoch, B of a batch, T tokens in all, D documents, S sentences or
segments, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer

from selfsup.corpus.tokenizer.words import special_token
from selfsup.counter_random import integers, permutation
from selfsup.errors import UserError
from selfsup.shards.arrays import concatenated_ranges, read_spans
from selfsup.shards.tokens import Shard

MOST_HELD_OUT = 200_000  # tokens, which is enough to measure with
_HELD_OUT_STREAM = 0x48454C44  # the choice of held-out documents depends on no run's seed


class TextCorpus:
    """The shards' tokens, read as they are needed, with global sentence and document numbers.

    Attributes:
        sentence_offsets: int64 [S + 1], first token of each sentence, counted over all shards.
        document_offsets: int64 [D + 1], first sentence of each document, counted over all shards.
    """

    def __init__(self, shards: Sequence[Shard]) -> None:
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
        """The tokens of spans that each lie within one document, concatenated, int64.

        Raises:
            UserError: a shard has become too short.
        """
        shard = np.searchsorted(self._first_tokens, starts, side="right") - 1
        return read_spans(self._tokens, shard, starts - self._first_tokens[shard], lengths)


def split_held_out(
    corpus: TextCorpus, fraction: float, at_least: int = 1, max_tokens: int = MOST_HELD_OUT
) -> tuple[np.ndarray, np.ndarray]:
    """Divide the documents into those to train on and those held out, int64 numbers of each.

    Each part has at least ``at_least`` documents. About ``max_tokens`` tokens at most are held out,
    which is enough to measure with; if ``at_least`` documents are longer than that, the shortest
    ones are held out. If several are needed, for pairs of sentences, each part has a document of
    more than one sentence where there are two. The choice depends on nothing but the corpus.

    Raises:
        UserError: if there are fewer than twice ``at_least`` documents.
    """
    if corpus.document_count < 2 * at_least:
        raise UserError(
            f"the corpus has {corpus.document_count} document(s), and pre-training needs "
            f"{2 * at_least}: {at_least} to train on and {at_least} to measure with"
        )
    order = permutation(corpus.document_count, _HELD_OUT_STREAM)
    lengths = corpus.document_lengths()
    if lengths[order[:at_least]].sum() > max_tokens:
        order = np.argsort(lengths, kind="stable")
    has_next = np.flatnonzero(np.diff(corpus.document_offsets)[order] > 1)
    if at_least > 1 and len(has_next) > 1:
        first, last = has_next[[0, -1]]
        others = np.delete(order, [first, last])
        order = np.concatenate([order[[first]], others, order[[last]]])
    total = np.cumsum(lengths[order])
    wanted = min(round(corpus.document_count * fraction), int(np.searchsorted(total, max_tokens)))
    held_out_count = min(max(at_least, wanted), corpus.document_count - at_least)
    return np.sort(order[held_out_count:]), np.sort(order[:held_out_count])


def token_counts(corpus: TextCorpus, documents: np.ndarray, vocab_size: int) -> np.ndarray:
    """How often each token occurs in some documents, int64 [V]."""
    counts = np.zeros(vocab_size, np.int64)
    starts, lengths = corpus.document_starts(), corpus.document_lengths()
    for part in np.array_split(documents, max(1, len(documents) // 4096)):
        tokens = corpus.tokens_at(starts[part], lengths[part])
        counts += np.bincount(tokens, minlength=vocab_size)
    return counts


def _exclusive_sum(counts: list[int]) -> np.ndarray:
    return np.cumsum([0, *counts[:-1]])


def _join_offsets(offsets: list[np.ndarray], firsts: np.ndarray) -> np.ndarray:
    parts = [part[:-1] + first for part, first in zip(offsets, firsts, strict=True)]
    return np.concatenate([*parts, offsets[-1][-1:] + firsts[-1]]).astype(np.int64)


@dataclass(frozen=True)
class SpecialTokens:
    """The ids of the special tokens: BERT's ``[PAD]`` and so on, or those that do the same."""

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
    """B packed sequences.

    Attributes:
        input_ids: int64 [T].
        token_type_ids: int64 [T], 0 in the first segment and its separators, 1 in the second.
        lengths: int64 [B].
        keys: int64 [B], their positions in the corpus, which seed what is random in each.
        pair_labels: int64 [B], what is to be predicted of each pair of segments (1 where the
            second comes from another document, as in BERT's ``next_sentence_label``); None where
            there are no pairs.
    """

    input_ids: np.ndarray
    token_type_ids: np.ndarray
    lengths: np.ndarray
    keys: np.ndarray
    pair_labels: np.ndarray | None


@dataclass(frozen=True)
class SequencePlan:
    """The N sequences of one epoch, each of S segments: the positions of their tokens.

    Attributes:
        corpus: the tokens.
        special: ids of ``[CLS]`` and ``[SEP]``.
        starts: the segments' first tokens in the corpus, int64 [N, S].
        lengths: their lengths, int64 [N, S].
        keys: int64 [N], see ``Sequences``.
        pair_labels: int64 [N], see ``Sequences``; None where there are no pairs.
    """

    corpus: TextCorpus
    special: SpecialTokens
    starts: np.ndarray
    lengths: np.ndarray
    keys: np.ndarray
    pair_labels: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, examples: np.ndarray) -> Sequences:
        """Build the sequences with these numbers, int64 [B], each below ``len(plan)``."""
        starts, lengths = self.starts[examples], self.lengths[examples]
        input_ids, token_type_ids = assemble(self.corpus, self.special, starts, lengths)
        return Sequences(
            input_ids,
            token_type_ids,
            lengths.sum(1) + 1 + lengths.shape[1],
            self.keys[examples],
            None if self.pair_labels is None else self.pair_labels[examples],
        )


def full_sequences(
    corpus: TextCorpus,
    documents: np.ndarray,
    special: SpecialTokens,
    max_length: int,
    seed: int,
    epoch: int,
) -> SequencePlan:
    """Documents cut into runs of as many tokens as fit: ``[CLS] … [SEP]``.

    The length of a document's first run changes with the epoch, so that the borders between runs
    change too.
    """
    room = max_length - 2
    first = corpus.sentence_offsets[corpus.document_offsets[documents]]
    length = corpus.document_lengths()[documents]
    shift = np.where(length > room, integers(room, seed, epoch, first), 0)
    run_count = -(-(length + shift) // room)
    document = np.repeat(np.arange(len(documents)), run_count)
    within = concatenated_ranges(np.zeros_like(run_count), run_count)
    begin = within * room - shift[document]
    starts = first[document] + np.maximum(begin, 0)
    ends = first[document] + np.minimum(begin + room, length[document])
    return SequencePlan(corpus, special, starts[:, None], (ends - starts)[:, None], starts)


def assemble(
    corpus: TextCorpus, special: SpecialTokens, starts: np.ndarray, lengths: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """``[CLS]``, then each of S segments followed by ``[SEP]``, for B sequences at once.

    Arguments are as the attributes of ``SequencePlan``, for these sequences only.

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


def special_tokens(tokenizer: Tokenizer) -> SpecialTokens:
    """The ids of the five special tokens that masked language modelling needs.

    Raises:
        UserError: the tokenizer lacks one.
    """
    ids = {}
    for part in SpecialTokens.__dataclass_fields__:
        name = special_token(tokenizer, part)
        number = None if name is None else tokenizer.token_to_id(name)
        if number is None:
            raise UserError(
                f"the tokenizer has no [{part.upper()}]: train another with train-tokenizer"
            )
        ids[part] = number
    return SpecialTokens(**ids)
