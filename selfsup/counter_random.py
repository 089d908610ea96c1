"""Random numbers as a pure function of integers.

There is no generator state: the random number at (seed, epoch, example, position) is a hash of
those integers. So the data of a training step depends neither on the number of workers or ranks nor
on interruptions of the run.

The hash chains the finaliser of SplitMix64 (Steele, Lea & Flood 2014, "Fast splittable
pseudorandom number generators", Fig. 15) over the integers.
"""

import numpy as np

_GOLDEN_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIER_1 = np.uint64(0xBF58476D1CE4E5B9)
_MULTIPLIER_2 = np.uint64(0x94D049BB133111EB)
_TO_UNIT = 2.0**-53


def hash64(*keys: int | np.ndarray, after: int | np.ndarray = 0) -> np.ndarray:
    """Hash integers, broadcast against each other, to uint64.

    Each key is an int or an integer array; the result has their broadcast shape. Order matters:
    ``hash64(1, 2) != hash64(2, 1)``. A hash can continue from another one, so that common keys are
    hashed only once: ``hash64(1, 2) == hash64(2, after=hash64(1))``.
    """
    state = np.asarray(after, np.uint64)
    with np.errstate(over="ignore"):
        for key in keys:
            key = np.uint64(key & 0xFFFFFFFFFFFFFFFF) if isinstance(key, int) else key
            state = _mix(np.asarray(key).astype(np.uint64, copy=False) + state + _GOLDEN_GAMMA)
    return np.asarray(state)


def uniform(*keys: int | np.ndarray, after: int | np.ndarray = 0) -> np.ndarray:
    """Uniform float64 in [0, 1), of the keys' broadcast shape; ``after`` as in ``hash64``."""
    return (hash64(*keys, after=after) >> np.uint64(11)).astype(np.float64) * _TO_UNIT


def integers(
    high: int | np.ndarray, *keys: int | np.ndarray, after: int | np.ndarray = 0
) -> np.ndarray:
    """Uniform int64 in [0, high), of the keys' broadcast shape; ``after`` as in ``hash64``.

    ``high`` must be at most 2**52.
    """
    return (uniform(*keys, after=after) * high).astype(np.int64)


def permutation(length: int, *keys: int) -> np.ndarray:
    """A random order of ``range(length)``, int64 [length]."""
    return np.argsort(hash64(*keys, np.arange(length)), kind="stable")


def _mix(z: np.ndarray) -> np.ndarray:
    z = (z ^ (z >> np.uint64(30))) * _MULTIPLIER_1
    z = (z ^ (z >> np.uint64(27))) * _MULTIPLIER_2
    return z ^ (z >> np.uint64(31))
