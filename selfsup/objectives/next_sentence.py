"""Next-sentence prediction: does segment B continue segment A? (BERT §3.1, task 2.)

Shapes: B sequences, T tokens in all, D width, N examples of an epoch, S sentences.
"""

import numpy as np
from torch import Tensor, nn
from torch.nn import functional as F

from selfsup.counter_random import integers, uniform
from selfsup.encoder.bert import EncoderOutput
from selfsup.objectives.sequences import Sequences, SpecialTokens, assemble
from selfsup.objectives.text_batch import TextBatch
from selfsup.objectives.text_corpus import TextCorpus

SHORT_SEQUENCE_PROBABILITY = 0.1  # BERT appendix A.2 and its released code
_RANDOM_NEXT, _IS_SHORT, _SHORT_LENGTH, _SPLIT, _DOCUMENT, _SENTENCE = range(6)


class SentencePairs:
    """One epoch of pairs ``[CLS] A [SEP] B [SEP]``.

    Both segments are whole sentences, as many as fit. Half the time B is what follows A, else it
    begins at a random sentence of another document. A tenth of the pairs are shorter than they
    could be. A document of one sentence cannot be continued, so its pair always has a random B.
    Only where two sentences alone are too long are they cut: A loses its beginning, B its end.
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
        self._corpus, self._documents, self._special = corpus, documents, special
        self._seed, self._epoch, self._max_tokens = seed, epoch, max_length - 3
        self._starts, self._document_of_start = self._plan()

    def __len__(self) -> int:
        return len(self._starts)

    def take(self, examples: np.ndarray) -> Sequences:
        a_begin, ends = self._starts[examples], self._document_of_start[examples]
        room, is_random, a_begin, a_end, b_end = self._segments(
            a_begin, *self._document_bounds(ends)
        )
        offsets = self._corpus.sentence_offsets
        b_begin = a_end.copy()
        b_begin[is_random], b_end[is_random] = self._random_segments(
            self._starts[examples][is_random],
            ends[is_random],
            (room - (offsets[a_end] - offsets[a_begin]))[is_random],
        )
        a_start, a_length = offsets[a_begin], offsets[a_end] - offsets[a_begin]
        b_start, b_length = offsets[b_begin], offsets[b_end] - offsets[b_begin]
        half = self._max_tokens // 2
        a_kept = np.minimum(a_length, np.maximum(self._max_tokens - b_length, half))
        b_kept = np.minimum(b_length, self._max_tokens - a_kept)
        input_ids, is_special = assemble(
            self._corpus,
            self._special,
            [(a_start + a_length - a_kept, a_kept), (b_start, b_kept)],
        )
        segment_lengths = np.stack([a_kept + 2, b_kept + 1], axis=1).ravel()
        token_type_ids = np.repeat(np.tile([0, 1], len(examples)), segment_lengths)
        return Sequences(
            input_ids,
            token_type_ids,
            a_kept + b_kept + 3,
            self._starts[examples],
            is_special,
            is_random.astype(np.int64),
        )

    def _plan(self) -> tuple[np.ndarray, np.ndarray]:
        """First sentence of every example and its document's place in the list, int64 [N] each.

        Walks all documents at once: an example begins where the one before it in its document
        has ended.
        """
        begin, end = self._document_bounds(np.arange(len(self._documents)))
        document, cursor = np.arange(len(self._documents)), begin
        starts, documents = [], []
        while len(document):
            starts.append(cursor)
            documents.append(document)
            _, is_random, _, a_end, b_end = self._segments(cursor, begin[document], end[document])
            cursor = np.where(is_random, a_end, b_end)
            unfinished = cursor < end[document]
            cursor, document = cursor[unfinished], document[unfinished]
        return np.concatenate(starts), np.concatenate(documents)

    def _document_bounds(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        documents = self._documents[places]
        offsets = self._corpus.document_offsets
        return offsets[documents], offsets[documents + 1]

    def _segments(
        self, sentence: np.ndarray, document_begin: np.ndarray, document_end: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Where A and a continuing B lie, for examples that begin at ``sentence``, int64 [N].

        Returns:
            room for A and B together, whether B is random, A's first sentence, A's end (and B's
            first sentence, if it continues), B's end: [N] each.
        """
        key = (self._seed, self._epoch, sentence)
        offsets = self._corpus.sentence_offsets
        is_short = uniform(*key, _IS_SHORT) < SHORT_SEQUENCE_PROBABILITY
        short = 2 + integers(max(1, self._max_tokens - 1), *key, _SHORT_LENGTH)
        room = np.where(is_short, short, self._max_tokens)
        fits = np.searchsorted(offsets, offsets[sentence] + room, side="right") - 1
        is_alone = document_end - document_begin < 2
        is_random = (uniform(*key, _RANDOM_NEXT) < 0.5) | is_alone
        # A continuation of the document's last sentence is found by beginning one sentence before.
        is_last = (sentence + 1 == document_end) & ~is_random
        a_begin = sentence - is_last
        b_end = np.minimum(np.maximum(fits, a_begin + 2), document_end)
        a_end = a_begin + 1 + integers(np.maximum(b_end - a_begin - 1, 1), *key, _SPLIT)
        return room, is_random, a_begin, a_end, b_end

    def _random_segments(
        self, sentence: np.ndarray, own_place: np.ndarray, room: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """A run of sentences from another document for each example: begin and end, int64 [N]."""
        key = (self._seed, self._epoch, sentence)
        other = integers(len(self._documents) - 1, *key, _DOCUMENT)
        begin, end = self._document_bounds(other + (other >= own_place))
        begin = begin + integers(end - begin, *key, _SENTENCE)
        offsets = self._corpus.sentence_offsets
        fits = np.searchsorted(offsets, offsets[begin] + room, side="right") - 1
        return begin, np.minimum(np.maximum(fits, begin + 1), end)


class NextSentenceHead(nn.Module):
    """The pooled ``[CLS]`` → two scores: B continues A, B is random."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.seq_relationship = nn.Linear(width, 2)

    def forward(self, pooler_output: Tensor) -> Tensor:
        """[B, D] → [B, 2]."""
        return self.seq_relationship(pooler_output)

    def loss(self, encoded: EncoderOutput, batch: TextBatch) -> tuple[Tensor, Tensor, int]:
        """Mean loss in nats, number of right answers (int64 scalar), number of pairs."""
        assert batch.next_sentence_label is not None
        scores = self(encoded.pooler_output).float()
        loss = F.cross_entropy(scores, batch.next_sentence_label)
        right = (scores.detach().argmax(-1) == batch.next_sentence_label).sum()
        return loss, right, len(scores)
