"""A learning rate for every parameter, by ordered rules. No rate means frozen.

The rules are those of big_vision's transfer: the first pattern that matches a parameter's name
decides, and a name that no pattern matches is a mistake, never a default.
"""

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from selfsup.encoder.layers import initialize

Rate = float | None
Rule = tuple[str, Rate]

WORD_EMBEDDINGS = "encoder.embeddings.word.*"
EMBEDDINGS = "encoder.embeddings.*"


def layer_pattern(layer: int) -> str:
    """The pattern of a layer's parameters; layer 0 is the lowest."""
    return f"encoder.layers.{layer}.*"


def learning_rates(names: Iterable[str], rules: Sequence[Rule]) -> dict[str, Rate]:
    """The highest learning rate of each parameter, None where it is frozen.

    Args:
        names: of all parameters.
        rules: a pattern (``*`` stands for any characters) and a rate each; the first match counts.

    Raises:
        ValueError: no rule covers a name, or every parameter is frozen.
    """
    rates: dict[str, Rate] = {}
    for name in names:
        matching = [rate for pattern, rate in rules if fnmatchcase(name, pattern)]
        if not matching:
            raise ValueError(f"no rule says how {name} learns")
        rates[name] = matching[0]
    if all(rate is None for rate in rates.values()):
        raise ValueError("every parameter is frozen")
    return rates


def encoder_rules(
    layer_count: int,
    learning_rate: float,
    head_learning_rate: float,
    layer_decay: float,
    freeze: str | None,
    embedding_learning_rate: float | None = None,
) -> list[Rule]:
    """The rules for an encoder (its parameters named ``encoder.…``) under a new head.

    The pooler, a last norm and the highest layer learn at ``learning_rate``, each layer below at
    ``layer_decay`` times the rate of the one above it, and the embeddings as one more layer
    (Clark et al. 2020, "ELECTRA", appendix B; Zhang et al. 2021, §7).

    Args:
        layer_count: layers of the encoder.
        learning_rate, head_learning_rate: the highest rates.
        layer_decay: in (0, 1].
        freeze: "encoder": all layers and a last norm, so that what they make of a text or an image
            can be computed once; the pooler, which stands over them, learns with the head.
            "embeddings". A number N: the embeddings and the lowest N layers. None: nothing.
        embedding_learning_rate: of the word embeddings, if these are not frozen; that of the other
            embeddings if None.
    """
    frozen_layers = 0 if freeze in (None, "embeddings") else layer_count
    if freeze is not None and freeze.isdecimal():
        frozen_layers = min(int(freeze), layer_count)
    lowest = None if freeze is not None else learning_rate * layer_decay**layer_count
    rules: list[Rule] = [(EMBEDDINGS, lowest)]
    if freeze is None and embedding_learning_rate is not None:
        rules.insert(0, (WORD_EMBEDDINGS, embedding_learning_rate))
    for layer in range(layer_count):
        rate = learning_rate * layer_decay ** (layer_count - 1 - layer)
        rules.append((layer_pattern(layer), None if layer < frozen_layers else rate))
    pooler_rate = head_learning_rate if freeze == "encoder" else learning_rate
    rules.append(("encoder.norm.*", None if freeze == "encoder" else learning_rate))
    return [*rules, ("encoder.pooler.*", pooler_rate), ("*", head_learning_rate)]


# Gradual unfreezing: the head learns first, then one more layer from the top at a time.
#
# Howard & Ruder 2018, "Universal Language Model Fine-tuning for Text Classification" (ULMFiT),
# §3.3.


def rules_in_epoch(
    rules: Sequence[Rule], layer_count: int, unfreeze_every: int | None, epoch: int
) -> list[Rule]:
    """The rules of one epoch: what is still frozen in it stands before the rules of the run.

    In the first ``unfreeze_every`` epochs only what stands over the layers learns; then the highest
    layer learns too, after as many again the one below it, and at last the embeddings. What a rule
    of the run itself freezes stays frozen.

    Args:
        rules: those of the run.
        layer_count: layers of the encoder.
        unfreeze_every: epochs, or None to let everything learn from the start.
        epoch: from 1.
    """
    if unfreeze_every is None:
        return list(rules)
    thawed = (epoch - 1) // unfreeze_every
    patterns = [EMBEDDINGS, *(layer_pattern(layer) for layer in range(layer_count))]
    still_frozen = patterns[: max(0, len(patterns) - thawed)]
    return [*((pattern, None) for pattern in still_frozen), *rules]


def first_epoch(pattern: str, layer_count: int, unfreeze_every: int | None) -> int:
    """The epoch, from 1, in which what a rule of the run stands for begins to learn."""
    patterns = [EMBEDDINGS, *(layer_pattern(layer) for layer in range(layer_count))]
    pattern = EMBEDDINGS if pattern == WORD_EMBEDDINGS else pattern
    if unfreeze_every is None or pattern not in patterns:
        return 1
    return 1 + unfreeze_every * (len(patterns) - patterns.index(pattern))


# Re-initialising the highest layers, which pre-training has fitted closest to its own objective.
#
# Zhang et al. 2021, "Revisiting Few-sample BERT Fine-tuning", §5.


def reinitialize_top(encoder: Any, layers: int, seed: int) -> None:
    """Draw the highest layers, and what stands over them, as before pre-training.

    That is a BERT's pooler if there is one, and a ViT's last norm.

    Args:
        encoder: changed in place.
        layers: how many, at most all.
        seed: what the draw is a function of.
    """
    top = [*encoder.layers][len(encoder.layers) - layers :]
    over = (getattr(encoder, name, None) for name in ("pooler", "norm"))
    top += [module for module in over if isinstance(module, nn.Module)]
    initialize(nn.ModuleList(top), encoder.config.initializer_range, seed)


# A model of which some parts stay as they are.


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


# Parameters that learn alike, in the groups that an optimizer takes.


def parameter_groups(
    named_parameters: Iterable[tuple[str, nn.Parameter]],
    rates: Mapping[str, Rate],
    weight_decay: float,
) -> list[dict[str, Any]]:
    """One group for each learning rate, with and without weight decay.

    Vectors (biases and norms) are not decayed. Frozen parameters are in no group, so that the
    optimizer neither keeps state for them nor decays them.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in named_parameters:
        rate = rates[name]
        if rate is not None:
            decay = weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((rate, decay), []).append(parameter)
    return [
        {"params": parameters, "lr": rate, "weight_decay": decay}
        for (rate, decay), parameters in groups.items()
    ]


def build_adamw(groups: list[dict[str, Any]]) -> torch.optim.AdamW:
    """AdamW with bias correction, without which few labels train unsteadily.

    Mosbach et al. 2021, "On the Stability of Fine-tuning BERT", §5; Zhang et al. 2021, "Revisiting
    Few-sample BERT Fine-tuning", §4. BERT's own eps of 1e-6 would shorten the steps of weights
    whose gradients are as small as that, as they are below a pooler that was never trained.
    """
    return torch.optim.AdamW(groups, betas=(0.9, 0.999), eps=1e-8, fused=True)
