"""Metrics of samples of the examples, in which an example may be repeated: for the bootstrap.

Each function prepares what a metric needs of N examples, and returns a function from indices,
int64, to the metric of the examples at these indices. That takes no time but that of a few sums.
"""

from collections.abc import Callable

import numpy as np

OfSample = Callable[[np.ndarray], float]


def f1_of_sample(right: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> OfSample:
    """The micro-averaged F1; 0 where there is nothing to find and nothing was found.

    Args:
        right: int64 [N], labels or entities of each example that are true and predicted.
        true: int64 [N], those that are true.
        predicted: int64 [N], those that are predicted.
    """
    both = true + predicted

    def of_sample(indices: np.ndarray) -> float:
        total = both[indices].sum()
        return float(2 * right[indices].sum() / total) if total else 0.0

    return of_sample


def spearman_of_sample(values: np.ndarray, true: np.ndarray) -> OfSample:
    """Spearman's correlation of two arrays, float [N]; 0 where one of them is constant."""
    places = [np.unique(array, return_inverse=True)[1] for array in (values, true)]

    def of_sample(indices: np.ndarray) -> float:
        a, b = (_ranks(place[indices]) for place in places)
        spread = float(np.sqrt(a @ a * (b @ b)))
        return float(a @ b) / spread if spread else 0.0

    return of_sample


def _ranks(places: np.ndarray) -> np.ndarray:
    """Ranks less their mean, float64; those of equal values are averaged. No sorting is needed."""
    counts = np.bincount(places)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    return ranks[places] - (len(places) + 1) / 2
