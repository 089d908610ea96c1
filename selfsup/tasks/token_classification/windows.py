"""Sentences of words as token ids, in windows where they are too long.

Only the first piece of each word has a label and scores. A sentence longer than the model's length
is covered by overlapping windows. Each word belongs to the one window in which it has most context,
so each word is trained on once and scored once, and the concatenated rows of the windows are those
of the words in order.

Shapes: N sentences, W windows, B of them in a batch, T tokens of all windows, R words (rows).
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
from selfsup.tasks.notes import tokenizer_notes
from selfsup.tasks.text_windows import IGNORE_INDEX, sequence_layout
from selfsup.tasks.token_classification.pieces import continuing_pieces_of, pieces_of


@dataclass(frozen=True)
class WordBatch(TokenBatch):
    """B windows with the words that belong to them. All their segments are 0.

    Attributes:
        word_rows: int64 [R], the row of each word's first piece among the T tokens.
        labels: int64 [R], -100 where unknown.
    """

    word_rows: Tensor
    labels: Tensor


@dataclass(frozen=True)
class WordWindows:
    """W windows over sentences, in the order of the sentences.

    Attributes:
        input_ids: int32 [T], all windows concatenated, with ``[CLS]`` and ``[SEP]``.
        lengths: int64 [W], tokens of each window.
        row_counts: int64 [W], how many words belong to each window; they are its rows.
        word_positions: int64 [R], the position of each word's first piece in its window.
        labels: int64 [R], -100 where unknown.
    """

    input_ids: np.ndarray
    lengths: np.ndarray
    row_counts: np.ndarray
    word_positions: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)

    def windows_of(self, indices: np.ndarray) -> np.ndarray:
        """Each window is a training unit: ``indices``."""
        return indices

    def batch(self, indices: np.ndarray) -> WordBatch:
        """The windows at ``indices``, int64 [B], in that order."""
        lengths, counts = self.lengths[indices], self.row_counts[indices]
        starts = (np.cumsum(self.lengths) - self.lengths)[indices]
        first_words = (np.cumsum(self.row_counts) - self.row_counts)[indices]
        input_ids = torch.from_numpy(self.input_ids[concatenated_ranges(starts, lengths)]).long()
        words = concatenated_ranges(first_words, counts)
        rows = np.repeat(np.cumsum(lengths) - lengths, counts) + self.word_positions[words]
        return WordBatch(
            input_ids,
            torch.zeros_like(input_ids),
            Packing.from_lengths(torch.from_numpy(lengths)),
            torch.from_numpy(rows),
            torch.from_numpy(self.labels[words]),
        )


@dataclass(frozen=True)
class EncodedSentences:
    """N sentences as token ids.

    Attributes:
        windows: of all sentences; each is also a training unit.
        word_counts: int64 [N], how many words each sentence has.
        notes: how many sentences are longer than a window.
    """

    windows: WordWindows
    word_counts: np.ndarray
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.word_counts)

    @property
    def units(self) -> WordWindows:
        """Each window is a training unit."""
        return self.windows


def encode_words(
    tokenizer: Tokenizer,
    sentences: Sequence[Sequence[str]],
    labels: np.ndarray | None,
    max_length: int,
    overlap: int,
    source: str = "",
    inside: Sequence[Sequence[bool]] | None = None,
) -> EncodedSentences:
    """Turn sentences into windows. A sentence without words gives a window without rows.

    Args:
        tokenizer: has ``[CLS]`` and ``[SEP]``; within the words they are ordinary text.
        sentences: the words of each.
        labels: int64 [R], of all words in order, or None where they are unknown.
        max_length: most tokens of a window, at least 3.
        overlap: tokens that consecutive windows share.
        source: the file, for the note on long sentences.
        inside: for characters, whether each continues the word before it; they are encoded as
            WordPiece spells a word by its characters. None for words.
    """
    distinct = {word for words in sentences for word in words}
    begun = pieces_of(distinct, tokenizer)
    continued = continuing_pieces_of(distinct, tokenizer) if inside else {}
    layout = sequence_layout(tokenizer)
    begin, end = (np.array([token], np.int32) for token in (layout.cls, layout.sep))
    input_ids, positions = [np.empty(0, np.int32)], [np.empty(0, np.int64)]
    lengths, row_counts, long = [], [], 0
    for number, words in enumerate(sentences):
        continue_word = [False] * len(words) if inside is None else inside[number]
        listed = [
            (continued if continues else begun)[word]
            for word, continues in zip(words, continue_word, strict=True)
        ]
        pieces = np.concatenate([np.empty(0, np.int32), *listed])
        piece_counts = np.array([len(each) for each in listed], np.int64)
        first_pieces = np.cumsum(piece_counts) - piece_counts
        for start, stop, own in owned_windows(first_pieces, len(pieces), max_length - 2, overlap):
            input_ids += [begin, pieces[start:stop], end]
            lengths.append(stop - start + 2)
            row_counts.append(len(own))
            positions.append(own - start + 1)
        long += len(pieces) > max_length - 2
    word_counts = np.array([len(words) for words in sentences], np.int64)
    unknown = np.full(int(word_counts.sum()), IGNORE_INDEX, np.int64)
    encoded = WordWindows(
        np.concatenate(input_ids),
        np.asarray(lengths, np.int64),
        np.asarray(row_counts, np.int64),
        np.concatenate(positions),
        unknown if labels is None else labels,
    )
    notes = tokenizer_notes(source, tokenizer, [" ".join(words) for words in sentences])
    note = (
        f"{source}: {long:,} of {len(sentences):,} sentences are longer than {max_length} tokens "
        "and are read in windows"
    )
    return EncodedSentences(encoded, word_counts, ((note,) if long else ()) + tuple(notes))


def owned_windows(
    first_pieces: np.ndarray, piece_count: int, size: int, overlap: int
) -> list[tuple[int, int, np.ndarray]]:
    """Cover a sentence with windows; each word belongs to the one in which it has most context.

    Args:
        first_pieces: int64 [R], the index of each word's first piece, ascending.
        piece_count: how many pieces there are.
        size: most pieces in a window.
        overlap: pieces that consecutive windows share; the last two may share more. Each window
            begins at least one piece after the one before.

    Returns:
        for each window its first piece, the one after its last, and the first pieces of the words
        that belong to it, int64. Windows without words are left out.
    """
    if piece_count <= size:
        return [(0, piece_count, first_pieces)]
    starts = np.arange(0, piece_count - size, max(1, size - overlap))
    starts = np.append(starts, piece_count - size)
    # A word has most context in the window whose middle is nearest to it.
    borders = (starts[:-1] + size + starts[1:] + 1) // 2
    owner = np.searchsorted(borders, first_pieces, side="right")
    used, first_words = np.unique(owner, return_index=True)
    parts = np.split(first_pieces, first_words[1:])
    return [
        (int(start), int(start) + size, own) for start, own in zip(starts[used], parts, strict=True)
    ]
