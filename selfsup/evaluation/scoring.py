"""The scores that a model gives to every example.

Shapes: N examples, C scores of each.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from selfsup.tasks.example_batches import Examples, batches_by_length
from selfsup.tasks.task import Scorer
from selfsup.training.compute import Compute

# Larger batches gain nothing on a CPU, and fill its cache.
_MAX_TOKENS = {"cpu": 4096}
_MAX_TOKENS_ON_GPU = 65536


def score(
    model: Scorer,
    examples: Examples,
    compute: Compute,
    max_examples: int = 1 << 30,
    after_batch: Callable[[float], None] = lambda share: None,
) -> np.ndarray:
    """Score all examples, dropout off; the result is in their order, float32 [N, C].

    The arguments are those of ``map_batches``. The model is left in the mode it was in.
    """
    scores = map_batches(model, model.scores, examples, compute, max_examples, after_batch)
    return scores.numpy()


@torch.inference_mode()
def map_batches(
    model: Scorer,
    function: Callable[[Any], Tensor],
    examples: Examples,
    compute: Compute,
    max_examples: int = 1 << 30,
    after_batch: Callable[[float], None] = lambda share: None,
) -> Tensor:
    """What a function of the model, in evaluation mode, makes of each example.

    Args:
        model: on the device of ``compute``.
        function: from a batch of B examples to a tensor [B, …].
        examples: N of them; like lengths are computed together.
        compute: device and precision.
        max_examples: most examples in a batch.
        after_batch: told the share of the tokens that is done.

    Returns:
        float32 [N, …] on the CPU, in the examples' order.
    """
    was_training = model.training
    model.train(False)
    max_tokens = _MAX_TOKENS.get(compute.device.type, _MAX_TOKENS_ON_GPU)
    batches = batches_by_length(examples.lengths, max_examples, max_tokens)
    results, done = [], 0
    try:
        for places in batches:
            with compute.autocast():
                results.append(function(examples.batch(places).to(compute.device)).float().cpu())
            done += int(examples.lengths[places].sum())
            after_batch(done / max(1, int(examples.lengths.sum())))
    finally:
        model.train(was_training)
    joined = torch.cat(results)
    in_order = torch.empty_like(joined)
    in_order[torch.from_numpy(np.concatenate(batches))] = joined
    return in_order
