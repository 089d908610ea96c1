"""The labelled files of a fine-tuning run, encoded for a model, and the batches of each epoch.

Examples of similar length go into one batch, so that attention pads little. Batches hold tokens,
or features that a frozen encoder computed once.

Shapes: N examples, B of them in a batch, W windows, R rows of features in all, D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from selfsup.counter_random import permutation
from selfsup.finetuning.balance import Balance, draw_equally
from selfsup.shards.arrays import concatenated_ranges
from selfsup.tasks.base import AugmentedUnits, EncodedExamples, Examples, Reading, Task, Units
from selfsup.tasks.batches import FeatureBatch
from selfsup.tasks.labels import LabelKind, Labels

_ORDER, _CHUNK_ORDER = 0x4F52444552, 0x4348554E4B
# Examples are sorted by length within chunks of this many batches, so a batch is still a mixture.
_BATCHES_IN_CHUNK = 16


@dataclass(frozen=True)
class EncodedPart:
    """The examples of one file, as they were read and as a model takes them."""

    examples: Examples
    encoded: EncodedExamples

    def __len__(self) -> int:
        return len(self.encoded)


@dataclass(frozen=True)
class TaskData:
    """The labelled examples of a run.

    Attributes:
        labels: those that occur in the training examples.
        notes: what the user should know about the files, one sentence each.
        balance: how training makes up for labels of unequal frequency.
    """

    train: EncodedPart
    validation: EncodedPart
    labels: Labels
    notes: tuple[str, ...]
    balance: Balance = field(default_factory=Balance)


def read_task_files(
    task: Task, train: str, validation: str, reading: Reading
) -> tuple[Examples, Examples]:
    """Read both files. Empty texts are left out of training, but not out of validation."""
    return (
        task.read_examples(train, reading, labelled=True).drop_empty(),
        task.read_examples(validation, reading, labelled=True),
    )


def encode_task_data(
    task: Task,
    train: Examples,
    validation: Examples,
    label_type: LabelKind | None,
    preparation: Any,
) -> TaskData:
    """Find the labels of the training examples, and encode all examples.

    Raises:
        UserError: the labels cannot be learned, or one in validation does not occur in training.
    """
    labels = task.learn_labels(train, label_type)
    train, validation = task.settled(train, labels), task.settled(validation, labels)

    def encoded(examples: Examples) -> EncodedPart:
        return EncodedPart(examples, task.encode_examples(examples, labels, preparation))

    parts = encoded(train), encoded(validation)
    notes = (
        *train.notes,
        *validation.notes,
        *task.reading_notes(train, validation, labels),
        *(note for part in parts for note in part.encoded.notes),
    )
    return TaskData(*parts, labels, notes)


class EpochBatches:
    """The batches of a run, found by their number; each is a function of (seed, number).

    Every epoch contains each example once or, with strata, as many examples, drawn equally from
    each stratum. The last batch of an epoch may be smaller.
    """

    def __init__(
        self,
        units: Units,
        batch_size: int,
        seed: int,
        strata: Sequence[np.ndarray] | None = None,
    ) -> None:
        self._units, self._batch_size, self._seed = units, batch_size, seed
        self._strata = strata
        self._epoch, self._batches = -1, []

    @property
    def steps_per_epoch(self) -> int:
        return -(-len(self._units) // self._batch_size)

    def __getitem__(self, number: int) -> Any:
        """The batch of a step, counted from 0."""
        epoch, step = divmod(number, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch = epoch
            self._batches = self._batches_of(epoch)
            if isinstance(self._units, AugmentedUnits):
                self._units = self._units.for_epoch(self._seed, epoch)
        return self._units.batch(self._batches[step])

    def _batches_of(self, epoch: int) -> list[np.ndarray]:
        lengths, size, seed = self._units.lengths, self._batch_size, self._seed
        if self._strata is None:
            return epoch_batches(lengths, size, seed, epoch)
        drawn = draw_equally(self._strata, len(lengths), seed, epoch)
        return [drawn[batch] for batch in epoch_batches(lengths[drawn], size, seed, epoch)]


def epoch_batches(lengths: np.ndarray, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Divide all examples into batches of similar length, in random order.

    Args:
        lengths: int64 [N].
        batch_size: B; the last batch takes the rest.
        seed, epoch: determine the division and the order.

    Returns:
        for each batch the indices of its examples, int64 [B].
    """
    order = permutation(len(lengths), seed, epoch, _ORDER)
    chunk = batch_size * _BATCHES_IN_CHUNK
    batches: list[np.ndarray] = []
    for number, first in enumerate(range(0, len(order), chunk)):
        indices = order[first : first + chunk]
        # Only full batches are sorted and shuffled, so that the short one stays the last.
        full = len(indices) // batch_size * batch_size
        by_length = indices[:full][np.argsort(lengths[indices[:full]], kind="stable")]
        shuffled = permutation(full // batch_size, seed, epoch, _CHUNK_ORDER, number)
        batches.extend(by_length.reshape(-1, batch_size)[shuffled])
        if full < len(indices):
            batches.append(indices[full:])
    return batches


@dataclass(frozen=True)
class FrozenFeatures:
    """Units or windows whose batches come with features, computed once by a frozen encoder.

    Attributes:
        units: the units or windows that the features belong to.
        features: float32 [R, D], the rows of all windows, concatenated.
        row_counts: int64 [W], number of rows of each window.
    """

    units: Units
    features: Tensor
    row_counts: np.ndarray

    def __len__(self) -> int:
        return len(self.units)

    @property
    def lengths(self) -> np.ndarray:
        """The lengths of the units, int64 [N]."""
        return self.units.lengths

    def batch(self, indices: np.ndarray) -> FeatureBatch:
        """The units at ``indices``, int64 [B], in that order."""
        windows = self.windows_of(indices)
        rows = concatenated_ranges(self._first_rows[windows], self.row_counts[windows])
        return FeatureBatch(self.features[torch.from_numpy(rows)], self.units.batch(indices))

    def windows_of(self, indices: np.ndarray) -> np.ndarray:
        """See ``Units``."""
        return self.units.windows_of(indices)

    @cached_property
    def _first_rows(self) -> np.ndarray:
        return np.cumsum(self.row_counts) - self.row_counts
