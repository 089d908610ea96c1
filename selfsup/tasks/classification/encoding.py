"""Texts and pairs of texts as token ids, in windows, and batches of them.

Shapes: N texts (or pairs) in all, W windows of them, T tokens laid end to end.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from selfsup.encoder.packing import Packing
from selfsup.shards.folder import concatenated_ranges

IGNORE_INDEX = -100  # what cross-entropy leaves out

# A step keeps what every layer computed, so a text of very many windows learns from so many.
MOST_WINDOWS_LEARNT = 8


@dataclass(frozen=True)
class EncodedBatch:
    """The windows of B texts laid end to end in T tokens.

    Attributes:
        input_ids: int64 [T].
        token_type_ids: int64 [T].
        packing: where each window begins.
        window_counts: int64 [B], windows of each text.
        labels: of each text: int64 [B], -100 where unknown; float32 [B, C] of several labels a
            text; float32 [B] of numbers.
    """

    input_ids: Tensor
    token_type_ids: Tensor
    packing: Packing
    window_counts: Tensor
    labels: Tensor

    @property
    def token_count(self) -> int:
        """T."""
        return len(self.input_ids)

    def to(self, device: torch.device) -> "EncodedBatch":
        """The same batch on a device."""
        if device.type == "cpu":
            return self
        return EncodedBatch(
            self.input_ids.to(device),
            self.token_type_ids.to(device),
            self.packing.to(device),
            self.window_counts.to(device),
            self.labels.to(device),
        )


@dataclass(frozen=True)
class EncodedTexts:
    """N texts as token ids, with ``[CLS]`` and ``[SEP]``.

    Attributes:
        input_ids: int32 [T], of all windows laid end to end, each text's one after the other.
        token_type_ids: int8 [T].
        window_lengths: int64 [W], tokens in each window.
        window_counts: int64 [N], windows of each text, 1 or more.
        labels: as in ``EncodedBatch``, of all texts.
        notes: how many texts were too long, and what became of them.
    """

    input_ids: np.ndarray
    token_type_ids: np.ndarray
    window_lengths: np.ndarray
    window_counts: np.ndarray
    labels: np.ndarray
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """N."""
        return len(self.window_counts)

    @property
    def units(self) -> "TextUnits":
        """What to learn from: the texts, each with its windows."""
        return TextUnits(self)

    @property
    def windows(self) -> "TextWindows":
        """What to score."""
        return TextWindows(self)

    def batch(self, windows: np.ndarray, window_counts: np.ndarray) -> EncodedBatch:
        """A batch of windows.

        Args:
            windows: their numbers, int64, those of a text one after the other.
            window_counts: how many follow for each text, int64 [B].
        """
        lengths = self.window_lengths[windows]
        rows = concatenated_ranges(self._starts[windows], lengths)
        texts = self.text_of_window[windows[np.cumsum(window_counts) - window_counts]]
        return EncodedBatch(
            torch.from_numpy(self.input_ids[rows]).long(),
            torch.from_numpy(self.token_type_ids[rows]).long(),
            Packing.from_lengths(torch.from_numpy(lengths)),
            torch.from_numpy(window_counts),
            torch.from_numpy(self.labels[texts]),
        )

    @cached_property
    def text_of_window(self) -> np.ndarray:
        """The place of the text that each window is of, int64 [W]."""
        return np.repeat(np.arange(len(self)), self.window_counts)

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.cumsum(self.window_lengths) - self.window_lengths


@dataclass(frozen=True)
class TextWindows:
    """The windows one by one, to be scored; a row of scores each."""

    encoded: EncodedTexts

    def __len__(self) -> int:
        """W."""
        return len(self.encoded.window_lengths)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each, int64 [W]."""
        return self.encoded.window_lengths

    @property
    def row_counts(self) -> np.ndarray:
        """One each, int64 [W]."""
        return np.ones(len(self), np.int64)

    def windows_of(self, places: np.ndarray) -> np.ndarray:
        """``places`` themselves."""
        return places

    def batch(self, places: np.ndarray) -> EncodedBatch:
        """The windows at ``places``, int64 [B], in that order."""
        return self.encoded.batch(places, np.ones(len(places), np.int64))


@dataclass(frozen=True)
class TextUnits:
    """The texts, each with its windows, to be learnt from.

    Of a text of more than ``MOST_WINDOWS_LEARNT`` windows so many are taken, evenly spread.
    """

    encoded: EncodedTexts

    def __len__(self) -> int:
        """N."""
        return len(self.encoded)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each, int64 [N]."""
        return self._lengths

    @cached_property
    def _lengths(self) -> np.ndarray:
        windows = self.windows_of(np.arange(len(self)))
        texts = self.encoded.text_of_window[windows]
        tokens = np.bincount(texts, self.encoded.window_lengths[windows], minlength=len(self))
        return tokens.astype(np.int64)

    def windows_of(self, places: np.ndarray) -> np.ndarray:
        """The windows to be taken of the texts at ``places``, int64."""
        all_counts = self.encoded.window_counts
        counts, taken = all_counts[places], self._taken[places]
        numbers = concatenated_ranges(np.zeros_like(taken), taken)
        # The first and the last window, and the others evenly between them.
        last, last_taken = np.repeat(counts - 1, taken), np.repeat(np.maximum(taken - 1, 1), taken)
        spread = numbers * last // last_taken
        return np.repeat(self._first_windows[places], taken) + spread

    def batch(self, places: np.ndarray) -> EncodedBatch:
        """The texts at ``places``, int64 [B], in that order."""
        return self.encoded.batch(self.windows_of(places), self._taken[places])

    @cached_property
    def _taken(self) -> np.ndarray:
        return np.minimum(self.encoded.window_counts, MOST_WINDOWS_LEARNT)

    @cached_property
    def _first_windows(self) -> np.ndarray:
        return np.cumsum(self.encoded.window_counts) - self.encoded.window_counts
