"""How the layers of a model learn, as the settings say: what is frozen, and each part's rate."""

from typing import Any, NamedTuple

import torch

from selfsup.settings import FinetuneSettings
from selfsup.transfer.parameter_groups import build_adamw, parameter_groups
from selfsup.transfer.partly_frozen import PartlyFrozen
from selfsup.transfer.rates import encoder_rules, learning_rates


class LearningPlan(NamedTuple):
    """A model made ready to learn.

    Attributes:
        learner: turns a batch into losses, and has ``scores``; with ``--freeze encoder`` it takes
            batches of features, otherwise batches of tokens.
        optimizer: over those of its parameters that learn.
    """

    learner: Any
    optimizer: torch.optim.Optimizer


def plan_learning(settings: FinetuneSettings, model: Any) -> LearningPlan:
    """Give every parameter of a task's model its rate, or freeze it.

    Args:
        settings: with what was left to defaults filled in.
        model: as ``selfsup.tasks.task.Task.build_model`` makes it.
    """
    assert settings.learning_rate is not None
    assert settings.head_learning_rate is not None
    rules = encoder_rules(
        model.encoder.config.num_hidden_layers,
        settings.learning_rate,
        settings.head_learning_rate,
        settings.layer_decay,
        settings.freeze,
    )
    parameters = dict(model.named_parameters())
    rates = learning_rates(parameters, rules)
    learner = PartlyFrozen(model, rates)
    groups = parameter_groups(parameters.items(), rates, settings.weight_decay)
    return LearningPlan(
        model.on_features() if settings.freeze == "encoder" else learner, build_adamw(groups)
    )
