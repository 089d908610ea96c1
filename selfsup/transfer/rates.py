"""A learning rate for every parameter, by ordered rules. No rate means frozen.

The rules are those of big_vision's transfer: the first pattern that matches a parameter's name
decides, and a name that no pattern matches is a mistake, never a default.
"""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

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
