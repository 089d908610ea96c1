"""What a person sees while a run goes on: a live line in a terminal, plain lines elsewhere."""

import sys
import time

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

_PLAIN_SECONDS = 30.0


class ProgressDisplay:
    """Shows a run's progress on stderr.

    In a terminal one line is redrawn in place; in a log file a plain line is added at most every
    half minute, and for each message.
    """

    def __init__(self, title: str, *, keeps_messages: bool = True) -> None:
        """Args:
        title: stands before the progress.
        keeps_messages: whether ``message`` writes anything.
        """
        self._keeps_messages = keeps_messages
        self._console = Console(stderr=True, highlight=False)
        self._title = title
        self._live: Live | None = None
        self._last_plain = -_PLAIN_SECONDS

    def __enter__(self) -> "ProgressDisplay":
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def message(self, text: str) -> None:
        """A line that stays."""
        if not self._keeps_messages:
            return
        if self._live is not None:
            self._console.print(Text(text))  # square brackets are no markup
        else:
            print(text, file=sys.stderr, flush=True)

    def update(self, progress: float, seconds_left: float | None, fields: dict[str, str]) -> None:
        """Show how far the run is, in [0, 1], and some named values."""
        left = "" if seconds_left is None else f"{format_seconds(seconds_left)} left"
        if self._live is not None:
            row = Table.grid(padding=(0, 2))
            cells = [Text.assemble((name, "dim"), f" {value}") for name, value in fields.items()]
            bar = ProgressBar(total=1.0, completed=progress, width=24)
            row.add_row(Text(self._title), bar, f"{progress:4.0%}", *cells, left)
            self._live.update(row)
        elif time.monotonic() - self._last_plain >= _PLAIN_SECONDS:
            self._last_plain = time.monotonic()
            values = "  ".join(f"{name} {value}" for name, value in fields.items())
            line = f"{self._title} {progress:4.0%}  {values}  {left}".rstrip()
            print(line, file=sys.stderr, flush=True)


def format_seconds(seconds: float) -> str:
    """Such as ``48s``, ``3m 05s`` or ``2h 10m``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
