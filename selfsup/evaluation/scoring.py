"""The scores that a model gives to every window of the examples.

Shapes: W windows, R rows in all of them, C scores in a row.
"""

from collections.abc import Callable
from contextlib import closing
from typing import Any

import numpy as np
import torch
from torch import Tensor

from selfsup.evaluation.batch_threads import map_in_threads
from selfsup.evaluation.large_results import empty_result
from selfsup.objectives.text_corpus import concatenated_ranges
from selfsup.tasks.example_batches import batches_by_length
from selfsup.tasks.task import Scorer, Windows
from selfsup.training.compute import Compute

# Larger batches gain nothing on a CPU, whose cache they do not fit.
_MOST_TOKENS = 2048
_MOST_TOKENS_ON_GPU = 65536


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
    on_cpu = compute.device.type == "cpu"
    lengths, row_counts = windows.lengths, windows.row_counts
    first_rows = np.cumsum(row_counts) - row_counts
    most_tokens = _MOST_TOKENS if on_cpu else _MOST_TOKENS_ON_GPU
    batches = batches_by_length(lengths, max_windows, most_tokens)

    @torch.inference_mode()
    def compute_batch(places: np.ndarray) -> Tensor:
        with compute.autocast():
            return function(windows.batch(places).to(compute.device)).float().cpu()

    result: Tensor | None = None
    done, total = 0, max(1, int(lengths.sum()))
    threads = torch.get_num_threads() if on_cpu else 1
    was_training = model.training
    if was_training:  # else it would take as long as a short text does
        model.train(False)
    try:
        with closing(map_in_threads(compute_batch, batches, threads)) as computed:
            for places, values in zip(batches, computed, strict=True):
                if result is None:
                    result = empty_result((int(row_counts.sum()), *values.shape[1:]))
                rows = concatenated_ranges(first_rows[places], row_counts[places])
                result[torch.from_numpy(rows)] = values
                done += int(lengths[places].sum())
                after_batch(done / total)
    finally:
        if was_training:
            model.train(True)
    if result is None:
        raise ValueError("there are no windows to score")
    return result
