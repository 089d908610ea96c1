"""What pre-training on text and pre-training on images do not share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from selfsup.settings import PretrainSettings
from selfsup.training.loop import Stage


@dataclass(frozen=True)
class Setup:
    """A model that is about to be pre-trained, its data, and what is told of it.

    Attributes:
        model: on its device; it has an ``encoder`` and ``training_flops(batch)``.
        stages: the parts of the run with their batches.
        data_sha256: tells the data from any other.
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
    data_sha256: str
    held_out: str
    counted: str
    count: Callable[[Any], int]
    measure: Callable[[int | None], Any]
    quick: int
    shown: Callable[[Any], dict[str, str]]
    facts: Callable[[], dict[str, Any]]
    save: Callable[[Path, dict[str, Any]], None]


class Road(Protocol):
    """What a module is asked for that pre-trains on a kind of data, such as ``text_road``."""

    def with_defaults(self, settings: PretrainSettings) -> PretrainSettings:
        """Replace what was left open by what suits the encoder and the data.

        Raises:
            UserError: flags that do not go together, or data that cannot be read.
        """
        ...

    def check_data(self, settings: PretrainSettings) -> None:
        """Complain of data that is not there before anything is written.

        Raises:
            UserError: there is no such data, or it does not fit the settings.
        """
        ...

    def set_up(
        self,
        settings: PretrainSettings,
        run: Path,
        device: torch.device,
        is_resumed: bool,
        is_new: bool,
    ) -> Setup:
        """The model before its first step, with its data.

        Args:
            settings: with nothing left open.
            run: the run's folder, in which what is missing of the data is made.
            device: what to compute on.
            is_resumed: whether what lies in that folder was made under these same settings.
            is_new: whether the model's first weights count; if not, a checkpoint overwrites them.

        Raises:
            UserError: the data cannot be read, or there is too little of it.
        """
        ...
