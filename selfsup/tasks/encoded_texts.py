"""Texts as token ids, and batches of them.

Shapes: N texts in all, B of them in a batch, T tokens laid end to end.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from selfsup.encoder.packing import Packing
from selfsup.objectives.text_corpus import concatenated_ranges

IGNORE_INDEX = -100  # what cross-entropy leaves out

# The tokenizer's own form of an encoded text takes kilobytes; so many exist at a time.
_TEXTS_AT_ONCE = 4096


@dataclass(frozen=True)
class EncodedBatch:
    """B texts laid end to end in T tokens.

    Attributes:
        input_ids: int64 [T].
        token_type_ids: int64 [T].
        packing: where each text begins.
        labels: int64 [B], -100 where unknown.
    """

    input_ids: Tensor
    token_type_ids: Tensor
    packing: Packing
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
            self.labels.to(device),
        )


@dataclass(frozen=True)
class EncodedTexts:
    """N texts as token ids, with ``[CLS]`` and ``[SEP]``.

    Attributes:
        input_ids: int32 [T], of all texts laid end to end.
        token_type_ids: int8 [T].
        lengths: int64 [N], tokens in each text.
        labels: int64 [N], -100 where unknown.
        cut: how many of the texts were longer than allowed, and lost their end.
    """

    input_ids: np.ndarray
    token_type_ids: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray
    cut: int

    def __len__(self) -> int:
        """N."""
        return len(self.lengths)

    def batch(self, places: np.ndarray) -> EncodedBatch:
        """The texts at ``places``, int64 [B], in that order."""
        starts = np.cumsum(self.lengths) - self.lengths
        lengths = self.lengths[places]
        rows = concatenated_ranges(starts[places], lengths)
        return EncodedBatch(
            torch.from_numpy(self.input_ids[rows]).long(),
            torch.from_numpy(self.token_type_ids[rows]).long(),
            Packing.from_lengths(torch.from_numpy(lengths)),
            torch.from_numpy(self.labels[places]),
        )


def encode_texts(
    tokenizer: Tokenizer, texts: Sequence[str], labels: np.ndarray | None, max_length: int
) -> EncodedTexts:
    """Turn texts into token ids; what is over ``max_length`` is cut at the end.

    The tokenizer's own padding and truncation, which some folders bring along, are left aside.

    Args:
        tokenizer: adds ``[CLS]`` and ``[SEP]``.
        texts: N of them.
        labels: int64 [N], or None where they are unknown.
        max_length: most tokens of a text.
    """
    tokenizer = Tokenizer.from_str(tokenizer.to_str())
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)
    input_ids, token_type_ids = [np.empty(0, np.int32)], [np.empty(0, np.int8)]
    lengths, cut = [], 0
    for first in range(0, len(texts), _TEXTS_AT_ONCE):
        for encoding in tokenizer.encode_batch_fast(list(texts[first : first + _TEXTS_AT_ONCE])):
            input_ids.append(np.asarray(encoding.ids, np.int32))
            token_type_ids.append(np.asarray(encoding.type_ids, np.int8))
            lengths.append(len(encoding))
            cut += bool(encoding.overflowing)
    return EncodedTexts(
        np.concatenate(input_ids),
        np.concatenate(token_type_ids),
        np.asarray(lengths, np.int64),
        np.full(len(texts), IGNORE_INDEX, np.int64) if labels is None else labels,
        cut,
    )
