"""Show how much of the data a model has been run over."""

import time
from collections.abc import Callable

from selfsup.training.progress import ProgressDisplay


def showing_share(display: ProgressDisplay) -> Callable[[float], None]:
    """To be called with the share that is done; shows it, and the time left."""
    started = time.perf_counter()

    def show(share: float) -> None:
        spent = time.perf_counter() - started
        display.update(share, spent * (1 / share - 1) if share else None, {})

    return show
