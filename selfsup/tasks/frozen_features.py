"""What a frozen encoder makes of windows, computed once and used in every epoch.

Shapes: W windows, R rows of features in all, D width.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from selfsup.objectives.text_corpus import concatenated_ranges
from selfsup.tasks.task import Units


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
