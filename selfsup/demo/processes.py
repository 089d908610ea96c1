"""Other processes that the demos compute in: they print nothing, and end when this one does."""

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context, parent_process, resource_tracker
from pathlib import Path
from typing import TypeVar

from selfsup.errors import UserError
from selfsup.interruption import signals_blocked

Item = TypeVar("Item")
Output = TypeVar("Output")


def map_in_processes(
    function: Callable[[Item], Output], items: Sequence[Item], processes: int, chunk: int = 1
) -> Iterator[Output]:
    """Apply a function to each item in other processes; yields the results in the items' order.

    Args:
        function: defined at the top of a module, so that another process can import it.
        items: its arguments.
        processes: how many run at a time.
        chunk: how many items a process takes at a time.

    Raises:
        UserError: a process was killed; or whatever the function raises.
    """
    _start_quiet_tracker()
    with signals_blocked():  # for the processes too: this one kills them
        # Not forked: a fork of a process in which torch has started threads may hang.
        pool = ProcessPoolExecutor(processes, get_context("spawn"), initializer=_begin_process)
        results = pool.map(function, items, chunksize=chunk)
    try:
        yield from results
    except BrokenProcessPool:
        raise UserError(
            "a process of the demo was killed, probably because memory ran out: with --threads 1 "
            "--workers 1 only one runs at a time"
        ) from None
    except BaseException:
        # After Ctrl-C or an error, do not wait for the other processes to finish.
        for process in active_children():
            process.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _start_quiet_tracker() -> None:
    """Start the process that removes semaphores when this one is killed, without its warnings."""
    before = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = "ignore"
    try:
        resource_tracker.ensure_running()
    finally:
        del os.environ["PYTHONWARNINGS"]
        if before is not None:
            os.environ["PYTHONWARNINGS"] = before


def _begin_process() -> None:
    """Discard what a process prints, which would mix with the others'; errors are raised.

    The process ends when its parent does, however that ends.
    """
    sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - open as long as the process lives
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
