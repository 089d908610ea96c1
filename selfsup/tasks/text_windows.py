"""Tokenize texts, and divide their tokens into windows that fit in a sequence.

Lengths count a text's own tokens, without ``[CLS]`` and ``[SEP]``.

Shapes: N texts, W windows, T tokens of all windows, concatenated.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from tokenizers import Tokenizer

from selfsup.errors import UserError
from selfsup.shards.arrays import concatenated_ranges

# The tokenizer's own form of an encoded text takes a hundred bytes a token, so it gets the texts
# in blocks of at most this many texts and characters.
_TEXTS_IN_BLOCK = 4096
_CHARACTERS_IN_BLOCK = 1 << 20

IGNORE_INDEX = -100  # the label that cross-entropy leaves out


class TokenLists(NamedTuple):
    """The tokens of N texts, without ``[CLS]`` and ``[SEP]``.

    Attributes:
        ids: int32, all texts concatenated, each with at most the tokens that are kept.
        starts: int64 [N], the index in ``ids`` at which each text begins.
        lengths: int64 [N], tokens of each whole text, kept or not.
    """

    ids: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray


def token_lists(tokenizer: Tokenizer, texts: Sequence[str], keep: int | None) -> TokenLists:
    """Tokenize texts, and keep the first ``keep`` tokens of each, or all of them."""
    tokenizer = plain_tokenizer(tokenizer)
    ids, kept, lengths = [np.empty(0, np.int32)], [], []
    for block in text_blocks(texts):
        for encoding in tokenizer.encode_batch_fast(block, add_special_tokens=False):
            numbers = encoding.ids
            lengths.append(len(numbers))
            ids.append(np.asarray(numbers[:keep], np.int32))
            kept.append(len(ids[-1]))
    counts, whole = np.asarray(kept, np.int64), np.asarray(lengths, np.int64)
    return TokenLists(np.concatenate(ids), np.cumsum(counts) - counts, whole)


def plain_tokenizer(tokenizer: Tokenizer, *, special_as_text: bool = False) -> Tokenizer:
    """The tokenizer without padding and truncation, which some folders turn on.

    Args:
        tokenizer: is not changed; the result is a copy where something has to change.
        special_as_text: whether ``[SEP]`` and the like in a text are ordinary text.
    """
    is_plain = tokenizer.padding is None and tokenizer.truncation is None
    if is_plain and tokenizer.encode_special_tokens == special_as_text:
        return tokenizer  # a copy would take as long as thirty texts
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.no_padding()
    copy.no_truncation()
    copy.encode_special_tokens = special_as_text
    return copy


class SequenceLayout(NamedTuple):
    """How a tokenizer lays out a text, or a pair of texts.

    ``[CLS] A [SEP]``, or ``[CLS] A [SEP] B [SEP]``, with RoBERTa ``[CLS] A [SEP] [SEP] B [SEP]``.

    Attributes:
        cls, sep: the ids of ``[CLS]`` and ``[SEP]``, whatever the tokenizer calls them.
        separators: how many ``[SEP]`` stand between two texts.
        second_segment: the segment of the second text.
    """

    cls: int
    sep: int
    separators: int = 1
    second_segment: int = 1

    @property
    def special_in_pair(self) -> int:
        """How many special tokens a sequence of two texts has."""
        return 2 + self.separators


_PAIR_LAYOUTS = {  # of an empty pair: which tokens are [SEP], and the segments
    ((1, 1), (0, 0, 1)): (1, 1),
    ((1, 1), (0, 0, 0)): (1, 0),
    ((1, 1, 1), (0, 0, 0, 0)): (2, 0),
}


def sequence_layout(tokenizer: Tokenizer, *, paired: bool = False) -> SequenceLayout:
    """How the tokenizer lays out a text, or with ``paired`` two.

    Raises:
        UserError: it does not put ``[CLS]`` before a text and ``[SEP]`` after it, or lays out a
            pair in no way that ``SequenceLayout`` describes.
    """
    tokenizer = plain_tokenizer(tokenizer)
    around = tokenizer.encode("").ids
    if len(around) != 2:
        raise UserError(
            "the tokenizer does not put [CLS] before a text and [SEP] after it, as BERT's does"
        )
    cls, sep = around
    if not paired:
        return SequenceLayout(cls, sep)
    pair = tokenizer.encode("", "")
    separators = tuple(int(token == sep) for token in pair.ids[1:])
    found = _PAIR_LAYOUTS.get((separators, tuple(pair.type_ids)))
    if found is None or pair.ids[0] != cls:
        raise UserError(
            "the tokenizer does not lay out a pair of texts as BERT's does, [CLS] A [SEP] B "
            "[SEP] in two segments, nor as RoBERTa's: take another model for pairs and questions"
        )
    return SequenceLayout(cls, sep, *found)


def text_blocks(texts: Sequence[str]) -> Iterator[list[str]]:
    """The texts in order, in lists for one call of the tokenizer each."""
    block, characters = [], 0
    for text in texts:
        is_full = len(block) == _TEXTS_IN_BLOCK or characters + len(text) > _CHARACTERS_IN_BLOCK
        if block and is_full:
            yield block
            block, characters = [], 0
        block.append(text)
        characters += len(text)
    if block:
        yield block


def whole_characters(text: str, offsets: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The characters of each token, from the first to the one after the last, in order.

    Of a character that the tokenizer composes, ``tokenizers`` gives only the first code point.
    So a token also gets the combining marks, and the letters that complete a Korean syllable, that
    follow it before the next token.
    """
    if unicodedata.is_normalized("NFC", text):
        return list(offsets)
    widened, following = [], len(text)
    for start, end in reversed(offsets):
        while end < following and _completes(text[end]):
            end += 1
        widened.append((start, end))
        following = start
    return widened[::-1]


def _completes(character: str) -> bool:
    is_vowel_or_final_consonant = "\u1160" <= character <= "\u11ff"
    return is_vowel_or_final_consonant or unicodedata.category(character).startswith("M")


def assemble_windows(
    parts: Sequence[tuple[np.ndarray, np.ndarray]], layout: SequenceLayout
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Concatenate windows of the form ``[CLS] A [SEP]``, or of a pair, as ``layout`` says.

    Args:
        parts: A, or A and B: the tokens of all windows, int32, and how many each window has,
            int64 [W].
        layout: of the tokenizer.

    Returns:
        ids int32 [T], segments int8 [T] (of A 0, up to the first ``[SEP]``, then B's), lengths
        int64 [W].
    """
    between = layout.separators - 1  # more than one
    start = np.int64(1 + between * (len(parts) - 1))
    lengths = sum((counts + 1 for _, counts in parts), start=start)
    assert isinstance(lengths, np.ndarray)
    ends = np.cumsum(lengths)
    input_ids = np.full(int(lengths.sum()), layout.sep, np.int32)
    token_type_ids = np.zeros(len(input_ids), np.int8)
    starts = ends - lengths
    input_ids[starts] = layout.cls
    positions = starts + 1
    for segment, (tokens, counts) in enumerate(parts):
        input_ids[concatenated_ranges(positions, counts)] = tokens
        ends = counts + 1  # with the [SEP]
        token_type_ids[concatenated_ranges(positions, ends)] = segment * layout.second_segment
        positions = positions + ends + between
    return input_ids, token_type_ids, lengths


class Spans(NamedTuple):
    """The part of a text that each window holds.

    Attributes:
        texts: int64 [W], the index of the text.
        starts: int64 [W], the index of the first token in the text.
        lengths: int64 [W], how many tokens of the text the window holds.
    """

    texts: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray


def truncate(lengths: np.ndarray, room: int) -> Spans:
    """Truncate each text to ``room`` tokens: lengths, int64 [N] → N windows."""
    texts = np.arange(len(lengths))
    return Spans(texts, np.zeros_like(lengths), np.minimum(lengths, room))


def truncate_pairs(first: np.ndarray, second: np.ndarray, room: int) -> tuple[Spans, Spans]:
    """Truncate pairs to ``room`` tokens, the longer text first: lengths, int64 [N] each.

    As ``longest_first`` in Hugging Face's tokenizers: the longer text is truncated until both are
    equally long; then both are truncated to half of the room, and the longer one keeps the odd
    token.
    """
    kept_shorter = np.minimum(np.minimum(first, second), room // 2)
    kept_longer = np.minimum(np.maximum(first, second), room - kept_shorter)
    first_is_longer = first > second
    return (
        truncate(np.where(first_is_longer, kept_longer, kept_shorter), room),
        truncate(np.where(first_is_longer, kept_shorter, kept_longer), room),
    )


def windows(lengths: np.ndarray, room: np.ndarray, overlap: np.ndarray) -> Spans:
    """Windows over each text, in order; the last one ends where the text ends.

    Consecutive windows share ``overlap`` tokens. The last two windows of a text may share more, so
    that all windows of long texts are full.

    Args:
        lengths: int64 [N].
        room: int64 [N], most tokens of each text's windows.
        overlap: int64 [N], tokens that consecutive windows share; each window begins at least one
            token after the one before.
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
    """Windows over the longer text of each pair, each together with the shorter text.

    The shorter text is truncated to half of the room, which is the most tokens of both. The
    lengths are int64 [N]; the overlap is as ``limited_overlap`` takes it.
    """
    first_is_longer = first > second
    shorter = np.minimum(np.minimum(first, second), room // 2)
    left = room - shorter
    longer = windows(np.maximum(first, second), left, limited_overlap(overlap, left))
    constant = Spans(longer.texts, np.zeros_like(longer.starts), shorter[longer.texts])
    swap = first_is_longer[longer.texts]

    def chosen(one: Spans, other: Spans) -> Spans:
        starts = np.where(swap, one.starts, other.starts)
        return Spans(one.texts, starts, np.where(swap, one.lengths, other.lengths))

    return chosen(longer, constant), chosen(constant, longer)


def limited_overlap(overlap: int, room: np.ndarray) -> np.ndarray:
    """The overlap, int64 [N], limited to half of each window.

    A larger one would make a window for every few tokens where another text leaves little room.
    """
    return np.minimum(overlap, room // 2)
