"""Next-sentence prediction: does segment B continue segment A? (BERT §3.1, task 2.)

Shapes: B sequences, D width, N examples of an epoch, W walks through documents.
"""

import numpy as np
from torch import Tensor, nn
from torch.nn import functional as F

from selfsup.counter_random import hash64, integers, uniform
from selfsup.encoder.family import TextFamily
from selfsup.encoder.huggingface.names import NameTable
from selfsup.encoder.text import TextEncoder
from selfsup.errors import UserError
from selfsup.pretraining.text.batches import TextObjective, TextStates
from selfsup.pretraining.text.sequences import SequencePlan, Sequences, SpecialTokens, TextCorpus
from selfsup.shards.arrays import concatenated_ranges

SHORT_SEQUENCE_PROBABILITY = 0.1  # BERT appendix A.2 and its released code
_RANDOM_NEXT, _IS_SHORT, _SHORT_LENGTH, _SPLIT, _DOCUMENT, _SENTENCE = range(6)
# All documents are walked through at once; a longer one is divided among several walks.
_SENTENCES_OF_A_WALK = 1000


def sentence_pairs(
    corpus: TextCorpus,
    documents: np.ndarray,
    special: SpecialTokens,
    max_length: int,
    seed: int,
    epoch: int,
) -> SequencePlan:
    """One epoch of pairs ``[CLS] A [SEP] B [SEP]``.

    Both segments are whole sentences, as many as fit. Half of the time B follows A, else it begins
    at a random sentence of another document. A tenth of the pairs are shorter than they could be.
    A document of one sentence has no continuation, so its pair always has a random B. Sentences are
    cut only if two of them are too long together: A loses its beginning, B its end.

    Raises:
        UserError: there is no other document, or no two sentences in a row.
    """
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
    offsets, max_tokens = corpus.sentence_offsets, max_length - 3
    walks = _DocumentWalks(corpus, documents, max_tokens, hash64(seed, epoch))
    keys, a_begin, a_end, b_begin, b_end, is_random_next = walks.pairs()
    a_length, b_length = offsets[a_end] - offsets[a_begin], offsets[b_end] - offsets[b_begin]
    a_kept = np.minimum(a_length, np.maximum(max_tokens - b_length, max_tokens // 2))
    b_kept = np.minimum(b_length, max_tokens - a_kept)
    starts = np.stack([offsets[a_end] - a_kept, offsets[b_begin]], axis=1)
    lengths = np.stack([a_kept, b_kept], axis=1)
    return SequencePlan(corpus, special, starts, lengths, keys, is_random_next)


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

    def pairs(self) -> np.ndarray:
        """All pairs in sentences, int64 [6, N].

        Each is the sentence at which it was begun (its key), the begin and the end of A, those of
        B, and whether B is random.
        """
        length = self._document_end - self._document_begin
        walk_count = -(-length // _SENTENCES_OF_A_WALK)
        document = np.repeat(np.arange(len(length)), walk_count)  # [W]
        part = concatenated_ranges(np.zeros_like(walk_count), walk_count)
        length, walk_count = length[document], walk_count[document]
        cursor = self._document_begin[document] + length * part // walk_count
        end = self._document_begin[document] + length * (part + 1) // walk_count
        found = []
        while len(cursor):
            pairs = self._next_pairs(cursor, document, end)
            found.append(np.stack(pairs))
            _, _, a_end, _, b_end, is_random = pairs
            cursor = np.where(is_random, a_end, b_end)
            unfinished = cursor < end
            cursor, document, end = cursor[unfinished], document[unfinished], end[unfinished]
        return np.concatenate(found, axis=1)

    def _next_pairs(
        self, sentence: np.ndarray, document: np.ndarray, end: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        """The pair that each walk makes at ``sentence``: the rows of ``pairs``, [W] each.

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
        return sentence, a_begin, a_end, b_begin, b_end, is_random

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

    def _uniform(self, sentence: np.ndarray, purpose: int) -> np.ndarray:
        return uniform(sentence, after=hash64(purpose, after=self._stream))

    def _integers(self, high: int | np.ndarray, sentence: np.ndarray, purpose: int) -> np.ndarray:
        return integers(high, sentence, after=hash64(purpose, after=self._stream))


class NextSentence(TextObjective):
    """The pooled ``[CLS]`` → two scores: B continues A, B is random."""

    name = "nsp"
    plan = staticmethod(sentence_pairs)
    min_documents = 2
    segments = 2
    reads_pooler = True
    architecture = "ForNextSentencePrediction"

    def __init__(self, encoder: TextEncoder) -> None:
        super().__init__()
        self.seq_relationship = nn.Linear(encoder.config.hidden_size, 2)

    @classmethod
    def weight_names(cls, family: TextFamily) -> NameTable:
        return {"seq_relationship": ("cls.seq_relationship",)}

    @staticmethod
    def labels(sequences: Sequences, masked: np.ndarray) -> np.ndarray:
        assert sequences.pair_labels is not None
        return sequences.pair_labels

    def forward(self, pooler_output: Tensor) -> Tensor:
        """[B, D] → [B, 2]."""
        return self.seq_relationship(pooler_output)

    def loss(self, states: TextStates, labels: Tensor) -> tuple[Tensor, Tensor, int]:
        """Mean loss in nats, number of right answers (int64 scalar), number of pairs."""
        scores = self(states.pooler_output).float()
        loss = F.cross_entropy(scores, labels)
        right = (scores.detach().argmax(-1) == labels).sum()
        return loss, right, len(scores)
