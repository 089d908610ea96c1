"""What pre-training on text and pre-training on images do not share, as one value.

A kind of data has a module with these functions (``text_road``, ``image_road``):

    with_defaults(settings)                        what was left open, replaced; flags checked
    check_data(settings)                           complain of data before anything is written
    begin(settings, run, device, is_resumed, is_new) -> Road
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfsup.training.loop import Stage


@dataclass(frozen=True)
class Road:
    """A model that is about to be pre-trained, its data, and what is told of it.

    Attributes:
        model: on its device; it has an ``encoder`` and ``training_flops(batch)``.
        stages: the parts of the run with their batches.
        held_out: what is held out to measure on, in the plural.
        counted: what the run's size is counted in, ``"tokens"`` or ``"images"``.
        count: how many of these a batch holds.
        measure: measures on held-out data, all of it or about so much as is given, in what is
            counted; the result is a dataclass of numbers and None.
        quick: how much of the held-out data is measured on while the run goes on.
        shown: what of such a result stands in the line of progress.
        facts: what the summary says besides, made when the run has come to its end.
        save: writes the model, given its folder and the summary.
    """

    model: Any
    stages: Sequence[Stage]
    held_out: str
    counted: str
    count: Callable[[Any], int]
    measure: Callable[[int | None], Any]
    quick: int
    shown: Callable[[Any], dict[str, str]]
    facts: Callable[[], dict[str, Any]]
    save: Callable[[Path, dict[str, Any]], None]
