"""Texts and pairs of texts as token ids: encode them in windows, and make batches of them.

Shapes: N texts (or pairs) in all, B of them in a batch, W windows, T tokens of all windows,
C labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from selfsup.encoder.packing import Packing
from selfsup.shards.arrays import concatenated_ranges
from selfsup.tasks.batches import TokenBatch
from selfsup.tasks.encoders import Limits
from selfsup.tasks.notes import tokenizer_notes
from selfsup.tasks.text_windows import (
    IGNORE_INDEX,
    Spans,
    TokenLists,
    assemble_windows,
    limited_overlap,
    pair_windows,
    sequence_layout,
    token_lists,
    truncate,
    truncate_pairs,
    windows,
)

# A training step keeps the output of every layer, so it uses at most this many windows of a text.
MAX_TRAINING_WINDOWS = 8


@dataclass(frozen=True)
class TextBatch(TokenBatch):
    """The windows of B texts.

    Attributes:
        window_counts: int64 [B], windows of each text.
        labels: of each text. One label: int64 [B], -100 where unknown. Several: float32 [B, C].
            Numbers: float32 [B].
    """

    window_counts: Tensor
    labels: Tensor


@dataclass(frozen=True)
class EncodedTexts:
    """N texts as token ids, with ``[CLS]`` and ``[SEP]``.

    Attributes:
        input_ids: int32 [T], all windows concatenated, those of a text one after the other.
        token_type_ids: int8 [T].
        window_lengths: int64 [W], tokens of each window.
        window_counts: int64 [N], windows of each text, 1 or more.
        labels: as in ``TextBatch``, of all texts.
        notes: how many texts were too long, how they were handled, and what the tokenizer lacks.
    """

    input_ids: np.ndarray
    token_type_ids: np.ndarray
    window_lengths: np.ndarray
    window_counts: np.ndarray
    labels: np.ndarray
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.window_counts)

    @property
    def units(self) -> "TextUnits":
        """What training uses: the texts, each with its windows."""
        return TextUnits(self, self.window_counts)

    @property
    def windows(self) -> "TextUnits":
        """What scoring uses: the windows one by one."""
        return TextUnits(self, np.ones_like(self.window_lengths))


class TextUnits:
    """U texts, each with its windows, or the U windows one by one.

    Of a text of more than ``MAX_TRAINING_WINDOWS`` windows only that many are used, evenly spread.

    Attributes:
        row_counts: int64 [U], the windows that are used of each; each has one row of scores.
        lengths: int64 [U], tokens of these windows.
    """

    def __init__(self, encoded: EncodedTexts, window_counts: np.ndarray) -> None:
        """Divide the windows of the texts, in order, among units: int64 [U]."""
        self._encoded, self._window_counts = encoded, window_counts
        self._first_windows = np.cumsum(window_counts) - window_counts
        self._first_tokens = np.cumsum(encoded.window_lengths) - encoded.window_lengths
        self._text_of_window = np.repeat(np.arange(len(encoded)), encoded.window_counts)
        self.row_counts = np.minimum(window_counts, MAX_TRAINING_WINDOWS)
        tokens = encoded.window_lengths[self.windows_of(np.arange(len(self)))]
        self.lengths = np.add.reduceat(tokens, np.cumsum(self.row_counts) - self.row_counts)

    def __len__(self) -> int:
        return len(self._window_counts)

    def windows_of(self, indices: np.ndarray) -> np.ndarray:
        """The numbers of the windows that the units at ``indices`` give, int64."""
        counts, used = self._window_counts[indices], self.row_counts[indices]
        numbers = concatenated_ranges(np.zeros_like(used), used)
        # The first and the last window, and the others evenly between them.
        last, last_used = np.repeat(counts - 1, used), np.repeat(np.maximum(used - 1, 1), used)
        spread = numbers * last // last_used
        return np.repeat(self._first_windows[indices], used) + spread

    def batch(self, indices: np.ndarray) -> TextBatch:
        """The units at ``indices``, int64 [B], in that order."""
        encoded, windows, counts = self._encoded, self.windows_of(indices), self.row_counts[indices]
        lengths = encoded.window_lengths[windows]
        rows = concatenated_ranges(self._first_tokens[windows], lengths)
        texts = self._text_of_window[windows[np.cumsum(counts) - counts]]
        return TextBatch(
            torch.from_numpy(encoded.input_ids[rows]).long(),
            torch.from_numpy(encoded.token_type_ids[rows]).long(),
            Packing.from_lengths(torch.from_numpy(lengths)),
            torch.from_numpy(counts),
            torch.from_numpy(encoded.labels[texts]),
        )


def encode_texts(
    tokenizer: Tokenizer,
    texts: Sequence[str],
    limits: Limits,
    labels: np.ndarray | None = None,
    *,
    text_pairs: Sequence[str] | None = None,
    source: str = "",
) -> EncodedTexts:
    """Turn texts, or pairs of them, into token ids. Long texts are truncated or read in windows.

    The padding and truncation that some tokenizer folders turn on are ignored.

    Args:
        tokenizer: has ``[CLS]`` and ``[SEP]``.
        texts: N of them.
        limits: how long a sequence may be, and how longer texts are handled.
        labels: as in ``TextBatch``, or None where they are unknown.
        text_pairs: the second text of each pair, or None.
        source: the file, for the notes.
    """
    layout = sequence_layout(tokenizer, paired=text_pairs is not None)
    room = limits.max_length - (2 if text_pairs is None else layout.special_in_pair)
    windowed = limits.long_text == "window"
    keep = None if windowed else limits.max_length
    first = token_lists(tokenizer, texts, keep)
    if text_pairs is None:
        whole = first.lengths
        rooms = np.full_like(whole, room)
        overlap = limited_overlap(limits.doc_stride, rooms)
        spans = windows(whole, rooms, overlap) if windowed else truncate(whole, room)
        parts, truncated_pairs = [_tokens(first, spans)], 0
    else:
        second = token_lists(tokenizer, text_pairs, keep)
        whole = first.lengths + second.lengths
        spans, second_spans = (
            pair_windows(first.lengths, second.lengths, room, limits.doc_stride)
            if windowed
            else truncate_pairs(first.lengths, second.lengths, room)
        )
        parts = [_tokens(first, spans), _tokens(second, second_spans)]
        truncated_pairs = int((np.minimum(first.lengths, second.lengths) > room // 2).sum())
    input_ids, token_type_ids, lengths = assemble_windows(parts, layout)
    counts = np.bincount(spans.texts, minlength=len(texts))
    too_long = int((whole > room).sum())
    all_texts = [*texts, *(text_pairs or ())]
    return EncodedTexts(
        input_ids,
        token_type_ids,
        lengths,
        counts,
        np.full(len(texts), IGNORE_INDEX, np.int64) if labels is None else labels,
        (
            *_notes(source, too_long, counts, truncated_pairs, limits),
            *tokenizer_notes(source, tokenizer, all_texts),
        ),
    )


def _tokens(lists: TokenLists, spans: Spans) -> tuple[np.ndarray, np.ndarray]:
    """The tokens of all spans, concatenated, and how many each has."""
    rows = concatenated_ranges(lists.starts[spans.texts] + spans.starts, spans.lengths)
    return lists.ids[rows], spans.lengths


def _notes(
    source: str, too_long: int, counts: np.ndarray, truncated_pairs: int, limits: Limits
) -> tuple[str, ...]:
    """How many of the texts with ``counts`` windows each are too long, and how they are handled."""
    notes, of_all = [], f"{source}: {too_long:,} of {len(counts):,} texts"
    if limits.long_text != "window":
        return (f"{of_all} cut at {limits.max_length} tokens",) if too_long else ()
    windows_of_long = counts[counts > 1]
    if len(windows_of_long):
        notes.append(
            f"{of_all} are longer than {limits.max_length} tokens and are read in windows, "
            f"{windows_of_long.mean():.1f} on average"
        )
    if truncated_pairs:
        notes.append(
            f"{source}: {truncated_pairs:,} pairs of two long texts: of the shorter one only the "
            "beginning is read, half of a window"
        )
    return tuple(notes)
