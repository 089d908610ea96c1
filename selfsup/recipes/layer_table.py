"""``selfsup finetune --print-layers``: how each part of a model would learn."""

from fnmatch import fnmatchcase
from typing import Any

from selfsup.recipes.learning_plan import rules_of
from selfsup.settings import FinetuneSettings
from selfsup.transfer.rates import layer_pattern
from selfsup.transfer.unfreezing import first_epoch


def layer_table(settings: FinetuneSettings, model: Any) -> dict[str, Any]:
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
