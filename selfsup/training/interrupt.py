"""Ctrl-C (or a scheduler's SIGTERM) as a wish to stop after the step that is under way."""

import signal
import threading
from types import FrameType


class StopOnSignal:
    """While entered, the first SIGINT or SIGTERM only sets ``requested``; a second one interrupts.

    So a run is saved between two steps, never in the middle of one.
    """

    def __init__(self) -> None:
        self.requested = False
        self._previous: dict[int, object] = {}

    def __enter__(self) -> "StopOnSignal":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
