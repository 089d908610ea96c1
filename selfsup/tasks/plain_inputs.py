"""What a model without an encoder sees of labelled examples.

Shapes: M entries, R rows of scores in all, C labels, D numbers of an image.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from selfsup.shards.arrays import concatenated_ranges


@dataclass(frozen=True)
class PlainInputs:
    """Labelled examples as they are, without tokens or patches.

    Attributes:
        kind: "texts": an entry is a text, or both texts of a pair. "words": the words of a
            sentence. "pixels": a vector of an image's pixels.
        entries: M tuples of texts or words, or float32 [M, D].
        labels: of each row of scores. One label: int64 [R]. Several: float32 [R, C]. Numbers:
            float32 [R].
        row_counts: int64 [M], rows of each entry: one for each word of a sentence, else 1.
    """

    kind: Literal["texts", "words", "pixels"]
    entries: Sequence[tuple[str, ...]] | np.ndarray
    labels: np.ndarray
    row_counts: np.ndarray

    def __len__(self) -> int:
        return len(self.entries)

    def at(self, indices: np.ndarray) -> "PlainInputs":
        """Some of the entries, with their rows."""
        entries = self.entries
        if isinstance(entries, np.ndarray):
            chosen: Sequence[tuple[str, ...]] | np.ndarray = entries[indices]
        else:
            chosen = [entries[index] for index in indices]
        counts = self.row_counts[indices]
        rows = concatenated_ranges((np.cumsum(self.row_counts) - self.row_counts)[indices], counts)
        return PlainInputs(self.kind, chosen, self.labels[rows], counts)
