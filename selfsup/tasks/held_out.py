"""Hold a share of the training examples out for validation.

Examples that a model could recognise stay on one side: those of the same text, and the questions
about one context. Every label of a validation example is also that of a training example.
"""

import unicodedata
from collections import Counter
from collections.abc import Collection, Hashable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from selfsup.counter_random import permutation
from selfsup.errors import UserError
from selfsup.tasks.base import Examples, Task
from selfsup.tasks.labels import LabelKind

_SPLIT = 0x53504C4954


def hold_out(
    task: Task, examples: Examples, label_type: LabelKind | None, share: float, seed: int
) -> tuple[Examples, Examples, LabelKind]:
    """Divide examples into those to train on and those to validate on, with a note on how.

    Also returns what their labels are, as all of them say.

    Raises:
        UserError: there is nothing to learn in them, or no example can be held out.
    """
    labels = task.learn_labels(examples, label_type)
    if labels.kind != "number":  # numbers keep their notation, and have no names
        examples = task.settled(examples, labels)
    names, stratified = task.names_of(examples, labels), labels.kind == "class"
    strata = names if stratified else [()] * len(examples)
    chosen = choose_held_out(examples.keys(), strata, names, share, seed)
    source, count = examples.source, int(chosen.sum())
    if not count:
        raise UserError(
            f"{source}: none of its {len(examples):,} examples can be held out for validation, as "
            "each label needs two different texts (or contexts, or images): give a file to "
            "--validation"
        )
    how = "stratified by label" if stratified else "at random"
    note = (
        f"{source}: {100 * count / len(examples):.3g} % ({count:,} of {len(examples):,} examples) "
        f"held out for validation, {how} (seed {seed})"
    )
    train = examples.without(np.flatnonzero(chosen).tolist(), note)
    validation: Any = examples.without(np.flatnonzero(~chosen).tolist())
    validation = replace(validation, source=f"{source} (held out)", notes=())
    return train, validation, labels.kind


def choose_held_out(
    keys: Sequence[tuple[str, ...]],
    strata: Sequence[Hashable],
    names: Sequence[Collection[str]],
    share: float,
    seed: int,
) -> np.ndarray:
    """Choose about ``share`` of each stratum, at least one example where that is possible.

    Args:
        keys: examples whose keys differ in case, spaces or Unicode form alone stay together.
        strata: the stratum of each example.
        names: of which some example that is not chosen must have each.
        share: above 0 and below 1.
        seed: another one gives another choice.

    Returns:
        Whether each example is held out, bool [N].
    """
    members: dict[tuple[str, ...], list[int]] = {}
    for index, key in enumerate(keys):
        members.setdefault(tuple(map(_folded, key)), []).append(index)
    groups = list(members.values())
    strata_of = [Counter(strata[index] for index in group) for group in groups]
    # None stands for any example: one group must stay.
    names_of = [{None, *(name for index in group for name in names[index])} for group in groups]
    remaining = Counter(name for of_group in names_of for name in of_group)
    wanted = {name: max(1, round(share * count)) for name, count in Counter(strata).items()}
    held, chosen = Counter(), np.zeros(len(keys), bool)

    def hold(number: int) -> None:
        if all(remaining[name] > 1 for name in names_of[number]):
            remaining.subtract(names_of[number])
            held.update(strata_of[number])
            chosen[groups[number]] = True

    order = permutation(len(groups), seed, _SPLIT).tolist()
    for number in order:
        if all(held[name] + count <= wanted[name] for name, count in strata_of[number].items()):
            hold(number)
    for number in sorted(order, key=lambda number: len(groups[number])):
        if any(not held[name] for name in strata_of[number]):  # no group was small enough
            hold(number)
    return chosen


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
