"""Labels of unequal frequency: weights of the loss, and epochs that draw all labels equally often.

Shapes: N examples, R rows of scores, C labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from selfsup.counter_random import permutation
from selfsup.errors import UserError
from selfsup.settings.finetune import FinetuneSettings
from selfsup.tasks.base import Task
from selfsup.tasks.label_weights import read_label_weights
from selfsup.tasks.labels import Labels

BALANCED = "balanced"
_DRAW = 0x44524157


@dataclass(frozen=True)
class Balance:
    """How a run makes up for unequal frequencies.

    Attributes:
        class_weights: float32 [C], as ``TaskModule.class_weights``; None for equal ones.
        strata: for each label the training examples that have it, int64; None if an epoch holds
            each example once.
    """

    class_weights: np.ndarray | None = None
    strata: tuple[np.ndarray, ...] | None = None


def balance_of(settings: FinetuneSettings, task: Task, encoded: object, labels: Labels) -> Balance:
    """What the flags ask for.

    Args:
        settings: of the run.
        task: of the run.
        encoded: the training examples.
        labels: of the training examples.

    Raises:
        UserError: the labels are numbers, the file of weights cannot be used, or two flags make up
            for the same.
    """
    weights, sampling = settings.class_weights, settings.sampling
    if weights is None and sampling is None:
        return Balance()
    flag = f"--class-weights {weights}" if weights is not None else f"--sampling {sampling}"
    if labels.kind == "number":
        raise UserError(f"{flag} is for labels, not for numbers: leave it out")
    if weights == BALANCED and sampling is not None:
        raise UserError(
            f"{flag} and --sampling {sampling} make up for the same frequencies twice: leave one "
            "out"
        )
    if settings.head == "fitted":
        raise UserError(f"{flag} is for a head that is trained: leave out --head fitted")
    true = task.row_labels(encoded)
    found = None
    if weights is not None:
        counts = _counts(true, len(labels))
        found = balanced_weights(counts, len(true), several=true.ndim == 2)
        if weights != BALANCED:
            given = read_label_weights(weights, labels.names, np.flatnonzero(counts).tolist())
            found = np.array([given.get(number, 1.0) for number in range(len(labels))])
            if true.ndim == 1:  # the mean over the examples is 1, so that no rate need change
                found = found * counts.sum() / (found @ counts)
    return Balance(
        None if found is None else found.astype(np.float32),
        None if sampling is None else strata_of(true, len(labels)),
    )


def balanced_weights(counts: np.ndarray, total: int, *, several: bool) -> np.ndarray:
    """Weights that make all labels count the same, float64 [C].

    One label: N / (labels that occur · its count), as scikit-learn's ``balanced``. Several: how
    often it is absent for each time that it is there.

    Args:
        counts: int64 [C], how many rows have each label.
        total: all rows.
        several: whether a row has several labels.
    """
    present = np.maximum(counts, 1)
    if several:
        return np.where((counts > 0) & (counts < total), (total - counts) / present, 1.0)
    return np.where(counts > 0, total / (np.count_nonzero(counts) * present), 1.0)


def strata_of(true: np.ndarray, outputs: int) -> tuple[np.ndarray, ...]:
    """The examples of each label that occurs; of several labels, those with none come last."""
    if true.ndim == 1:
        found = [np.flatnonzero(true == number) for number in range(outputs)]
    else:
        found = [np.flatnonzero(column > 0.5) for column in true.T]
        found.append(np.flatnonzero((true <= 0.5).all(axis=1)))
    return tuple(each for each in found if len(each))


def draw_equally(strata: Sequence[np.ndarray], count: int, seed: int, epoch: int) -> np.ndarray:
    """Draw as many examples from each stratum, give or take one; int64 [count].

    The examples of a stratum are drawn equally often, give or take one. The result depends on
    nothing but the seed and the epoch.
    """
    drawn = []
    for number, members in enumerate(strata):
        # The strata that get one more take turns over the epochs.
        place = (number - epoch) % len(strata)
        share = count // len(strata) + (place < count % len(strata))
        rounds = -(-share // len(members))
        orders = [permutation(len(members), seed, epoch, _DRAW, number, r) for r in range(rounds)]
        order = np.concatenate([np.empty(0, np.int64), *orders])[:share]
        drawn.append(members[order])
    return np.concatenate(drawn)


def _counts(true: np.ndarray, outputs: int) -> np.ndarray:
    if true.ndim == 1:
        return np.bincount(true, minlength=outputs)
    return (true > 0.5).sum(axis=0)
