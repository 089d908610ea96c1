"""A task's model made ready to learn: frozen parts, optimizer, and re-initialised layers."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from selfsup.encoder.layers import initialize
from selfsup.finetuning.layer_rules import Rate, learning_rates, rules_for, rules_in_epoch
from selfsup.settings.finetune import ResolvedFinetuneSettings
from selfsup.training.optimizers import adamw, parameter_groups

# Without AdamW's bias correction training on few labels is unstable (Mosbach et al. 2021, "On the
# Stability of Fine-tuning BERT", §5; Zhang et al. 2021, "Revisiting Few-sample BERT Fine-tuning",
# §4). BERT's eps of 1e-6 would shorten the steps of weights whose gradients are as small as that,
# as they are below a pooler that was never trained.
_BETAS, _EPS = (0.9, 0.999), 1e-8


class FinetuningSetup(NamedTuple):
    """A model ready to learn.

    Attributes:
        model: maps a batch, of tokens or of a frozen encoder's features, to losses; has ``scores``.
        optimizer: over the parameters that learn.
        begin_epoch: takes an epoch's number, from 1, and unfreezes what learns from then on.
    """

    model: Any
    optimizer: torch.optim.Optimizer
    begin_epoch: Callable[[int], None]


def prepare_finetuning(
    settings: ResolvedFinetuneSettings, model: Any, features: Tensor | None = None
) -> FinetuningSetup:
    """Give every parameter of a task's model its learning rate, or freeze it.

    Args:
        settings: with defaults filled in.
        model: made by ``selfsup.tasks.base.Task.build_model``.
        features: with ``--freeze encoder`` those of the training windows, float32 [R, D].
    """
    layer_count = model.encoder.config.num_hidden_layers
    rules = rules_for(settings, model)
    parameters = dict(model.named_parameters())

    def rates_in(epoch: int) -> dict[str, Rate]:
        every = settings.unfreeze_every
        return learning_rates(parameters, rules_in_epoch(rules, layer_count, every, epoch))

    rates = rates_in(1)
    partly_frozen = PartlyFrozen(model, rates)
    groups = parameter_groups(parameters.items(), rates, settings.weight_decay)
    optimizer = adamw(groups, _BETAS, _EPS)

    def begin_epoch(epoch: int) -> None:
        before, now = rates_in(max(1, epoch - 1)), rates_in(epoch)
        unfrozen = [name for name, rate in now.items() if rate is not None and before[name] is None]
        if unfrozen:
            partly_frozen.set_rates(now)
            named = ((name, parameters[name]) for name in unfrozen)
            for group in parameter_groups(named, now, settings.weight_decay):
                optimizer.add_param_group(group)

    model.contrast = settings.contrast
    over_features = None if features is None else model.on_features(features)
    return FinetuningSetup(over_features or partly_frozen, optimizer, begin_epoch)


class PartlyFrozen(nn.Module):
    """A model in which parameters without a learning rate are frozen.

    They get no gradient. A module whose parameters are all frozen also stays in evaluation mode
    when the rest is put into training mode, so its dropout is off.
    """

    def __init__(self, model: nn.Module, rates: Mapping[str, Rate]) -> None:
        super().__init__()
        self.model = model
        self._freeze(rates)

    def set_rates(self, rates: Mapping[str, Rate]) -> None:
        """Freeze the parameters without a rate, and unfreeze all others."""
        self._freeze(rates)
        self.train(self.training)

    def _freeze(self, rates: Mapping[str, Rate]) -> None:
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(rates[name] is not None)
        self._frozen = []
        for module in self.model.modules():
            learns = [parameter.requires_grad for parameter in module.parameters()]
            if learns and not any(learns):
                self._frozen.append(module)

    def train(self, mode: bool = True) -> "PartlyFrozen":
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def forward(self, batch: Any) -> Any:
        return self.model(batch)

    def scores(self, batch: Any) -> Any:
        return self.model.scores(batch)  # pyright: ignore[reportCallIssue]


def reinitialize_top(encoder: Any, layers: int, seed: int) -> None:
    """Initialise the highest layers again, and the BERT pooler or the final ViT norm above them.

    Pre-training has fitted these layers most closely to its own objective (Zhang et al. 2021,
    "Revisiting Few-sample BERT Fine-tuning", §5).

    Args:
        encoder: changed in place.
        layers: how many; at most all.
        seed: determines the new weights.
    """
    top = [*encoder.layers][len(encoder.layers) - layers :]
    above = (getattr(encoder, name, None) for name in ("pooler", "norm"))
    top += [module for module in above if isinstance(module, nn.Module)]
    initialize(nn.ModuleList(top), encoder.config.initializer_range, seed)
