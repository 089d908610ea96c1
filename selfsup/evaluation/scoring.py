"""The scores that a model gives to every window of the examples.

Shapes: W windows, R rows in all of them, C scores in a row.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from selfsup.evaluation.large_results import empty_result
from selfsup.objectives.text_corpus import concatenated_ranges
from selfsup.tasks.example_batches import batches_by_length
from selfsup.tasks.task import Scorer, Windows
from selfsup.training.compute import Compute

# Larger batches gain nothing on a CPU, and fill its cache.
_MAX_TOKENS = {"cpu": 4096}
_MAX_TOKENS_ON_GPU = 65536


def score(
    model: Scorer,
    windows: Windows,
    compute: Compute,
    max_windows: int = 1 << 30,
    after_batch: Callable[[float], None] = lambda share: None,
) -> np.ndarray:
    """Score all windows, dropout off: the rows of all, in the windows' order, float32 [R, C].

    The arguments are those of ``map_batches``. The model is left in the mode it was in.
    """
    scores = map_batches(model, model.scores, windows, compute, max_windows, after_batch)
    return scores.numpy()


@torch.inference_mode()
def map_batches(
    model: Scorer,
    function: Callable[[Any], Tensor],
    windows: Windows,
    compute: Compute,
    max_windows: int = 1 << 30,
    after_batch: Callable[[float], None] = lambda share: None,
) -> Tensor:
    """What a function of the model, in evaluation mode, makes of each window.

    Args:
        model: on the device of ``compute``.
        function: from a batch of windows to a tensor [rows, …], as many rows of each window as
            ``windows.row_counts`` says.
        windows: like lengths are computed together.
        compute: device and precision.
        max_windows: most windows in a batch.
        after_batch: told the share of the tokens that is done.

    Returns:
        float32 [R, …] on the CPU: the rows of all windows, in the windows' order.
    """
    was_training = model.training
    model.train(False)
    max_tokens = _MAX_TOKENS.get(compute.device.type, _MAX_TOKENS_ON_GPU)
    lengths, row_counts = windows.lengths, windows.row_counts
    first_rows = np.cumsum(row_counts) - row_counts
    result: Tensor | None = None
    done, total = 0, max(1, int(lengths.sum()))
    try:
        for places in batches_by_length(lengths, max_windows, max_tokens):
            with compute.autocast():
                values = function(windows.batch(places).to(compute.device)).float().cpu()
            if result is None:
                result = empty_result((int(row_counts.sum()), *values.shape[1:]))
            rows = concatenated_ranges(first_rows[places], row_counts[places])
            result[torch.from_numpy(rows)] = values
            done += int(lengths[places].sum())
            after_batch(done / total)
    finally:
        model.train(was_training)
    if result is None:
        raise ValueError("there are no windows to score")
    return result
