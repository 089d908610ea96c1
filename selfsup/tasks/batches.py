"""Batches of examples: how examples are divided into them, and what a batch holds.

Texts of similar length share a batch, so that attention needs little padding.

Shapes: N examples, B of them in a batch, U units, W windows, R rows of features in all, D width.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from selfsup.counter_random import permutation
from selfsup.encoder.packing import Packing
from selfsup.shards.folder import concatenated_ranges
from selfsup.tasks.base import AugmentedUnits, Losses, Units

_ORDER, _CHUNK_ORDER = 0x4F52444552, 0x4348554E4B
# Texts are sorted by length within chunks of this many batches, so batches stay well mixed.
_BATCHES_IN_CHUNK = 16


class EpochBatches:
    """The batches of a run over its training units. Each depends on (seed, number) alone.

    Every epoch uses each unit once. The last batch of an epoch may be smaller.
    """

    def __init__(self, units: Units, batch_size: int, seed: int) -> None:
        self._units, self._batch_size, self._seed = units, batch_size, seed
        self._epoch, self._batches = -1, []

    @property
    def steps_per_epoch(self) -> int:
        return -(-len(self._units) // self._batch_size)

    def __getitem__(self, number: int) -> Any:
        """The batch of a step, counted from 0."""
        epoch, index = divmod(number, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch = epoch
            self._batches = epoch_batches(self._units.lengths, self._batch_size, self._seed, epoch)
            if isinstance(self._units, AugmentedUnits):
                self._units = self._units.for_epoch(self._seed, epoch)
        return self._units.batch(self._batches[index])


def epoch_batches(lengths: np.ndarray, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Divide all examples into batches of similar length, in random order.

    Args:
        lengths: int64 [N].
        batch_size: B; the last batch holds the remaining examples.
        seed, epoch: the division and the order depend on these alone.

    Returns:
        indices of the examples, int64 [B] for each batch.
    """
    order = permutation(len(lengths), seed, epoch, _ORDER)
    chunk = batch_size * _BATCHES_IN_CHUNK
    batches: list[np.ndarray] = []
    for number, first in enumerate(range(0, len(order), chunk)):
        indices = order[first : first + chunk]
        # Only whole batches are sorted and shuffled, so that the smaller one stays the last.
        whole = len(indices) // batch_size * batch_size
        by_length = indices[:whole][np.argsort(lengths[indices[:whole]], kind="stable")]
        shuffled = permutation(whole // batch_size, seed, epoch, _CHUNK_ORDER, number)
        batches.extend(by_length.reshape(-1, batch_size)[shuffled])
        if whole < len(indices):
            batches.append(indices[whole:])
    return batches


def batches_by_length(lengths: np.ndarray, max_examples: int, max_tokens: int) -> list[np.ndarray]:
    """Divide all examples into batches, longest first, for when the order does not matter.

    Args:
        lengths: int64 [N].
        max_examples: most examples in a batch.
        max_tokens: most tokens in a batch, unless a single example has more.

    Returns:
        indices of the examples, int64 for each batch.
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
        """The same batch on a device."""
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

    def to(self, device: torch.device) -> Self:
        """The same batch on a device."""
        return self if device.type == "cpu" else super().to(device)


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


@dataclass(frozen=True)
class FrozenFeatures:
    """Units or windows with a frozen encoder's output, computed once for all epochs.

    Attributes:
        units: the units, or the windows.
        features: float32 [R, D], of all windows, concatenated.
        window_rows: int64 [W], rows of each window.
    """

    units: Units
    features: Tensor
    window_rows: np.ndarray

    def __len__(self) -> int:
        return len(self.units)

    @property
    def lengths(self) -> np.ndarray:
        """As those of the units, int64 [U]."""
        return self.units.lengths

    @property
    def row_counts(self) -> np.ndarray:
        """If the units are windows: rows of scores for each, int64 [W]."""
        return self.window_rows

    def batch(self, indices: np.ndarray) -> FeatureBatch:
        """The units at ``indices``, int64 [B], in that order."""
        windows = self.units.windows_of(indices)
        rows = concatenated_ranges(self._starts[windows], self.window_rows[windows])
        return FeatureBatch(self.features[torch.from_numpy(rows)], self.units.batch(indices))

    def windows_of(self, indices: np.ndarray) -> np.ndarray:
        """As those of the units, int64."""
        return self.units.windows_of(indices)

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.cumsum(self.window_rows) - self.window_rows


class HeadOnFeatures(nn.Module):
    """The head of a task's model alone, over the output of its frozen encoder."""

    def __init__(
        self,
        head: nn.Module,
        loss: Callable[[Tensor, Any], Losses],
        final: Callable[[Tensor], Tensor] = lambda scores: scores,
    ) -> None:
        """Share the parameters of ``head``.

        Args:
            head: features [rows, D] → what ``loss`` takes, [rows, C].
            loss: of the head's output and the batch that the features were computed from.
            final: from the head's output to the scores.
        """
        super().__init__()
        self.head, self._loss, self._final = head, loss, final

    def forward(self, batch: FeatureBatch) -> Losses:
        """The losses of the whole model."""
        return self._loss(self.head(batch.features), batch.batch)

    def scores(self, batch: FeatureBatch) -> Tensor:
        """The scores of the whole model, [rows, C]."""
        return self._final(self.head(batch.features))
