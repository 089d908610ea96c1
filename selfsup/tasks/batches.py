"""In which order and with which others examples meet the model.

Texts of like length go together, so that little is padded where attention must pad.
Shapes: N examples, B of them in a batch.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from selfsup.counter_random import permutation
from selfsup.shards.folder import concatenated_ranges
from selfsup.tasks.base import ChangingUnits, Units

_ORDER, _CHUNK_ORDER = 0x4F52444552, 0x4348554E4B
# Texts are sorted by length within this many batches, so a batch is still a mixture of examples.
_BATCHES_IN_CHUNK = 16


class EpochBatches:
    """The batches of one run over units to learn from, each a function of (seed, number).

    Every epoch shows each unit once. The last batch of an epoch may be smaller.
    """

    def __init__(self, units: Units, batch_size: int, seed: int) -> None:
        self._units, self._batch_size, self._seed = units, batch_size, seed
        self._epoch, self._batches = -1, []

    @property
    def steps_per_epoch(self) -> int:
        return -(-len(self._units) // self._batch_size)

    def __getitem__(self, number: int) -> Any:
        """The batch of a step, counted from 0."""
        epoch, place = divmod(number, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch = epoch
            self._batches = epoch_batches(self._units.lengths, self._batch_size, self._seed, epoch)
            if isinstance(self._units, ChangingUnits):
                self._units = self._units.in_epoch(self._seed, epoch)
        return self._units.batch(self._batches[place])


def epoch_batches(lengths: np.ndarray, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Divide all examples into batches of like length, in random order.

    Args:
        lengths: int64 [N].
        batch_size: B; the last batch takes what is left.
        seed, epoch: what the division and the order are a function of.

    Returns:
        places of the examples, int64 [B] each.
    """
    order = permutation(len(lengths), seed, epoch, _ORDER)
    chunk = batch_size * _BATCHES_IN_CHUNK
    batches: list[np.ndarray] = []
    for number, first in enumerate(range(0, len(order), chunk)):
        places = order[first : first + chunk]
        # Only whole batches are sorted and mixed, so that the short one stays the last.
        whole = len(places) // batch_size * batch_size
        by_length = places[:whole][np.argsort(lengths[places[:whole]], kind="stable")]
        mixed = permutation(whole // batch_size, seed, epoch, _CHUNK_ORDER, number)
        batches.extend(by_length.reshape(-1, batch_size)[mixed])
        if whole < len(places):
            batches.append(places[whole:])
    return batches


def batches_by_length(lengths: np.ndarray, max_examples: int, max_tokens: int) -> list[np.ndarray]:
    """Divide all examples into batches, longest first, for when order does not matter.

    Args:
        lengths: int64 [N].
        max_examples: most examples in a batch.
        max_tokens: most tokens in a batch, unless one example alone has more.

    Returns:
        places of the examples, int64 each.
    """
    order = np.argsort(-lengths, kind="stable")
    batches, first = [], 0
    while first < len(order):
        fitting = max_tokens // max(1, int(lengths[order[first]]))
        end = first + max(1, min(max_examples, fitting))
        batches.append(order[first:end])
        first = end
    return batches


# What a frozen encoder makes of windows, computed once and used in every epoch.
#
# Shapes: W windows, R rows of features in all, D width.


@dataclass(frozen=True)
class FeatureBatch:
    """A batch with the features of its windows.

    Attributes:
        features: float32 [rows, D], of the batch's windows laid end to end.
        batch: what the features were made from, with its labels and boundaries.
    """

    features: Tensor
    batch: Any

    @property
    def token_count(self) -> int:
        """None of the tokens is computed again: rows alone count."""
        return len(self.features)

    def to(self, device: torch.device) -> "FeatureBatch":
        """The same batch on a device."""
        return FeatureBatch(self.features.to(device), self.batch.to(device))


@dataclass(frozen=True)
class FrozenFeatures:
    """Units, or windows, whose batches come with features.

    Attributes:
        units: those that the features are for.
        features: float32 [R, D], of all windows laid end to end.
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
        """Where the units are the windows: rows of scores that each gives, int64 [W]."""
        return self.window_rows

    def batch(self, places: np.ndarray) -> FeatureBatch:
        """The units at ``places``, int64 [B], in that order."""
        windows = self.units.windows_of(places)
        rows = concatenated_ranges(self._starts[windows], self.window_rows[windows])
        return FeatureBatch(self.features[torch.from_numpy(rows)], self.units.batch(places))

    def windows_of(self, places: np.ndarray) -> np.ndarray:
        """As those of the units, int64."""
        return self.units.windows_of(places)

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.cumsum(self.window_rows) - self.window_rows
