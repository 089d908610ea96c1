"""How each layer of a model learns: its learning rate, what is frozen, and gradual unfreezing.

Ordered rules decide, as in big_vision's transfer code: a rule is a name pattern and a learning
rate, and the first rule whose pattern matches a parameter's name counts. No rate means frozen. A
name that no pattern matches is an error; there is no default.

With gradual unfreezing the head learns first, then one more layer from the top at a time (Howard &
Ruder 2018, "Universal Language Model Fine-tuning for Text Classification" (ULMFiT), §3.3).
"""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from selfsup.encoder.pooling import pooled_parts
from selfsup.errors import UserError
from selfsup.settings.finetune import FinetuneSettings, ResolvedFinetuneSettings

Rate = float | None
Rule = tuple[str, Rate]

WORD_EMBEDDINGS = "encoder.embeddings.word.*"
EMBEDDINGS = "encoder.embeddings.*"
_LAYER = "encoder.layers.{}.*"
_POOLER, _FINAL_NORM = "encoder.pooler.*", "encoder.norm.*"


def learning_rates(names: Iterable[str], rules: Sequence[Rule]) -> dict[str, Rate]:
    """The highest learning rate of each parameter, None where it is frozen.

    Args:
        names: of all parameters.
        rules: a pattern (``*`` matches any characters) and a rate each; the first match counts.

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
    """The rules for an encoder (its parameters are named ``encoder.…``) under a new head.

    The pooler, a final norm and the highest layer learn at ``learning_rate``, each layer below at
    ``layer_decay`` times the rate of the layer above it. The embeddings count as one more layer
    (Clark et al. 2020, "ELECTRA", appendix B; Zhang et al. 2021, §7).

    Args:
        layer_count: layers of the encoder.
        learning_rate, head_learning_rate: the highest rates.
        layer_decay: in (0, 1].
        freeze: "encoder" freezes all layers and a final norm; the pooler above them learns with
            the head. "embeddings" freezes the embeddings, a number N also the lowest N layers.
        embedding_learning_rate: of the word embeddings, if they are not frozen; None: the rate of
            the other embeddings.
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
        rules.append((_LAYER.format(layer), None if layer < frozen_layers else rate))
    pooler_rate = head_learning_rate if freeze == "encoder" else learning_rate
    rules.append((_FINAL_NORM, None if freeze == "encoder" else learning_rate))
    return [*rules, (_POOLER, pooler_rate), ("*", head_learning_rate)]


def rules_for(settings: ResolvedFinetuneSettings, model: Any) -> list[Rule]:
    """The rules for a model: parts of its encoder that only pool never learn."""
    frozen: list[Rule] = [(f"encoder.{part}.*", None) for part in pooled_parts(model.encoder)]
    return [*frozen, *rules_of(settings, model.encoder.config.num_hidden_layers)]


def rules_of(settings: ResolvedFinetuneSettings, layer_count: int) -> list[Rule]:
    """The run's rules, in order."""
    return encoder_rules(
        layer_count,
        settings.learning_rate,
        settings.head_learning_rate,
        settings.layer_decay,
        settings.freeze,
        settings.embedding_learning_rate,
    )


def rules_in_epoch(
    rules: Sequence[Rule], layer_count: int, unfreeze_every: int | None, epoch: int
) -> list[Rule]:
    """The rules of one epoch, from 1: those that freeze what does not learn yet, then the run's.

    In the first ``unfreeze_every`` epochs only the parts above the layers learn. After that the
    highest layer learns too, after as many epochs again the next one, and last the embeddings. What
    the run's own rules freeze stays frozen. Nothing waits if ``unfreeze_every`` is None.
    """
    if unfreeze_every is None:
        return list(rules)
    unfrozen = (epoch - 1) // unfreeze_every
    patterns = _from_the_bottom(layer_count)
    still_frozen = patterns[: max(0, len(patterns) - unfrozen)]
    return [*((pattern, None) for pattern in still_frozen), *rules]


def first_epoch(pattern: str, layer_count: int, unfreeze_every: int | None) -> int:
    """The epoch, from 1, in which the parameters of a rule of the run begin to learn."""
    patterns = _from_the_bottom(layer_count)
    pattern = EMBEDDINGS if pattern == WORD_EMBEDDINGS else pattern
    if unfreeze_every is None or pattern not in patterns:
        return 1
    return 1 + unfreeze_every * (len(patterns) - patterns.index(pattern))


def check_layers(settings: FinetuneSettings, layer_count: int, name: str, *, new: bool) -> None:
    """Check that the flags fit an encoder with ``layer_count`` layers.

    Raises:
        UserError: more layers are to be frozen or re-initialised than it has, some layer is to be
            both, or layers of a new encoder are to be re-initialised.
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
    if drawn and new:
        raise UserError(f"--reinit-layers {drawn}: all of {name} is new; leave it out")


def notes_on_unfreezing(settings: ResolvedFinetuneSettings, layer_count: int) -> list[str]:
    """A note if a run with gradual unfreezing ends before its lowest layers learn."""
    first_epochs = {
        pattern: first_epoch(pattern, layer_count, settings.unfreeze_every)
        for pattern, rate in rules_of(settings, layer_count)
        if rate is not None
    }
    if not settings.epochs:  # only a head is fitted
        return []
    late = [pattern for pattern, epoch in first_epochs.items() if epoch > settings.epochs]
    if not late:
        return []
    return [
        f"--unfreeze-every {settings.unfreeze_every}: {', '.join(late)} will not learn with "
        f"--epochs {settings.epochs}; they would with --epochs {max(first_epochs.values())} or more"
    ]


def layer_table(settings: ResolvedFinetuneSettings, model: Any) -> dict[str, Any]:
    """``selfsup finetune --print-layers``: each rule with the parameters of the model it covers.

    Returns:
        ``layers``: in the order of the rules, each with ``pattern``, ``parameters`` (number of
        tensors), ``size`` (number of values), ``learning_rate`` (the highest; None where frozen),
        ``from_epoch`` (None where frozen) and ``reinitialized``; and the sums ``size`` and
        ``learning`` (number of values that learn).
    """
    layer_count = model.encoder.config.num_hidden_layers
    drawn: set[str] = set()
    if settings.reinit_layers:
        top = _from_the_bottom(layer_count)[-settings.reinit_layers :]
        drawn = {*top, _POOLER, _FINAL_NORM}
    left = dict(model.named_parameters())
    rows = []
    for pattern, rate in rules_for(settings, model):
        tensors = [left.pop(name) for name in list(left) if fnmatchcase(name, pattern)]
        if not tensors:
            continue
        begins = first_epoch(pattern, layer_count, settings.unfreeze_every)
        row = {
            "pattern": pattern,
            "parameters": len(tensors),
            "size": sum(tensor.numel() for tensor in tensors),
            "learning_rate": rate,
            "from_epoch": None if rate is None else begins,
            "reinitialized": pattern in drawn,
        }
        rows.append(row)
    return {
        "layers": rows,
        "size": sum(row["size"] for row in rows),
        "learning": sum(row["size"] for row in rows if row["learning_rate"] is not None),
    }


def _from_the_bottom(layer_count: int) -> list[str]:
    """The patterns that gradual unfreezing goes through, in reverse order."""
    return [EMBEDDINGS, *(_LAYER.format(layer) for layer in range(layer_count))]
