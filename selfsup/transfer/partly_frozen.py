"""A model of which some parts stay as they are."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from selfsup.transfer.rates import Rate


class PartlyFrozen(nn.Module):
    """Freezes the parameters of a model that have no learning rate.

    They get no gradient; a module all of whose parameters are frozen also stays in evaluation
    mode when the rest is put into training mode, so that its dropout is off.
    """

    def __init__(self, model: nn.Module, rates: Mapping[str, Rate]) -> None:
        super().__init__()
        self.model = model
        self._frozen = _freeze(model, rates)

    def change(self, rates: Mapping[str, Rate]) -> None:
        """Freeze what now has no rate, and nothing else."""
        self._frozen = _freeze(self.model, rates)
        self.train(self.training)

    def train(self, mode: bool = True) -> "PartlyFrozen":
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def forward(self, batch: Any) -> Any:
        """What the model makes of a batch."""
        return self.model(batch)

    def scores(self, batch: Any) -> Any:
        """The model's scores of a batch."""
        return self.model.scores(batch)  # pyright: ignore[reportCallIssue]


def _freeze(model: nn.Module, rates: Mapping[str, Rate]) -> list[nn.Module]:
    """Freeze parameters; returns the modules that are frozen as a whole."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(rates[name] is not None)
    return [module for module in model.modules() if _is_frozen(module)]


def _is_frozen(module: nn.Module) -> bool:
    parameters = list(module.parameters())
    return bool(parameters) and not any(parameter.requires_grad for parameter in parameters)
