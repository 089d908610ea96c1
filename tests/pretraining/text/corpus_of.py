"""Corpora in memory whose every token tells its own place, so that tests see what goes where."""

import numpy as np
from hypothesis import strategies as st

from selfsup.pretraining.text.sequences import SpecialTokens, TextCorpus
from selfsup.shards.arrays import StoredArray
from selfsup.shards.tokens import Shard

SPECIAL = SpecialTokens(pad=0, unk=1, cls=2, sep=3, mask=4)
FIRST_TOKEN = 5  # token number t of the corpus is written FIRST_TOKEN + t


# A document as the lengths of its sentences.
Documents = list[list[int]]


def corpus_of(documents: Documents, shards: int = 1) -> TextCorpus:
    """Sentences of these lengths, in so many shards (as far as there are documents)."""
    next_token = FIRST_TOKEN
    parts = []
    for part in np.array_split(np.arange(len(documents)), min(shards, len(documents))):
        sentences = [length for place in part for length in documents[place]]
        tokens = np.arange(next_token, next_token + sum(sentences), dtype=np.uint32)
        next_token += len(tokens)
        parts.append(
            Shard(
                tokens=StoredArray.in_memory(tokens),
                sentence_offsets=np.cumsum([0, *sentences]),
                document_offsets=np.cumsum([0, *(len(documents[place]) for place in part)]),
            )
        )
    return TextCorpus(parts)


def vocab_size_of(documents: Documents) -> int:
    return FIRST_TOKEN + sum(map(sum, documents))


def random_documents(
    min_documents: int = 1, max_sentence: int = 20, max_sentences: int = 8
) -> st.SearchStrategy[Documents]:
    sentences = st.lists(st.integers(1, max_sentence), min_size=1, max_size=max_sentences)
    return st.lists(sentences, min_size=min_documents, max_size=8)
