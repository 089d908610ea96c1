"""Batches computed side by side, each on a processor core of its own.

Cores that share every matrix product wait for each other after each one. Where nothing passes from
one batch to the next, as in prediction, a core does better with a whole batch (docs/log.md).
"""

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

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
