"""95 % intervals of a metric over the examples that it was measured on.

Shapes: N examples, S bootstrap samples.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from selfsup.counter_random import integers

_BOOTSTRAP = 0x424F4F54
SAMPLES = 1000
_Z = 1.959964  # of the normal distribution, on both sides


class Interval(NamedTuple):
    """Its two ends."""

    low: float
    high: float


def wilson_interval(share: float, count: int) -> Interval:
    """The interval of a share of ``count`` examples (Wilson 1927): also right near 0 and 1."""
    middle = share + _Z**2 / (2 * count)
    reach = _Z * np.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    whole = 1 + _Z**2 / count
    return Interval(max(0.0, float((middle - reach) / whole)), float((middle + reach) / whole))


def bootstrap(
    metrics: Sequence[Callable[[np.ndarray], float]], count: int, samples: int = SAMPLES
) -> np.ndarray:
    """Each metric on the same samples of the examples, float64 [metrics, S].

    Args:
        metrics: functions of the indices of examples.
        count: N.
        samples: S; each holds N examples, drawn with replacement.
    """
    found = np.empty((len(metrics), samples))
    places = np.arange(count)
    for sample in range(samples):
        indices = integers(count, _BOOTSTRAP, sample, places)
        for row, metric in enumerate(metrics):
            found[row, sample] = metric(indices)
    return found


def percentile_interval(values: np.ndarray) -> Interval:
    """The middle 95 % of bootstrap values, float64 [S] (Efron 1979)."""
    low, high = np.quantile(values, [0.025, 0.975])
    return Interval(float(low), float(high))
