"""Texts, or pairs of them, to windows of token ids with ``[CLS]`` and ``[SEP]``."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from tokenizers import Tokenizer

from selfsup.errors import UserError
from selfsup.shards.folder import concatenated_ranges
from selfsup.tasks.classification.encoding import IGNORE_INDEX, EncodedTexts
from selfsup.tasks.labels import Limits
from selfsup.tasks.text_windows import Spans, cut, cut_pairs, pair_windows, shared, windows

# The tokenizer's own form of an encoded text takes a hundred bytes a token; so much exists at once.
_TEXTS_AT_ONCE = 4096
_CHARACTERS_AT_ONCE = 1 << 20


class TokenLists(NamedTuple):
    """The tokens of N texts, without ``[CLS]`` and ``[SEP]``.

    Attributes:
        ids: int32, of all texts laid end to end, of each at most as many as were asked for.
        starts: int64 [N], where each text begins.
        lengths: int64 [N], tokens that each text has, kept or not.
    """

    ids: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray


def encode_texts(
    tokenizer: Tokenizer,
    texts: Sequence[str],
    limits: Limits,
    labels: np.ndarray | None = None,
    *,
    text_pairs: Sequence[str] | None = None,
    source: str = "",
) -> EncodedTexts:
    """Turn texts, or pairs of them, into token ids; what is too long is cut or divided.

    The tokenizer's own padding and truncation, which some folders bring along, are left aside.

    Args:
        tokenizer: knows ``[CLS]`` and ``[SEP]``.
        texts: N of them.
        limits: how long a sequence may be, and what becomes of a longer text.
        labels: as in ``EncodedTexts``, or None where they are unknown.
        text_pairs: the second text of each pair, or None.
        source: the file, for the note on texts that are too long.
    """
    cls, sep = special_ids(tokenizer, paired=text_pairs is not None)
    room = limits.max_length - (2 if text_pairs is None else 3)
    windowed = limits.long_text == "window"
    keep = None if windowed else limits.max_length
    first = token_lists(tokenizer, texts, keep)
    if text_pairs is None:
        whole = first.lengths
        rooms = np.full_like(whole, room)
        overlap = shared(limits.doc_stride, rooms)
        spans = windows(whole, rooms, overlap) if windowed else cut(whole, room)
        parts, cut_pair_texts = [_tokens(first, spans)], 0
    else:
        second = token_lists(tokenizer, text_pairs, keep)
        whole = first.lengths + second.lengths
        spans, beside = (
            pair_windows(first.lengths, second.lengths, room, limits.doc_stride)
            if windowed
            else cut_pairs(first.lengths, second.lengths, room)
        )
        parts = [_tokens(first, spans), _tokens(second, beside)]
        cut_pair_texts = int((np.minimum(first.lengths, second.lengths) > room // 2).sum())
    input_ids, token_type_ids, lengths = laid_out(parts, cls, sep)
    counts = np.bincount(spans.texts, minlength=len(texts))
    too_long = int((whole > room).sum())
    return EncodedTexts(
        input_ids,
        token_type_ids,
        lengths,
        counts,
        np.full(len(texts), IGNORE_INDEX, np.int64) if labels is None else labels,
        _notes(source, too_long, counts, cut_pair_texts, limits),
    )


def token_lists(tokenizer: Tokenizer, texts: Sequence[str], keep: int | None) -> TokenLists:
    """Tokens of texts, of each at most the first ``keep``, or all."""
    tokenizer = plain(tokenizer)
    ids, kept, lengths = [np.empty(0, np.int32)], [], []
    for some in text_blocks(texts):
        for encoding in tokenizer.encode_batch_fast(some, add_special_tokens=False):
            numbers = encoding.ids
            lengths.append(len(numbers))
            ids.append(np.asarray(numbers[:keep], np.int32))
            kept.append(len(ids[-1]))
    counts, whole = np.asarray(kept, np.int64), np.asarray(lengths, np.int64)
    return TokenLists(np.concatenate(ids), np.cumsum(counts) - counts, whole)


def plain(tokenizer: Tokenizer, *, special_as_text: bool = False) -> Tokenizer:
    """Without the padding and truncation that some tokenizers' folders bring along.

    Args:
        tokenizer: is left as it is; where it is to be changed the result is a copy.
        special_as_text: whether what looks like ``[SEP]`` in a text is ordinary text.
    """
    has_none = tokenizer.padding is None and tokenizer.truncation is None
    if has_none and tokenizer.encode_special_tokens == special_as_text:
        return tokenizer  # a copy takes as long as thirty texts do
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.no_padding()
    copy.no_truncation()
    copy.encode_special_tokens = special_as_text
    return copy


def special_ids(tokenizer: Tokenizer, *, paired: bool = False) -> tuple[int, int]:
    """The ids of ``[CLS]`` and ``[SEP]``, by whatever names the tokenizer has them.

    Args:
        tokenizer: of the model.
        paired: whether texts come in pairs.

    Raises:
        UserError: it does not put ``[CLS]`` before a text and ``[SEP]`` after it, or not
            ``[SEP]`` alone between two, or does not tell their segments apart.
    """
    tokenizer = plain(tokenizer)
    around = tokenizer.encode("").ids
    if len(around) != 2:
        raise UserError(
            "the tokenizer does not put [CLS] before a text and [SEP] after it, as BERT's does"
        )
    cls, sep = around
    if paired:
        pair = tokenizer.encode("", "")
        if (pair.ids, pair.type_ids) != ([cls, sep, sep], [0, 0, 1]):
            raise UserError(
                "the tokenizer does not lay out a pair of texts as BERT's does, [CLS] A [SEP] B "
                "[SEP] in two segments: take another model for pairs and questions"
            )
    return cls, sep


def text_blocks(texts: Sequence[str]) -> Iterator[list[str]]:
    """The texts in order, in lists that the tokenizer is given at once."""
    block, characters = [], 0
    for text in texts:
        if block and (len(block) == _TEXTS_AT_ONCE or characters + len(text) > _CHARACTERS_AT_ONCE):
            yield block
            block, characters = [], 0
        block.append(text)
        characters += len(text)
    if block:
        yield block


def _tokens(lists: TokenLists, spans: Spans) -> tuple[np.ndarray, np.ndarray]:
    """The tokens of spans laid end to end, and how many each has."""
    rows = concatenated_ranges(lists.starts[spans.texts] + spans.starts, spans.lengths)
    return lists.ids[rows], spans.lengths


def laid_out(
    parts: Sequence[tuple[np.ndarray, np.ndarray]], cls: int, sep: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``[CLS] A [SEP]``, or ``[CLS] A [SEP] B [SEP]``, of all windows laid end to end.

    Returns:
        ids int32 [T], segments int8 [T] (0 up to the first ``[SEP]``, then 1), lengths int64 [W].
    """
    lengths = sum((counts + 1 for _, counts in parts), start=np.int64(1))
    assert isinstance(lengths, np.ndarray)
    ends = np.cumsum(lengths)
    input_ids = np.full(int(lengths.sum()), sep, np.int32)
    token_type_ids = np.zeros(len(input_ids), np.int8)
    starts = ends - lengths
    input_ids[starts] = cls
    places = starts + 1
    for segment, (tokens, counts) in enumerate(parts):
        input_ids[concatenated_ranges(places, counts)] = tokens
        token_type_ids[concatenated_ranges(places, counts + 1)] = segment
        places = places + counts + 1
    return input_ids, token_type_ids, lengths


def _notes(
    source: str, too_long: int, counts: np.ndarray, cut_pair_texts: int, limits: Limits
) -> tuple[str, ...]:
    """What became of long texts.

    Args:
        source: the file.
        too_long: how many of the N texts or pairs are longer than a sequence.
        counts: int64 [N], windows of each.
        cut_pair_texts: pairs whose shorter text does not fit in half of a window.
        limits: how they were encoded.
    """
    notes, of_all = [], f"{source}: {too_long:,} of {len(counts):,} texts"
    if limits.long_text != "window":
        return (f"{of_all} cut at {limits.max_length} tokens",) if too_long else ()
    windows_of_long = counts[counts > 1]
    if len(windows_of_long):
        notes.append(
            f"{of_all} are longer than {limits.max_length} tokens and are read in windows, "
            f"{windows_of_long.mean():.1f} on average"
        )
    if cut_pair_texts:
        notes.append(
            f"{source}: {cut_pair_texts:,} pairs of two long texts: of the shorter one only the "
            "beginning is read, half of a window"
        )
    return tuple(notes)
