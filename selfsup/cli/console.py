"""Print lines and tables on standard output: plain text where it is not a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from selfsup.report import formatting


def print_facts(result: Mapping[str, Any], *facts: tuple[str, str, Any]) -> None:
    """Print a line for each key that the result has: its name and its formatted value.

    facts: for each key, its name and the function that formats its value.
    """
    rows = [
        (name, write(result[key]))
        for key, name, write in facts
        if result.get(key) is not None and (write is str or formatting.is_number(result[key]))
    ]
    print_table((), rows)


def print_next(introduction: str, *commands: str) -> None:
    """Print commands to try next, each on a line of its own without breaks."""
    console = _console()
    console.print(introduction, style="dim", soft_wrap=True)
    for command in commands:
        console.print(Text(f"  {command}"), soft_wrap=True)


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, or nothing if it has no rows; ``head`` is empty for two unnamed columns."""
    if not rows:
        return
    console = _console()
    box = SIMPLE_HEAD if console.is_terminal and head else None
    table = Table(box=box, show_header=bool(head), pad_edge=False, padding=(0, 2, 0, 0))
    for name in head or ("", ""):
        table.add_column(name, overflow="fold")
    for row in rows:
        # As Text, so that rich does not take [MASK] and other brackets for markup.
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)
    console.print()


def print_line(text: str) -> None:
    """Print a line without breaks, or nothing if it is empty."""
    if text:
        _console().print(Text(text), soft_wrap=True)


def _console() -> Console:
    # Made for each use, as standard output may have been redirected. A file or a pipe has no width,
    # so lines may be long there.
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=200)
