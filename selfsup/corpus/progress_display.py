"""Show on stderr how far ``prepare`` is: a bar on a terminal, else a plain line now and then."""

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

_SECONDS_BETWEEN_LINES = 30.0


class ProgressDisplay:
    """Use it in a ``with`` statement."""

    def __init__(self, title: str, stored_bytes: int, *, shown: bool) -> None:
        """Args:
        title: what is being done.
        stored_bytes: how much there is to read, 0 where unknown.
        shown: whether to show anything at all.
        """
        self._title = title
        self._stored_bytes = stored_bytes
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
        self._task = self._bar.add_task(title, total=stored_bytes or None, rate="")

    def __enter__(self) -> "ProgressDisplay":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def update(self, stored_bytes: int, text_bytes: int, tokens: int) -> None:
        """Say how much was read (as stored), how much text this run worked off, and tokens made."""
        now = time.monotonic()
        rate = text_bytes / max(now - self._start, 1e-3) / 1e6
        what = f"{tokens / 1e6:.1f} M tokens, {rate:.1f} MB/s"
        self._bar.update(self._task, completed=stored_bytes, rate=what)
        if self._lines and now - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = now
            self.say(f"{self._share(stored_bytes, now)}{what}")

    def say(self, message: str) -> None:
        """Print one line."""
        if self._shown:
            print(f"{self._title}: {message}", file=sys.stderr, flush=True)

    def _share(self, stored_bytes: int, now: float) -> str:
        if not self._stored_bytes or not stored_bytes:
            return ""
        share = min(stored_bytes / self._stored_bytes, 1.0)
        left = (now - self._start) * (1 - share) / share
        return f"{share:.0%}, {left // 60:.0f}:{left % 60:02.0f} left, "
