"""Work that the demo does in several processes at a time."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import TypeVar

from selfsup.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(
    function: Callable[[Item], Result], items: Sequence[Item], processes: int, at_once: int = 1
) -> Iterator[Result]:
    """What a function makes of each item, in the items' order.

    Args:
        function: of a module, so that another process finds it.
        items: what it is given.
        processes: how many work at a time.
        at_once: items that a process is given at a time.

    Raises:
        UserError: a process was killed; or whatever the function raises.
    """
    # Not forked: a copy of a process in which torch has had threads may hang.
    pool = ProcessPoolExecutor(processes, get_context("spawn"), initializer=_be_quiet)
    try:
        yield from pool.map(function, items, chunksize=at_once)
    except BrokenProcessPool:
        raise UserError(
            "a process of the demo was killed, probably for want of memory: with --threads 1 "
            "--workers 1 only one runs at a time"
        ) from None
    except BaseException:
        # After Ctrl-C, or a mistake, nobody waits for the others to end.
        for process in active_children():
            process.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _be_quiet() -> None:
    """What several processes say at once nobody can read; mistakes reach the first as errors."""
    sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - as long as the process lives
