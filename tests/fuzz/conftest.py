"""Bounds for every hypothesis test in this folder: the time and the memory that an input takes."""

import faulthandler
import json
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
from hypothesis import is_hypothesis_test

from tests.fuzz.target import RECORD

SECONDS = 20  # a generous multiple of the slowest input, since machines differ
# How far the process may grow over what it was when it had read its first inputs.
MEBIBYTES = 512
_WARMUP_INPUTS = 5
_LONGEST_SHOWN = 2000


class Hang(BaseException):
    """An input takes too long. No reader catches this by mistake, as it is no ``Exception``."""


def _peak_mebibytes() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


class Watch:
    """Counts and bounds the inputs of one target."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.inputs = 0
        self.slowest = 0.0
        self.base = _peak_mebibytes()
        self._current = Path(f"{RECORD}.input").open("w") if RECORD else None  # noqa: SIM115

    def around(self, test: Callable[..., Any]) -> Callable[..., Any]:
        """The test of one input, within its bounds."""

        @wraps(test)
        def bounded(*arguments: Any, **values: Any) -> Any:
            self._note(values)
            started = time.perf_counter()
            _start_timer()
            try:
                return test(*arguments, **values)
            except Hang:
                shown = repr(values)[:_LONGEST_SHOWN]
                raise Hang(f"an input takes over {SECONDS} s: {shown}") from None
            finally:
                _stop_timer()
                self.slowest = max(self.slowest, time.perf_counter() - started)
                self._check_memory()

        return bounded

    def _note(self, values: dict[str, Any]) -> None:
        """Keep the input in a file, where it is found if the process dies of it."""
        self.inputs += 1
        if self._current:
            self._current.seek(0)
            self._current.truncate()
            self._current.write(f"{self.inputs}\n{values!r}"[:_LONGEST_SHOWN])
            self._current.flush()

    def _check_memory(self) -> None:
        if self.inputs <= _WARMUP_INPUTS:
            self.base = _peak_mebibytes()
        grown = _peak_mebibytes() - self.base
        if grown > MEBIBYTES:
            self.base = _peak_mebibytes()  # else every later input would fail too
            raise AssertionError(f"the process grew by {grown:.0f} MiB, over {MEBIBYTES} MiB")

    def record(self) -> None:
        """Append what was measured to the record."""
        if RECORD:
            entry = {
                "target": self.target,
                "inputs": self.inputs,
                "slowest_seconds": round(self.slowest, 3),
                "peak_mebibytes": round(_peak_mebibytes()),
            }
            with Path(RECORD).open("a") as file:
                file.write(json.dumps(entry) + "\n")


def _start_timer() -> None:
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGALRM, _hang)
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
    # For C code that never returns to Python: print where it is, and end the process.
    faulthandler.dump_traceback_later(3 * SECONDS, exit=True, file=sys.__stderr__ or 2)


def _stop_timer() -> None:
    faulthandler.cancel_dump_traceback_later()
    signal.setitimer(signal.ITIMER_REAL, 0)


def _hang(*_: Any) -> None:
    raise Hang


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item):
    """Put the bounds around each input of a target."""
    function: Any = getattr(item, "obj", None)
    if not is_hypothesis_test(function):
        return (yield)
    watch, test = Watch(item.nodeid), function.hypothesis.inner_test
    function.hypothesis.inner_test = watch.around(test)
    try:
        return (yield)
    finally:
        function.hypothesis.inner_test = test
        watch.record()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder for the files of all inputs of a module; each writes over the one before."""
    return tmp_path_factory.mktemp("fuzz")
