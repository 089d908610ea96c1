"""Show on stderr how far reading is: a bar on a terminal, else a plain line now and then."""

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

_SECONDS_BETWEEN_LINES = 30.0


class ProgressDisplay:
    """Use it in a ``with`` statement."""

    def __init__(self, title: str, total: int, *, shown: bool) -> None:
        """Args:
        title: what is being done.
        total: how much there is to read, 0 where unknown.
        shown: whether to show anything at all.
        """
        self._title = title
        self._total = total
        self._shown = shown
        self._start = self._last_line = time.monotonic()
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not (shown and console.is_terminal),
            transient=True,
        )
        self._lines = shown and not console.is_terminal
        self._task = self._bar.add_task(title, total=total or None, rate="")

    def __enter__(self) -> "ProgressDisplay":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    @property
    def seconds(self) -> float:
        """Since the beginning; never 0."""
        return max(time.monotonic() - self._start, 1e-3)

    def update(self, done: int, what: str) -> None:
        """Say how much of the total was read, and, in words, how much that is and how fast."""
        now = time.monotonic()
        self._bar.update(self._task, completed=done, rate=what)
        if self._lines and now - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = now
            self.say(f"{self._share(done, now)}{what}")

    def say(self, message: str) -> None:
        """Print one line."""
        if self._shown:
            print(f"{self._title}: {message}", file=sys.stderr, flush=True)

    def _share(self, done: int, now: float) -> str:
        if not self._total or not done:
            return ""
        share = min(done / self._total, 1.0)
        left = (now - self._start) * (1 - share) / share
        return f"{share:.0%}, {left // 60:.0f}:{left % 60:02.0f} left, "
