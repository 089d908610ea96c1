"""What SIGINT (Ctrl-C) and SIGTERM do: the command unwinds, and says in one line how to go on.

A second signal ends the process at once. Everything that is written survives that.
"""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A signal has stopped the command; the message, if there is one, says how to go on.

    Attributes:
        number: of the signal.
    """

    def __init__(self, message: str = "", number: int = signal.SIGINT) -> None:
        super().__init__(*filter(None, [message]))
        self.number = number


def exit_status(interruption: KeyboardInterrupt) -> int:
    """The status of a command that was interrupted: 128 and the signal's number, as in a shell."""
    return 128 + getattr(interruption, "number", signal.SIGINT)


@contextlib.contextmanager
def saying_how_to_go_on(how: Callable[[], str]) -> Iterator[None]:
    """Give an interruption in the block a message, unless a block within it has given it one."""
    try:
        yield
    except KeyboardInterrupt as interruption:
        if not interruption.args:
            interruption.args = (how(),)
        raise


@contextlib.contextmanager
def signals_raised() -> Iterator[None]:
    """In the block the first signal raises ``Interrupted``, and a second ends the process.

    A signal that the process was started to ignore stays ignored. In another thread than the main
    one nothing changes.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        end_at_next_signal()
        raise Interrupted(number=number)

    in_main = threading.current_thread() is threading.main_thread()
    numbers = [n for n in SIGNALS if in_main and signal.getsignal(n) != signal.SIG_IGN]
    previous = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def end_at_next_signal() -> None:
    """From now on a signal ends the process at once, without any output; main thread only."""
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


@contextlib.contextmanager
def signals_blocked() -> Iterator[None]:
    """Signals wait until the block ends. Processes started in it never get them.

    On a system that cannot block signals (Windows) nothing changes.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
