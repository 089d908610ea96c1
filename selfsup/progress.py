"""Show on stderr how far a command is: a live line on a terminal, else plain lines now and then."""

import sys
import time
from collections.abc import Mapping
from typing import TextIO, cast

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from selfsup.terminal import escaping, line_for, raw, say

_SECONDS_BETWEEN_LINES = 30.0


class ProgressDisplay:
    """Shows progress while its ``with`` block runs.

    On a terminal one line is redrawn in place. Elsewhere, as in a log file, a plain line is printed
    at most every half minute.
    """

    def __init__(
        self,
        title: str,
        *,
        shown: bool = True,
        keeps_messages: bool = True,
        starts_with_line: bool = True,
    ) -> None:
        """Args:
        title: printed before the progress.
        shown: whether to print anything at all.
        keeps_messages: whether ``message`` prints anything.
        starts_with_line: whether the first ``update`` prints a plain line at once.
        """
        self._title = title
        self._shown = shown
        self._keeps_messages = shown and keeps_messages
        self._console = Console(file=raw(sys.stderr), highlight=False)
        self._live: Live | None = None
        self._start = time.monotonic()
        self._last_line = float("-inf") if starts_with_line else self._start

    def __enter__(self) -> "ProgressDisplay":
        if self._shown and self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=4, transient=True)
            self._live.start()  # replaces both streams until it stops
            sys.stdout, sys.stderr = escaping(sys.stdout), escaping(sys.stderr)
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    @property
    def seconds(self) -> float:
        """Seconds since the display was made; never 0."""
        return max(time.monotonic() - self._start, 1e-3)

    def message(self, text: str) -> None:
        """Print a line that stays."""
        if not self._keeps_messages:
            return
        if self._live is not None:
            self._console.print(self._text(text))
        else:
            say(text)

    def update(
        self, fraction: float | None, seconds_left: float | None, fields: Mapping[str, str]
    ) -> None:
        """Show the progress.

        Args:
            fraction: how much is done, in [0, 1]; None if unknown.
            seconds_left: None if unknown.
            fields: named values to show.
        """
        if not self._shown:
            return
        now = time.monotonic()
        share = "" if fraction is None else f"{fraction:4.0%}"
        left = "" if seconds_left is None else f"{format_seconds(seconds_left)} left"
        if self._live is not None:
            row = Table.grid(padding=(0, 2))
            cells = [
                Text.assemble((self._line(name), "dim"), self._line(f" {value}"))
                for name, value in fields.items()
            ]
            bar = ProgressBar(total=1.0, completed=fraction or 0.0, width=24)
            row.add_row(self._text(self._title), bar, share, *cells, left)
            self._live.update(row)
        elif now - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = now
            values = "  ".join(f"{name} {value}" for name, value in fields.items())
            line = f"{self._title} {share}  {values}  {left}".rstrip()
            say(line)

    def _line(self, text: str) -> str:
        return line_for(cast("TextIO", self._console.file), text)

    def _text(self, text: str) -> Text:
        """Not parsed as markup, as a plain string would be."""
        return Text(self._line(text))


def seconds_left(seconds: float, fraction: float | None) -> float | None:
    """The seconds still needed if this fraction took ``seconds``; None if it is 0 or unknown."""
    return seconds * (1 / fraction - 1) if fraction else None


def format_seconds(seconds: float) -> str:
    """Such as ``48s``, ``3m 05s`` or ``2h 10m``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
