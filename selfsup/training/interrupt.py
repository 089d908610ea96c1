"""Ctrl-C (or a scheduler's SIGTERM) ends training after the current step."""

import signal
import threading
from types import FrameType


class StopOnSignal:
    """A context in which the first SIGINT or SIGTERM sets ``requested`` and a second interrupts.

    So a run is saved between two steps, never within one.
    """

    def __init__(self) -> None:
        self.requested = False
        self._previous: dict[int, object] = {}

    def __enter__(self) -> "StopOnSignal":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
