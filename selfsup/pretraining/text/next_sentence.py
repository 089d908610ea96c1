"""Next-sentence prediction: does segment B continue segment A? (BERT §3.1, task 2.)

Shapes: B sequences, D width, N examples of an epoch, W walks through documents.
"""

from typing import NamedTuple

import numpy as np
from torch import Tensor, nn
from torch.nn import functional as F

from selfsup.counter_random import hash64, integers, uniform
from selfsup.encoder.bert import BertEncoder
from selfsup.errors import UserError
from selfsup.pretraining.text.batches import TextHead, TextObjective, TextStates
from selfsup.pretraining.text.sequences import (
    Sequences,
    SpecialTokens,
    TextCorpus,
    assemble,
    concatenated_ranges,
)

SHORT_SEQUENCE_PROBABILITY = 0.1  # BERT appendix A.2 and its released code
_RANDOM_NEXT, _IS_SHORT, _SHORT_LENGTH, _SPLIT, _DOCUMENT, _SENTENCE = range(6)
# All documents are walked through at once; a longer one is divided among several walks.
_SENTENCES_OF_A_WALK = 1000


class SentencePairs:
    """One epoch of pairs ``[CLS] A [SEP] B [SEP]``.

    Both segments are whole sentences, as many as fit. Half of the time B follows A, else it begins
    at a random sentence of another document. A tenth of the pairs are shorter than they could be.
    A document of one sentence has no continuation, so its pair always has a random B. Sentences are
    cut only if two of them are too long together: A loses its beginning, B its end.
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
        """Plan the position of every pair's segments.

        Raises:
            UserError: there is no other document, or no two sentences in a row.
        """
        _check_pairs(corpus, documents)
        self._corpus, self._special = corpus, special
        self._pairs = _DocumentWalks(corpus, documents, max_length - 3, hash64(seed, epoch)).pairs()

    def __len__(self) -> int:
        return len(self._pairs.key)

    def take(self, examples: np.ndarray) -> Sequences:
        pairs = _Pairs(*(column[examples] for column in self._pairs))
        input_ids, token_type_ids = assemble(
            self._corpus,
            self._special,
            np.stack([pairs.a_start, pairs.b_start], axis=1),
            np.stack([pairs.a_length, pairs.b_length], axis=1),
        )
        return Sequences(
            input_ids,
            token_type_ids,
            pairs.a_length + pairs.b_length + 3,
            pairs.key,
            pairs.is_random_next.astype(np.int64),
        )


class _Pairs(NamedTuple):
    """The positions of the segments of N pairs, in tokens.

    Attributes:
        key: int64 [N], the sentence at which the pair was begun.
        a_start, b_start: int64 [N].
        a_length, b_length: int64 [N].
        is_random_next: bool [N].
    """

    key: np.ndarray
    a_start: np.ndarray
    a_length: np.ndarray
    b_start: np.ndarray
    b_length: np.ndarray
    is_random_next: np.ndarray


class _DocumentWalks:
    """Walks through all documents at once: each pair begins where the one before it ended.

    A pair is a function of the random stream and of the sentence at which it begins.
    """

    def __init__(
        self, corpus: TextCorpus, documents: np.ndarray, max_tokens: int, stream: np.ndarray
    ) -> None:
        self._offsets, self._max_tokens, self._stream = corpus.sentence_offsets, max_tokens, stream
        self._document_begin = corpus.document_offsets[documents]
        self._document_end = corpus.document_offsets[documents + 1]

    def pairs(self) -> _Pairs:
        length = self._document_end - self._document_begin
        walk_count = -(-length // _SENTENCES_OF_A_WALK)
        document = np.repeat(np.arange(len(length)), walk_count)  # [W]
        part = concatenated_ranges(np.zeros_like(walk_count), walk_count)
        length, walk_count = length[document], walk_count[document]
        cursor = self._document_begin[document] + length * part // walk_count
        end = self._document_begin[document] + length * (part + 1) // walk_count
        found = []
        while len(cursor):
            pairs, cursor = self._next_pairs(cursor, document, end)
            found.append(pairs)
            unfinished = cursor < end
            cursor, document, end = cursor[unfinished], document[unfinished], end[unfinished]
        return _Pairs(*(np.concatenate(column) for column in zip(*found, strict=True)))

    def _next_pairs(
        self, sentence: np.ndarray, document: np.ndarray, end: np.ndarray
    ) -> tuple[_Pairs, np.ndarray]:
        """The pair that each walk makes at ``sentence``, and the next sentence, int64 [W].

        Args:
            sentence: int64 [W].
            document: which of the documents the walk is in, int64 [W].
            end: the sentence before which the walk ends, int64 [W].
        """
        is_short = self._uniform(sentence, _IS_SHORT) < SHORT_SEQUENCE_PROBABILITY
        short = 2 + self._integers(max(1, self._max_tokens - 1), sentence, _SHORT_LENGTH)
        room = np.where(is_short, short, self._max_tokens)
        is_alone = self._document_end[document] - self._document_begin[document] < 2
        is_random = (self._uniform(sentence, _RANDOM_NEXT) < 0.5) | is_alone
        # First, all pairs as if B continued A. A walk's last sentence has no continuation: there, A
        # begins one sentence earlier.
        a_begin = sentence - ((sentence + 1 == end) & ~is_random)
        b_end = np.maximum(self._fitting(sentence, room), a_begin + 2)
        b_end = np.minimum(b_end, end)
        a_end = a_begin + 1 + self._integers(np.maximum(b_end - a_begin - 1, 1), sentence, _SPLIT)
        b_begin = a_end.copy()
        rows = np.flatnonzero(is_random)
        a_end[rows], b_begin[rows], b_end[rows] = self._random_second(
            sentence[rows], document[rows], a_begin[rows], a_end[rows], room[rows]
        )
        go_on = np.where(is_random, a_end, b_end)
        return self._in_tokens(sentence, a_begin, a_end, b_begin, b_end, is_random), go_on

    def _random_second(
        self,
        sentence: np.ndarray,
        document: np.ndarray,
        a_begin: np.ndarray,
        a_end: np.ndarray,
        room: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Choose a random sentence of another document as B, with as many after it as fit.

        Returns:
            the end of A, earlier if that sentence did not fit; the begin and the end of B; int64.
        """
        offsets = self._offsets
        other = self._integers(len(self._document_begin) - 1, sentence, _DOCUMENT)
        other += other >= document
        begin, end = self._document_begin[other], self._document_end[other]
        b_begin = begin + self._integers(end - begin, sentence, _SENTENCE)
        longest_a = room - (offsets[b_begin + 1] - offsets[b_begin])
        a_end = np.minimum(a_end, np.maximum(self._fitting(a_begin, longest_a), a_begin + 1))
        left = room - (offsets[a_end] - offsets[a_begin])
        b_end = np.maximum(self._fitting(b_begin, left), b_begin + 1)
        return a_end, b_begin, np.minimum(b_end, end)

    def _fitting(self, begin: np.ndarray, room: np.ndarray) -> np.ndarray:
        """The end of the longest run of sentences from ``begin`` that fits, int64 [W]."""
        return np.searchsorted(self._offsets, self._offsets[begin] + room, side="right") - 1

    def _in_tokens(
        self,
        key: np.ndarray,
        a_begin: np.ndarray,
        a_end: np.ndarray,
        b_begin: np.ndarray,
        b_end: np.ndarray,
        is_random: np.ndarray,
    ) -> _Pairs:
        """Convert sentences to tokens, and cut them if they are too long."""
        offsets, half = self._offsets, self._max_tokens // 2
        a_length, b_length = (
            offsets[a_end] - offsets[a_begin],
            offsets[b_end] - offsets[b_begin],
        )
        a_kept = np.minimum(a_length, np.maximum(self._max_tokens - b_length, half))
        b_kept = np.minimum(b_length, self._max_tokens - a_kept)
        return _Pairs(key, offsets[a_end] - a_kept, a_kept, offsets[b_begin], b_kept, is_random)

    def _uniform(self, sentence: np.ndarray, purpose: int) -> np.ndarray:
        return uniform(sentence, after=hash64(purpose, after=self._stream))

    def _integers(self, high: int | np.ndarray, sentence: np.ndarray, purpose: int) -> np.ndarray:
        return integers(high, sentence, after=hash64(purpose, after=self._stream))


def _check_pairs(corpus: TextCorpus, documents: np.ndarray) -> None:
    if len(documents) < 2:
        raise UserError(
            "next-sentence prediction needs at least two documents, and there is "
            f"{'one' if len(documents) else 'none'}: add texts, or train with --objectives mlm"
        )
    # In the whole corpus: the few held-out documents may well have one sentence each.
    if np.diff(corpus.document_offsets).max() < 2:
        raise UserError(
            "next-sentence prediction needs documents of at least two sentences, and all have one: "
            "check how the texts are divided into documents, or train with --objectives mlm"
        )


class NextSentence(TextObjective):
    """Next-sentence prediction."""

    name = "nsp"
    plan = SentencePairs
    min_documents = 2
    segments = 2
    architecture = "BertForNextSentencePrediction"
    weight_names = {"seq_relationship": ("cls.seq_relationship",)}  # noqa: RUF012

    def head(self, encoder: BertEncoder) -> "NextSentenceHead":
        return NextSentenceHead(encoder.config.hidden_size)

    def labels(self, sequences: Sequences, masked: np.ndarray) -> np.ndarray:
        assert sequences.pair_labels is not None
        return sequences.pair_labels


class NextSentenceHead(TextHead):
    """The pooled ``[CLS]`` → two scores: B continues A, B is random."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.seq_relationship = nn.Linear(width, 2)

    def forward(self, pooler_output: Tensor) -> Tensor:
        """[B, D] → [B, 2]."""
        return self.seq_relationship(pooler_output)

    def loss(self, states: TextStates, labels: Tensor) -> tuple[Tensor, Tensor, int]:
        """Mean loss in nats, number of right answers (int64 scalar), number of pairs."""
        scores = self(states.pooler_output).float()
        loss = F.cross_entropy(scores, labels)
        right = (scores.detach().argmax(-1) == labels).sum()
        return loss, right, len(scores)
