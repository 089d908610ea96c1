"""Score all windows of encoded examples with a model.

On a CPU, each core computes a whole batch at a time. Cores that share each matrix product would
wait for each other after every one (docs/log.md).

Shapes: W windows, R rows in all, C scores in a row.
"""

import math
import os
import tempfile
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from selfsup.errors import UserError
from selfsup.shards.arrays import concatenated_ranges
from selfsup.tasks.base import Scorer, Windows
from selfsup.tasks.batches import batches_by_length
from selfsup.training.compute import Compute

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_in_threads(
    function: Callable[[Item], Result], items: Sequence[Item], threads: int
) -> Generator[Result, None, None]:
    """Apply the function to each item in several threads; the results are in order.

    Torch keeps its modes, such as inference and autocast, per thread, so the function must enter
    them. Close the generator if it is not read to its end. Torch's ``threads`` are divided among
    the items that are computed at the same time. With one thread or one item, everything runs in
    the caller's thread.
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
            if len(waiting) > 2 * workers:  # limits how many results wait
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # MKL has one setting for all threads: reset it


# A larger tensor, in bytes, is kept in a memory-mapped file: it may not fit in memory.
_MOST_IN_MEMORY = 1 << 30


def allocate_scores(shape: tuple[int, ...], most_in_memory: int = _MOST_IN_MEMORY) -> Tensor:
    """An uninitialized float32 tensor; a large one is in a temporary file.

    The file is deleted with the tensor.

    Raises:
        UserError: the disk for temporary files is too small for it.
    """
    count = math.prod(shape)
    if 4 * count <= most_in_memory:
        return torch.empty(shape)
    with tempfile.NamedTemporaryFile(prefix="selfsup-results-") as file:
        try:
            # Without reserved space, a full disk would kill the process when it writes.
            reserve = getattr(os, "posix_fallocate", None)
            reserve(file.fileno(), 0, 4 * count) if reserve else file.truncate(4 * count)
        except OSError as error:
            raise UserError(
                f"{tempfile.gettempdir()}: {4 * count / 1e9:.1f} GB of intermediate results do not "
                f"fit there ({error.strerror}): make room, or name another folder with TMPDIR"
            ) from None
        return torch.from_file(file.name, shared=True, size=count).view(shape)


# Most tokens of a batch. Larger batches do not fit in a CPU's cache and gain nothing there.
_MOST_TOKENS = 2048
_MOST_TOKENS_ON_GPU = 65536


def score(
    model: Scorer,
    windows: Windows,
    compute: Compute,
    max_windows: int = 1 << 30,
    after_batch: Callable[[float], None] = lambda share: None,
) -> np.ndarray:
    """Score all windows, float32 [R, C]; see ``map_batches``."""
    return map_batches(model, model.scores, windows, compute, max_windows, after_batch).numpy()


def finite_scores(
    model: Scorer,
    windows: Windows,
    compute: Compute,
    max_windows: int,
    after_batch: Callable[[float], None],
    *,
    source: str | Path,
) -> np.ndarray:
    """As ``score``; scores that are NaN or infinite are refused, since no answer follows from them.

    Raises:
        UserError: some scores are not finite; the message names ``source``, the model's folder.
    """
    scores = score(model, windows, compute, max_windows, after_batch)
    if not np.isfinite(scores).all():
        bad = int((~np.isfinite(scores).all(axis=tuple(range(1, scores.ndim)))).sum())
        raise not_finite(source, f" ({bad:,} of {len(scores):,} rows of them)", compute)
    return scores


def not_finite(source: str | Path, how_many: str, compute: Compute) -> UserError:
    """The error for a model whose scores are not numbers."""
    fix = "train it again with a lower --learning-rate, or take another model"
    if compute.dtype != torch.float32:
        fix = f"try --precision float32; if that does not help, {fix}"
    return UserError(
        f"{source}: the model's scores are not numbers, but NaN or infinite{how_many}: {fix}"
    )


@torch.inference_mode()
def map_batches(
    model: Scorer,
    function: Callable[[Any], Tensor],
    windows: Windows,
    compute: Compute,
    max_windows: int = 1 << 30,
    after_batch: Callable[[float], None] = lambda share: None,
) -> Tensor:
    """Apply a function of the model to all windows, without dropout; the model's mode is restored.

    Args:
        model: on the device of ``compute``.
        function: from a batch of windows to a tensor [rows, …], with ``windows.row_counts`` rows
            for each window.
        windows: those of similar length share a batch.
        compute: device and precision.
        max_windows: most windows in a batch.
        after_batch: takes the share of the tokens that is done.

    Returns:
        float32 [R, …] on the CPU: all rows, in the order of the windows.
    """
    on_cpu = compute.device.type == "cpu"
    lengths, row_counts = windows.lengths, windows.row_counts
    first_rows = np.cumsum(row_counts) - row_counts
    most_tokens = _MOST_TOKENS if on_cpu else _MOST_TOKENS_ON_GPU
    batches = batches_by_length(lengths, max_windows, most_tokens)

    @torch.inference_mode()
    def compute_batch(indices: np.ndarray) -> Tensor:
        with compute.autocast():
            return function(windows.batch(indices).to(compute.device)).float().cpu()

    result: Tensor | None = None
    done, total = 0, max(1, int(lengths.sum()))
    threads = torch.get_num_threads() if on_cpu else 1
    was_training = model.training
    if was_training:  # switching the mode takes as long as a short text
        model.train(False)
    try:
        with closing(map_in_threads(compute_batch, batches, threads)) as computed:
            for indices, values in zip(batches, computed, strict=True):
                if result is None:
                    result = allocate_scores((int(row_counts.sum()), *values.shape[1:]))
                rows = concatenated_ranges(first_rows[indices], row_counts[indices])
                result[torch.from_numpy(rows)] = values
                done += int(lengths[indices].sum())
                after_batch(done / total)
    finally:
        if was_training:
            model.train(True)
    if result is None:
        raise ValueError("there are no windows to score")
    return result
