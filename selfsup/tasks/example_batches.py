"""In which order and with which others examples meet the model.

Texts of like length go together, so that little is padded where attention must pad.
Shapes: N examples, B of them in a batch.
"""

from typing import Any

import numpy as np

from selfsup.counter_random import permutation
from selfsup.tasks.task import ChangingUnits, Units

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
