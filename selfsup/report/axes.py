"""What all charts share: axes with round ticks, and labels that fit beside the plot."""

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """A linear map from values `low`…`high` to pixels `start`…`end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, about: int, *, whole: bool = False) -> list[float]:
        """About this many round values within the scale; whole: whole numbers only."""
        step = round_step((self.high - self.low) / about)
        step = math.ceil(step) if whole else step
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]


def round_step(rough: float) -> float:
    """The nearest to `rough`, by ratio, of 1, 2, 2.5, 5 × 10ⁿ."""
    power = 10.0 ** math.floor(math.log10(rough))
    return min(
        (step * power for step in (1, 2, 2.5, 5, 10)), key=lambda step: abs(math.log(step / rough))
    )


def scale_around(
    values: list[float], start: float, end: float, *, from_zero: bool = False
) -> Scale:
    """A scale that holds all values, with a margin around them.

    from_zero: include 0, without a margin where 0 is at an end.
    """
    low, high = min(values), max(values)
    if from_zero:
        low, high = min(0.0, low), max(0.0, high)
    margin = 0.06 * (high - low)
    if high - low < 1e-9 * max(1.0, abs(low), abs(high)):
        margin = 0.1 * max(abs(low), abs(high)) or 1.0
    keeps_low, keeps_high = from_zero and low == 0, from_zero and high == 0 and low < 0
    return Scale(
        low if keeps_low else low - margin, high if keeps_high else high + margin, start, end
    )


def tick_labels(ticks: list[float], write: Callable[[float], str]) -> list[str]:
    """The texts at the ticks; -0 and rounding errors near 0 become 0."""
    return [write(tick + 0.0 if abs(tick) > 1e-12 else 0.0) for tick in ticks]


def text_width(text: str) -> float:
    """An estimate of a label's width in the chart's units; wide characters count double."""
    return 7.0 * sum(2 if ord(character) > 0x10FF else 1 for character in text)


def fitted(label: str, width: float) -> str:
    """The label, cut in the middle to fit this width, as runs' names often differ at their ends."""
    kept = len(label)
    short = label
    while text_width(short) > width and kept > 1:
        kept -= 1
        short = f"{label[: (kept + 1) // 2]}…{label[len(label) - kept // 2 :]}"
    return short
