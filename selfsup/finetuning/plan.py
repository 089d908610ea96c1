"""How the layers of a model learn, as the settings say: what is frozen, and each part's rate."""

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import torch
from torch import Tensor

from selfsup.errors import UserError
from selfsup.finetuning.layers import (
    PartlyFrozen,
    Rule,
    build_adamw,
    encoder_rules,
    first_epoch,
    layer_pattern,
    learning_rates,
    parameter_groups,
    rules_in_epoch,
)
from selfsup.settings import FinetuneSettings
from selfsup.settings.finetune import ResolvedFinetuneSettings


class LearningPlan(NamedTuple):
    """A model made ready to learn.

    Attributes:
        learner: turns a batch into losses, and has ``scores``; with ``--freeze encoder`` it takes
            batches of features, otherwise batches of tokens.
        optimizer: over those of its parameters that learn.
        begin_epoch: told an epoch's number (from 1) before it begins, it lets what thaws learn.
    """

    learner: Any
    optimizer: torch.optim.Optimizer
    begin_epoch: Callable[[int], None]


def plan_learning(
    settings: ResolvedFinetuneSettings, model: Any, features: Tensor | None = None
) -> LearningPlan:
    """Give every parameter of a task's model its rate, or freeze it.

    Args:
        settings: with what was left to defaults filled in.
        model: as ``selfsup.tasks.base.Task.build_model`` makes it.
        features: with ``--freeze encoder`` those of the training windows, float32 [R, D].
    """
    layer_count = model.encoder.config.num_hidden_layers
    rules = rules_of(settings, layer_count)
    parameters = dict(model.named_parameters())

    def rates_in(epoch: int) -> dict[str, float | None]:
        every = settings.unfreeze_every
        return learning_rates(parameters, rules_in_epoch(rules, layer_count, every, epoch))

    rates = rates_in(1)
    learner = PartlyFrozen(model, rates)
    optimizer = build_adamw(parameter_groups(parameters.items(), rates, settings.weight_decay))

    def begin_epoch(epoch: int) -> None:
        before, now = rates_in(max(1, epoch - 1)), rates_in(epoch)
        thawing = [name for name, rate in now.items() if rate is not None and before[name] is None]
        if thawing:
            learner.change(now)
            named = ((name, parameters[name]) for name in thawing)
            for group in parameter_groups(named, now, settings.weight_decay):
                optimizer.add_param_group(group)

    over_features = None if features is None else model.on_features(features)
    return LearningPlan(over_features or learner, optimizer, begin_epoch)


def rules_of(settings: ResolvedFinetuneSettings, layer_count: int) -> list[Rule]:
    """The run's rules, in their order; with what was left to defaults filled in."""
    return encoder_rules(
        layer_count,
        settings.learning_rate,
        settings.head_learning_rate,
        settings.layer_decay,
        settings.freeze,
        settings.embedding_learning_rate,
    )


def check_layers(settings: FinetuneSettings, layer_count: int, name: str) -> None:
    """Refuse what an encoder of so many layers cannot do.

    Raises:
        UserError: more layers are to be frozen or drawn anew than it has, or some both.
    """
    freeze, drawn = settings.freeze, settings.reinit_layers or 0
    frozen = int(freeze) if freeze is not None and freeze.isdecimal() else 0
    if frozen > layer_count:
        raise UserError(
            f"--freeze {frozen}: {name} has {layer_count} layers; --freeze encoder freezes all"
        )
    if drawn > layer_count:
        raise UserError(f"--reinit-layers {drawn}: {name} has {layer_count} layers")
    if frozen + drawn > layer_count:
        raise UserError(
            f"--reinit-layers {drawn}: --freeze {frozen} would leave some of these without "
            f"training: {name} has {layer_count} layers"
        )


def never_thawed(settings: ResolvedFinetuneSettings, layer_count: int) -> str | None:
    """A note, where a run with gradual unfreezing ends before its lowest layers learn."""
    late = [
        pattern
        for pattern, rate in rules_of(settings, layer_count)
        if rate is not None
        and first_epoch(pattern, layer_count, settings.unfreeze_every) > settings.epochs
    ]
    if not late:
        return None
    needed = max(first_epoch(pattern, layer_count, settings.unfreeze_every) for pattern in late)
    return (
        f"--unfreeze-every {settings.unfreeze_every}: {', '.join(late)} will not learn with "
        f"--epochs {settings.epochs}; they would with --epochs {needed} or more"
    )


# ``selfsup finetune --print-layers``: how each part of a model would learn.


def layer_table(settings: ResolvedFinetuneSettings, model: Any) -> dict[str, Any]:
    """Each rule with what it decides of.

    Args:
        settings: with what was left to defaults filled in.
        model: of the task, before training.

    Returns:
        ``layers``: in the order of the rules, each with ``pattern``, ``parameters`` (how many
        tensors), ``size`` (how many numbers), ``learning_rate`` (the highest; None where frozen),
        ``from_epoch`` (None where frozen) and ``reinitialized``; and the sums ``size`` and
        ``learning`` (how many of these numbers learn).
    """
    layer_count = model.encoder.config.num_hidden_layers
    anew = layer_count - (settings.reinit_layers or 0)
    drawn = {layer_pattern(layer) for layer in range(anew, layer_count)}
    if settings.reinit_layers:
        drawn |= {"encoder.pooler.*", "encoder.norm.*"}
    left = dict(model.named_parameters())
    rows = []
    for pattern, rate in rules_of(settings, layer_count):
        matching = [name for name in left if fnmatchcase(name, pattern)]
        tensors = [left.pop(name) for name in matching]
        if tensors:
            begins = first_epoch(pattern, layer_count, settings.unfreeze_every)
            rows.append(
                {
                    "pattern": pattern,
                    "parameters": len(tensors),
                    "size": sum(tensor.numel() for tensor in tensors),
                    "learning_rate": rate,
                    "from_epoch": None if rate is None else begins,
                    "reinitialized": pattern in drawn,
                }
            )
    return {
        "layers": rows,
        "size": sum(row["size"] for row in rows),
        "learning": sum(row["size"] for row in rows if row["learning_rate"] is not None),
    }
