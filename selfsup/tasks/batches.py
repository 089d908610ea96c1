"""Batches of examples: of similar length, and of features that a frozen encoder computed."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class FeatureBatch:
    """A batch with the features of its windows.

    Attributes:
        features: float32 [rows, D], the rows of the batch's windows, concatenated.
        batch: the batch that the features were computed from, with its labels and boundaries.
    """

    features: Tensor
    batch: Any

    @property
    def token_count(self) -> int:
        """Number of rows: no token is encoded again."""
        return len(self.features)

    def to(self, device: torch.device) -> "FeatureBatch":
        """The same batch on a device."""
        return FeatureBatch(self.features.to(device), self.batch.to(device))


def batches_by_length(lengths: np.ndarray, max_examples: int, max_tokens: int) -> list[np.ndarray]:
    """Divide all examples into batches, longest first, for when order does not matter.

    Args:
        lengths: int64, length of each example.
        max_examples: most examples in a batch.
        max_tokens: most tokens in a batch, unless one example alone has more.

    Returns:
        for each batch the indices of its examples, int64.
    """
    order = np.argsort(-lengths, kind="stable")
    batches, first = [], 0
    while first < len(order):
        fitting = max_tokens // max(1, int(lengths[order[first]]))
        end = first + max(1, min(max_examples, fitting))
        batches.append(order[first:end])
        first = end
    return batches
