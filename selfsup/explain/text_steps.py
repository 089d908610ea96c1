"""The steps of the course on text: tokens, hidden tokens, pairs. All by the code that pre-trains.

Shapes: T tokens of a sequence, with [CLS] and [SEP]; M chosen tokens; V vocabulary.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from tokenizers import Tokenizer

from selfsup.corpus.text import clean_paragraphs, split_sentences
from selfsup.corpus.tokenizer.training import train_tokenizer
from selfsup.corpus.tokenizer.wordpiece import vocabulary_size
from selfsup.corpus.tokenizer.words import continuation_pieces
from selfsup.pretraining.text.masking import MASK_SHARE, RANDOM_SHARE, Masking
from selfsup.pretraining.text.next_sentence import sentence_pairs
from selfsup.pretraining.text.sequences import (
    Sequences,
    SpecialTokens,
    TextCorpus,
    assemble,
    special_tokens,
)
from selfsup.settings.pretrain import PretrainSettings
from selfsup.shards.arrays import StoredArray
from selfsup.shards.tokens import Shard

PROBABILITY = PretrainSettings.mask_probability
LONGEST = PretrainSettings.max_length
SHARES = {"mask": MASK_SHARE, "random": RANDOM_SHARE, "same": 1 - MASK_SHARE - RANDOM_SHARE}
PAIR_LENGTH = 64
SEEDS_COUNTED, PAIR_SEEDS_COUNTED = 1000, 200
_VOCAB_SIZE, _MOST_SEEDS_TRIED = 8192, 10_000

Sentences = list[np.ndarray]  # the ids of each sentence, int64, at least one


def learn_tokenizer(course: Sequence[str], own: Sequence[str]) -> Tokenizer:
    """A small tokenizer, which keeps whole the words of one's own that the course has too."""
    # A text of the course counts twice and one's own three times, so that its characters are not
    # among the rarest, which are left out; and a token must occur four times.
    texts = [*course, *own] * 2 + [*own]
    return train_tokenizer(texts, vocab_size=_VOCAB_SIZE, min_frequency=4, allow_fewer=True)


def sentences_of(text: str, language: str, tokenizer: Tokenizer) -> Sentences:
    """The ids of each sentence, as `prepare` cleans and splits a document."""
    sentences = [
        np.array(tokenizer.encode(sentence, add_special_tokens=False).ids, np.int64)
        for paragraph in clean_paragraphs(text)
        for sentence in split_sentences(paragraph, language)
    ]
    return [ids for ids in sentences if len(ids)]


def corpus_of(documents: Sequence[Sentences]) -> TextCorpus:
    """A corpus as pre-training reads it, in memory."""
    sentences = [ids for document in documents for ids in document]
    lengths, counts = [len(ids) for ids in sentences], [len(document) for document in documents]
    offsets = (np.cumsum([0, *each]) for each in (lengths, counts))
    return TextCorpus([Shard(StoredArray.in_memory(np.concatenate(sentences)), *offsets)])


def as_sequence(sentences: Sentences, special: SpecialTokens, longest: int) -> Sequences:
    """``[CLS]``, the first tokens of a text, ``[SEP]``: at most ``longest`` in all."""
    corpus = corpus_of([sentences])
    length = min(int(corpus.document_lengths()[0]), longest - 2)
    ids, types = assemble(corpus, special, np.zeros((1, 1), np.int64), np.array([[length]]))
    return Sequences(ids, types, np.array([length + 2]), np.zeros(1, np.int64), None)


class Hidden(NamedTuple):
    """A sequence with some tokens hidden.

    Attributes:
        seed: the random seed.
        seen: what the model reads, int64 [T].
        rows: the chosen positions, int64 [M].
        answers: the ids that were there, int64 [M].
        actions: for each, "mask", "random" or "same".
    """

    seed: int
    seen: np.ndarray
    rows: np.ndarray
    answers: np.ndarray
    actions: list[str]


class Hider:
    """Hides tokens of a sequence, as the first epoch of a pre-training does."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.special = special_tokens(tokenizer)
        vocab_size, continues = vocabulary_size(tokenizer), continuation_pieces(tokenizer)
        self._masking = Masking(PROBABILITY, "token", self.special, vocab_size, continues)

    def special_tokens(self, sequence: Sequences) -> list[str]:
        """For each token "special", or "" if it may be chosen."""
        return np.where(np.isin(sequence.input_ids, self.special.ids()), "special", "").tolist()

    def hide(self, sequence: Sequences, seed: int) -> Hidden:
        """The sequence with this random seed."""
        seen, rows, answers = self._masking.mask(sequence, seed, epoch=0)
        actions = np.where(
            seen[rows] == self.special.mask,
            "mask",
            np.where(seen[rows] == answers, "same", "random"),
        )
        return Hidden(seed, seen, rows, answers, actions.tolist())

    def first_that_hides(self, sequence: Sequences, seed: int) -> Hidden:
        """With this seed, or the next one that chooses a token."""
        tried = (self.hide(sequence, seed + more) for more in range(_MOST_SEEDS_TRIED))
        return next(hidden for hidden in tried if len(hidden.rows))

    def shares(self, sequence: Sequences, seed: int) -> dict[str, float]:
        """Over many seeds: the share of tokens that are chosen, and of these each action's."""
        hidden = [self.hide(sequence, seed + more) for more in range(SEEDS_COUNTED)]
        actions = [action for each in hidden for action in each.actions]
        shares = {action: actions.count(action) / max(1, len(actions)) for action in SHARES}
        count = self.special_tokens(sequence).count("")
        return {"chosen": len(actions) / (SEEDS_COUNTED * count)} | shares


class Pair(NamedTuple):
    """A pair of segments.

    Attributes:
        input_ids: int64 [T].
        segments: 0 or 1 for each token, int64 [T].
        label: 0 if B follows A, 1 if it is random.
    """

    input_ids: np.ndarray
    segments: np.ndarray
    label: int


class Pairs:
    """The pairs that begin with a document's first sentence, by their random seeds."""

    def __init__(
        self, documents: Sequence[Sentences], special: SpecialTokens, longest: int
    ) -> None:
        """``longest``: the most tokens of a pair."""
        self._corpus, self._special, self._longest = corpus_of(documents), special, longest
        self._numbers = np.arange(len(documents))

    def pair(self, document: int, seed: int) -> Pair:
        """The pair of the first epoch."""
        plan = sentence_pairs(
            self._corpus, self._numbers, self._special, self._longest, seed, epoch=0
        )
        first = int(self._corpus.document_offsets[document])
        chosen = plan.take(np.flatnonzero(plan.keys == first)[:1])
        assert chosen.pair_labels is not None
        return Pair(chosen.input_ids, chosen.token_type_ids, int(chosen.pair_labels[0]))

    def first_with(self, label: int, document: int, seed: int) -> Pair | None:
        """With this seed, or the next one whose pair has this label; None if many have not."""
        tried = (self.pair(document, seed + more) for more in range(PAIR_SEEDS_COUNTED))
        return next((pair for pair in tried if pair.label == label), None)

    def random_share(self, document: int, seed: int) -> float:
        """Over many seeds, the share of pairs with a random B."""
        labels = [self.pair(document, seed + more).label for more in range(PAIR_SEEDS_COUNTED)]
        return sum(labels) / len(labels)
