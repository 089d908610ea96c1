"""Batches computed side by side, each on a processor core of its own.

Cores that share every matrix product wait for each other after each one. Where nothing passes from
one batch to the next, as in prediction, a core does better with a whole batch (docs/log.md).
"""

import math
import os
import tempfile
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from selfsup.errors import UserError
from selfsup.shards.folder import concatenated_ranges
from selfsup.tasks.base import Scorer, Windows
from selfsup.tasks.batches import batches_by_length
from selfsup.training.compute import Compute

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_in_threads(
    function: Callable[[Item], Result], items: Sequence[Item], threads: int
) -> Generator[Result, None, None]:
    """What the function makes of each item, in order, by several threads.

    Modes that torch keeps for each thread, such as inference and autocast, are for the function to
    enter. The iterator is to be closed where it is not read to its end.

    Args:
        threads: of torch's, shared out among as many items as there are threads; with one thread or
            one item all is done in the caller's.
    """
    workers = min(threads, len(items))
    if workers <= 1:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(workers, "batch", torch.set_num_threads, (threads // workers,))
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 2 * workers:  # no more results at a time than are soon taken
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # MKL has one number for all threads, now the workers'


# Tensors that hold something for each token of many texts, and may be larger than the memory.


# Above so many bytes a tensor lies in a file, from which the system reads what is in use.
_MOST_IN_MEMORY = 1 << 30


def empty_result(shape: tuple[int, ...], most_in_memory: int = _MOST_IN_MEMORY) -> Tensor:
    """A float32 tensor to be filled; a large one lies in a temporary file.

    The file has no name and goes with the tensor.

    Raises:
        UserError: the disk of temporary files is too small for it.
    """
    count = math.prod(shape)
    if 4 * count <= most_in_memory:
        return torch.empty(shape)
    with tempfile.NamedTemporaryFile(prefix="selfsup-results-") as file:
        try:
            # What is not reserved now would end the process when it is written to.
            reserve = getattr(os, "posix_fallocate", None)
            reserve(file.fileno(), 0, 4 * count) if reserve else file.truncate(4 * count)
        except OSError as error:
            raise UserError(
                f"{tempfile.gettempdir()}: {4 * count / 1e9:.1f} GB of intermediate results do not "
                f"fit there ({error.strerror}): make room, or name another folder with TMPDIR"
            ) from None
        return torch.from_file(file.name, shared=True, size=count).view(shape)


# The scores that a model gives to every window of the examples.
#
# Shapes: W windows, R rows in all of them, C scores in a row.


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
