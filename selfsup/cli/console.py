"""Print lines and tables on standard output: plain text where it is not a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from selfsup.report import formatting


def print_facts(result: Mapping[str, Any], *facts: tuple[str, str, Any]) -> None:
    """A line for each key that the result has: its name, and its value, written by its function."""
    rows = [
        (name, write(result[key]))
        for key, name, write in facts
        if result.get(key) is not None and (write is str or formatting.is_number(result[key]))
    ]
    print_table((), rows)


def print_next(introduction: str, *commands: str) -> None:
    """Commands to try next, each on a line of its own, however long."""
    console = _console()
    console.print(introduction, style="dim", soft_wrap=True)
    for command in commands:
        console.print(Text(f"  {command}"), soft_wrap=True)


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table, or nothing if it has no rows; with no ``head`` its two columns have no names."""
    if not rows:
        return
    console = _console()
    box = SIMPLE_HEAD if console.is_terminal and head else None
    table = Table(box=box, show_header=bool(head), pad_edge=False, padding=(0, 2, 0, 0))
    for name in head or ("", ""):
        table.add_column(name, overflow="fold")
    for row in rows:
        # As text, so that [MASK] and other brackets are not taken for rich's markup.
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)
    console.print()


def print_line(text: str) -> None:
    """A line, however long; nothing if it is empty."""
    if text:
        _console().print(Text(text), soft_wrap=True)


def _console() -> Console:
    # Made when it is used: standard output may have been redirected since the import. A file or a
    # pipe has no width of its own, and a line there need not fit one.
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=200)
