"""What a frozen encoder makes of texts, computed once and used in every epoch.

Shapes: N texts, B of them in a batch, D width.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class FeatureBatch:
    """The features of B texts.

    Attributes:
        features: float32 [B, D].
        labels: int64 [B].
    """

    features: Tensor
    labels: Tensor

    @property
    def token_count(self) -> int:
        """None of the tokens is computed again: one row a text."""
        return len(self.features)

    def to(self, device: torch.device) -> "FeatureBatch":
        """The same batch on a device."""
        return FeatureBatch(self.features.to(device), self.labels.to(device))


@dataclass(frozen=True)
class FrozenFeatures:
    """The features of N texts.

    Attributes:
        features: float32 [N, D].
        labels: int64 [N].
    """

    features: Tensor
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.features)

    @property
    def lengths(self) -> np.ndarray:
        """All equal, int64 [N]."""
        return np.ones(len(self), np.int64)

    def batch(self, places: np.ndarray) -> FeatureBatch:
        """The texts at ``places``, int64 [B], in that order."""
        rows = torch.from_numpy(places)
        return FeatureBatch(self.features[rows], torch.from_numpy(self.labels[places]))
