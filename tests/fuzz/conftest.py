"""Bounds the time and the memory that an input takes, in every hypothesis test of this folder.

What was measured is appended to the file that ``SELFSUP_FUZZ_RECORD`` names, a line a target.
"""

import contextlib
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
from hypothesis.internal import observability

from tests.fuzz.target import RECORD

SECONDS = 20  # a generous multiple of the slowest input, since machines differ
# How far the process may grow while a target runs, with what its readers import.
MEBIBYTES = 512
_LONGEST_SHOWN, _LONGEST_SAID = 2000, 8000


class Hang(BaseException):
    """An input takes too long. No reader catches this by mistake, as it is no ``Exception``."""


def _forget_peak() -> None:
    """Let the peak be that from now on, where the system can (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_mebibytes() -> float:
    with contextlib.suppress(OSError):
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / (1 << 10)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


class Watch:
    """Counts and bounds the inputs of one target."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.inputs = 0
        self.slowest = 0.0
        self.said = ""
        _forget_peak()
        self.base = self.peak = _peak_mebibytes()

    def around(self, test: Callable[..., Any]) -> Callable[..., Any]:
        """The test of one input, within its bounds."""

        @wraps(test)
        def bounded(*arguments: Any, **values: Any) -> Any:
            self._keep(values)
            started = time.perf_counter()
            _start_timer()
            try:
                return test(*arguments, **values)
            except Hang:
                shown = repr(values)[:_LONGEST_SHOWN]
                raise Hang(f"an input takes over {SECONDS} s: {shown}") from None
            finally:
                _stop_timer()
                self.count(time.perf_counter() - started)
                self._check_memory()

        return bounded

    def count(self, seconds: float) -> None:
        """Count one input, which took so long."""
        self.inputs += 1
        self.slowest = max(self.slowest, seconds)
        self.peak = _peak_mebibytes()

    def observe(self, observation: Any) -> None:
        """Count one input of a hypothesis test that a plain test runs inside."""
        if observation.type == "test_case":
            self.count(sum(observation.timing.values()))

    def _keep(self, values: dict[str, Any]) -> None:
        """Keep the input in a file, where it is found if the process dies of it."""
        if RECORD:
            shown = f"{self.target}, input {self.inputs + 1}\n{values!r}"[:_LONGEST_SHOWN]
            Path(f"{RECORD}.input").write_text(shown, encoding="utf-8", errors="backslashreplace")

    def _check_memory(self) -> None:
        grown = self.peak - self.base
        if grown > MEBIBYTES:
            self.base = self.peak  # else every later input would fail too
            raise AssertionError(f"the process grew by {grown:.0f} MiB, over {MEBIBYTES} MiB")

    def record(self) -> None:
        """Append what was measured to the record."""
        if RECORD:
            entry = {
                "target": self.target,
                "inputs": self.inputs,
                "slowest_seconds": round(self.slowest, 3),
                "peak_mebibytes": round(self.peak),
                "failed": bool(self.said),
                **({"output": self.said[-_LONGEST_SAID:]} if self.said else {}),
            }
            with Path(RECORD).open("a", encoding="utf-8") as file:
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


_watches: dict[str, Watch] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item):
    """Put the bounds around each input of a target."""
    watch = _watches[item.nodeid] = Watch(item.nodeid)
    function: Any = getattr(item, "obj", None)
    if not is_hypothesis_test(function):
        if not RECORD:
            return (yield)
        observability.OBSERVABILITY_COLLECT_COVERAGE = False  # slow, and not used
        with observability.with_observability_callback(watch.observe):
            return (yield)
    test = function.hypothesis.inner_test
    function.hypothesis.inner_test = watch.around(test)
    try:
        return (yield)
    finally:
        function.hypothesis.inner_test = test


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    """Keep what was logged as text that can be sent: a file's name may hold half a character."""
    report = yield
    report.sections = [
        (title, text.encode(errors="backslashreplace").decode()) for title, text in report.sections
    ]
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Record a target when it has ended."""
    watch = _watches.setdefault(report.nodeid, Watch(report.nodeid))
    if report.failed:
        watch.said += report.longreprtext
    if report.when == "teardown":
        _watches.pop(report.nodeid).record()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder for the files of all inputs of a module; each writes over the one before."""
    return tmp_path_factory.mktemp("fuzz")
