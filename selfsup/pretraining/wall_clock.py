"""``--wall-clock``: when training must end, so that the whole command ends in time."""

import time
from pathlib import Path
from typing import Any

from selfsup.errors import UserError
from selfsup.pretraining.modality import Pretraining

_DISK_SPEED = 200e6  # bytes a second, until a checkpoint has been timed
_MARGIN = 1.2  # on what is expected to follow training
_TO_START_AND_EXIT = 1.0  # seconds of the process itself
_CHECKPOINT_SIZE = 4  # times that of float32 weights; as long as it takes, the model's folder takes


class WallClock:
    """The time of a run: of this command, and of earlier ones that it continues.

    Measuring and saving are timed whenever they happen, to know how long they take at the end.
    """

    def __init__(self, seconds: float, used: float, started: float) -> None:
        """Args:
        seconds: the whole time of the run.
        used: how much of it earlier commands took.
        started: when this command began, as ``time.monotonic()`` tells it.
        """
        self._seconds, self._used, self._started = seconds, used, started
        self._measuring = self._saving = 0.0

    def estimate(self, pretraining: Pretraining) -> None:
        """Estimate how long measuring and saving take, from a small measurement and the weights."""
        self.measure(pretraining, pretraining.quick_size // 4)
        weights = 4 * sum(each.numel() for each in pretraining.model.parameters())
        self._saving = _CHECKPOINT_SIZE * weights / _DISK_SPEED

    def measure(self, pretraining: Pretraining, limit: int) -> dict[str, float | None]:
        """Measure on about ``limit`` tokens or images, and time it."""
        begun = time.monotonic()
        measured = pretraining.measure(limit)
        share = min(1.0, limit / pretraining.held_out_size)
        self._measuring = (time.monotonic() - begun) / share
        return measured

    def time_saving(self, seconds: float) -> None:
        """Note how long a checkpoint took."""
        self._saving = seconds

    @property
    def used(self) -> float:
        """Seconds that the run has taken so far."""
        return self._used + time.monotonic() - self._started

    @property
    def _needed_at_end(self) -> float:
        expected = self._measuring + 2 * self._saving + 0.01 * self._seconds
        return _MARGIN * expected + _TO_START_AND_EXIT

    def seconds_left(self) -> float:
        """Seconds that are left to train in."""
        return self._seconds - self.used - self._needed_at_end

    def check(self, run: Path, flag: Any) -> None:
        """Refuse to begin a run that has no time to train.

        Raises:
            UserError: says how much time was used already, and how much the end needs.
        """
        if self.seconds_left() <= 0:
            raise UserError(
                f"--wall-clock {flag}: {self.used:.0f} s were used before the first step of {run}, "
                f"and measuring and saving need {self._needed_at_end:.0f} s: give more time"
            )
