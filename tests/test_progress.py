"""What a person sees is what was said: square brackets are no markup."""

import io

from rich.console import Console

from selfsup.progress import ProgressDisplay


def test_square_brackets_are_shown_as_they_are_in_a_terminal():
    display = ProgressDisplay("run [/old]")
    terminal = io.StringIO()
    display._console = Console(file=terminal, force_terminal=True, width=100, highlight=False)
    with display:
        display.message("train [old]/cat and [/INST]: selfsup resume runs/[v2]")
        display.update(0.5, 3.0, {"loss": "[/x]"})
    assert "train [old]/cat and [/INST]: selfsup resume runs/[v2]" in terminal.getvalue()
