"""Where the words of running text are, as BERT's tokenizer sees it before it looks for pieces."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from tokenizers import PreTokenizedString
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from selfsup.shards.folder import concatenated_ranges

# Case and accents are left, since they do not move a border between words.
_CLEANING = BertNormalizer(lowercase=False, strip_accents=False)
_CUTTING = BertPreTokenizer()


def words_of_text(text: str) -> Sequence[tuple[int, int]]:
    """The first character of each word and the one after its last, in order.

    Words are cut at white space; punctuation marks and CJK ideographs are words of their own.
    """
    pieces = PreTokenizedString(text)
    pieces.normalize(_CLEANING.normalize)
    _CUTTING.pre_tokenize(pieces)
    return [
        span
        for word, span, _ in pieces.get_splits(offset_referential="original", offset_type="char")
        if word
    ]


# Divide texts, or pairs of them, into windows of tokens, or cut them to one.
#
# Shapes: N texts, W windows. Lengths are in tokens, without ``[CLS]`` and ``[SEP]``.


class Spans(NamedTuple):
    """What of the texts stands in each window.

    Attributes:
        texts: int64 [W], the number of its text.
        starts: int64 [W], the first token of the text that it holds.
        lengths: int64 [W], how many tokens of the text it holds.
    """

    texts: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray


def cut(lengths: np.ndarray, room: int) -> Spans:
    """The beginning of each text, at most ``room`` tokens, int64 [N] → N windows."""
    texts = np.arange(len(lengths))
    return Spans(texts, np.zeros_like(lengths), np.minimum(lengths, room))


def cut_pairs(first: np.ndarray, second: np.ndarray, room: int) -> tuple[Spans, Spans]:
    """The beginnings of both texts of each pair, the longer one cut first, int64 [N] each.

    As ``longest_first`` in Hugging Face's tokenizers: the longer text gives way until both are
    equally long; then both are halved, and the longer one keeps the odd token.
    """
    kept_shorter = np.minimum(np.minimum(first, second), room // 2)
    kept_longer = np.minimum(np.maximum(first, second), room - kept_shorter)
    first_is_longer = first > second
    return (
        cut(np.where(first_is_longer, kept_longer, kept_shorter), room),
        cut(np.where(first_is_longer, kept_shorter, kept_longer), room),
    )


def windows(lengths: np.ndarray, room: np.ndarray, overlap: np.ndarray) -> Spans:
    """Windows over each text, in order; the last one ends where the text ends.

    Neighbours share ``overlap`` tokens, the last two of a text perhaps more, so that all but the
    windows of short texts are full.

    Args:
        lengths: int64 [N].
        room: int64 [N], most tokens of each text's windows.
        overlap: int64 [N], tokens that neighbours share; fewer where they would leave no way
            forward.
    """
    steps = np.maximum(1, room - overlap)
    counts = 1 + np.maximum(0, -(-(lengths - room) // steps))
    texts = np.repeat(np.arange(len(lengths)), counts)
    numbers = concatenated_ranges(np.zeros_like(counts), counts)
    last_starts = np.maximum(0, lengths - room)
    starts = np.minimum(numbers * steps[texts], last_starts[texts])
    return Spans(texts, starts, np.minimum(lengths, room)[texts])


def pair_windows(
    first: np.ndarray, second: np.ndarray, room: int, overlap: int
) -> tuple[Spans, Spans]:
    """Windows over the longer text of each pair, each beside the shorter one.

    Of the shorter text, too, no more stands in a window than half of its room.

    Args:
        first, second: lengths, int64 [N].
        room: most tokens of both.
        overlap: as ``shared`` takes it.
    """
    first_is_longer = first > second
    shorter = np.minimum(np.minimum(first, second), room // 2)
    left = room - shorter
    longer = windows(np.maximum(first, second), left, shared(overlap, left))
    beside = Spans(longer.texts, np.zeros_like(longer.starts), shorter[longer.texts])
    swap = first_is_longer[longer.texts]
    return _chosen(swap, longer, beside), _chosen(swap, beside, longer)


def shared(overlap: int, room: np.ndarray) -> np.ndarray:
    """How many tokens neighbours share, int64 [N]: at most half of a window, whatever is asked for.

    More would make a window for every few tokens where another text leaves little room.
    """
    return np.minimum(overlap, room // 2)


def _chosen(where: np.ndarray, one: Spans, other: Spans) -> Spans:
    return Spans(
        one.texts,
        np.where(where, one.starts, other.starts),
        np.where(where, one.lengths, other.lengths),
    )
