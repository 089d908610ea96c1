"""The optimizer that pre-training uses."""

import torch
from torch import nn

from selfsup.settings import PretrainSettings
from selfsup.training.muon import Muon
from selfsup.training.optimizer import adamw_groups, build_adamw

# The rate of the layers' matrices under Muon, as a multiple of --learning-rate (docs/log.md).
_MATRIX_RATE = 2.0
_ROUNDS = 5
_LAYERS = "encoder.layers."  # not those of a decoder beside it


def build_optimizer(
    model: nn.Module, settings: PretrainSettings, dtype: torch.dtype
) -> torch.optim.Optimizer:
    """AdamW for all parameters; or Muon for the matrices of the encoder's layers, AdamW for others.

    Args:
        model: its encoder's layers are named ``encoder.layers.N.…``.
        settings: with an optimizer and a learning rate chosen.
        dtype: the precision of matrix products on this machine.
    """
    assert settings.learning_rate is not None  # see pretraining_defaults
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    if settings.optimizer == "adamw":
        return build_adamw(named, settings.learning_rate, settings.weight_decay)
    matrices = {name: p for name, p in named if name.startswith(_LAYERS) and p.ndim == 2}
    return Muon(
        [(p, 3 if "query_key_value" in name else 1) for name, p in matrices.items()],
        adamw_groups([(n, p) for n, p in named if n not in matrices], settings.weight_decay),
        settings.learning_rate,
        _MATRIX_RATE * settings.learning_rate,
        settings.weight_decay,
        _ROUNDS,
        dtype,
    )
