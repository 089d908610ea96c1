"""Gradual unfreezing: the head learns first, then one more layer from the top at a time.

Howard & Ruder 2018, "Universal Language Model Fine-tuning for Text Classification" (ULMFiT), §3.3.
"""

from collections.abc import Sequence

from selfsup.transfer.rates import EMBEDDINGS, WORD_EMBEDDINGS, Rule, layer_pattern


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
