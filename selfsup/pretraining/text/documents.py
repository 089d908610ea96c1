"""What the division of a text into documents allows to learn, and to measure."""

import copy
import dataclasses

import numpy as np

from selfsup.errors import UserError
from selfsup.pretraining.text.next_sentence import NextSentence
from selfsup.pretraining.text.sequences import MOST_HELD_OUT, TextCorpus
from selfsup.settings.pretrain import ResolvedPretrainSettings
from selfsup.terminal import say

MIN_DOCUMENTS = 2 * NextSentence.min_documents
# Shares of documents with a single sentence: from the first on, the user is told; above the second,
# the answer "random" is nearly always right, and nothing can be learned.
_MANY_SINGLE, _MOST_SINGLE = 0.5, 0.95
# Of a single document this share is held out, unless the share is more tokens than is needed.
_SHARE_OF_ONE, _ENOUGH_OF_ONE = 0.1, 5000


def why_few_pairs(sentences: np.ndarray, copies: int = 0) -> str:
    """Why few documents, or none, have a next sentence to predict; empty if many have.

    Args:
        sentences: how many sentences each document has, int [D].
        copies: documents that were dropped as duplicates.
    """
    documents, single = len(sentences), int((sentences < 2).sum())
    if documents < MIN_DOCUMENTS:
        number = "is 1 document" if documents == 1 else f"are {documents} documents"
        dropped = f" ({copies:,} copies are dropped)" if copies else ""
        half = MIN_DOCUMENTS // 2
        return (
            f"there {number}{dropped}, and next-sentence prediction needs {MIN_DOCUMENTS}, {half} "
            f"to train on and {half} to measure with"
        )
    if single > _MANY_SINGLE * documents:
        return (
            f"{single:,} of {documents:,} documents are a single sentence, after which nothing can "
            "follow"
        )
    return ""


def drop_impossible_pairs(
    settings: ResolvedPretrainSettings,
    sentences: np.ndarray,
    why: str,
    advice: str,
    *,
    by_default: bool,
) -> ResolvedPretrainSettings:
    """The settings, without next-sentence prediction if it is a default and cannot be learned.

    Prints a line, also if it stays.

    Args:
        settings: of a run with next-sentence prediction.
        sentences, why: the argument of ``why_few_pairs``, and what it returned.
        advice: what divides this text into documents, and which flag changes it.
        by_default: whether the user left the objectives open.

    Raises:
        UserError: the user asked for it, and no document has a next sentence.
    """
    is_impossible = len(sentences) < MIN_DOCUMENTS or bool((sentences < 2).all())
    if is_impossible and not by_default:
        raise UserError(f"{why} ({advice}): divide the text otherwise, or give --objectives mlm")
    if is_impossible or (by_default and (sentences < 2).mean() > _MOST_SINGLE):
        more = f"; {advice}" if len(sentences) > 1 else ""  # else the next line says it
        say(f"Next-sentence prediction is left out: {why}{more}")
        objectives = tuple(name for name in settings.objectives if name != NextSentence.name)
        return dataclasses.replace(settings, objectives=objectives)
    say(f"Next sentences are easily guessed: {why}; {advice}; --objectives mlm leaves them out")
    return settings


def hold_out_end(corpus: TextCorpus, fraction: float) -> tuple[TextCorpus, np.ndarray, np.ndarray]:
    """Divide a corpus of one document between two sentences, as if it were two documents.

    About ``fraction`` of the tokens are held out, but 10 % or 5,000 if that is less than both.

    Returns:
        the corpus, then int64 numbers of the documents to train on and of those held out.

    Raises:
        UserError: the document is a single sentence.
    """
    offsets = corpus.sentence_offsets
    tokens, sentences = int(offsets[-1]), len(offsets) - 1
    if sentences < 2:
        raise UserError(
            "the text is a single sentence, and pre-training needs two, to train on and to measure "
            "with: give more text, or check --language, whose rules divide text into sentences"
        )
    wanted = min(max(fraction * tokens, min(_SHARE_OF_ONE * tokens, _ENOUGH_OF_ONE)), MOST_HELD_OUT)
    cut = int(np.clip(np.searchsorted(offsets, tokens - wanted), 1, sentences - 1))
    divided = copy.copy(corpus)
    divided.document_offsets = np.array([0, cut, sentences], np.int64)
    return divided, np.array([0]), np.array([1])
