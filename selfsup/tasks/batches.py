"""Batches of examples: how examples are divided by length, and what a batch holds.

Shapes: N examples, B of them in a batch, W windows, R rows of features in all, D width.
"""

from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from selfsup.encoder.packing import Packing


def batches_by_length(lengths: np.ndarray, max_examples: int, max_tokens: int) -> list[np.ndarray]:
    """Divide all examples into batches, longest first, for when the order does not matter.

    Args:
        lengths: int64, length of each example.
        max_examples: most examples in a batch.
        max_tokens: most tokens in a batch, unless a single example has more.

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


@dataclass(frozen=True)
class TensorBatch:
    """A batch whose fields can all be moved to a device."""

    def to(self, device: torch.device) -> Self:
        """The same batch on a device; it is made on the CPU."""
        if device.type == "cpu":
            return self
        moved = {field.name: getattr(self, field.name).to(device) for field in fields(self)}
        return replace(self, **moved)


@dataclass(frozen=True)
class TokenBatch(TensorBatch):
    """Windows of text, concatenated to T tokens. Each task adds its labels.

    Attributes:
        input_ids: int64 [T].
        token_type_ids: int64 [T].
        packing: where each window begins.
    """

    input_ids: Tensor
    token_type_ids: Tensor
    packing: Packing

    @property
    def token_count(self) -> int:
        """T."""
        return len(self.input_ids)


@dataclass(frozen=True)
class FeatureBatch(TensorBatch):
    """A batch with the encoder's output for its windows.

    Attributes:
        features: float32 [rows, D], of the batch's windows, concatenated.
        batch: the batch that the features were computed from, for its labels and boundaries.
    """

    features: Tensor
    batch: Any

    @property
    def token_count(self) -> int:
        """The rows: the encoder does not run, so tokens do not count."""
        return len(self.features)
