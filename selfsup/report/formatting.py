"""Numbers and metrics as a person reads them."""

from dataclasses import dataclass
from typing import TypeGuard

_LARGEST = 1e100
# Metrics that are shares, written in per cent; correlations are not.
_ANSWERS = ("exact_match", "f1", "has_answer_exact_match", "has_answer_f1",
            "no_answer_exact_match", "no_answer_f1")  # fmt: skip
SHARES = frozenset(("accuracy", "precision", "recall", "f1_macro", "subset_accuracy", *_ANSWERS))


def count(value: float) -> str:
    """1234567 → `1.23M`; 950 → `950`."""
    for size, suffix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size * 0.9995:
            return f"{value / size:.3g}{suffix}"
    return f"{value:.4g}"


def whole(value: float) -> str:
    """1234567.8 → `1,234,568`."""
    return f"{value:,.0f}"


def percent(value: float, digits: int = 1) -> str:
    """0.1234 → `12.3 %`, with a space that does not break the line."""
    return f"{100 * value:.{digits}f}\u00a0%"


def spaced(text: str) -> str:
    """The text with a space before each `%` that does not break the line."""
    return text.replace("%", "\u00a0%")


def round_percent(value: float) -> str:
    """A share at an axis tick, without trailing zeros: 0.25 → `25 %`, 0.125 → `12.5 %`."""
    return f"{round(100 * value, 4):g}\u00a0%"


def duration(seconds: float) -> str:
    """8130 → `2:15 h`; 75 → `1:15 min`; 4.2 → `4.2 s`."""
    if seconds < 10:
        return f"{seconds:.1f}\u00a0s"
    total = round(seconds)
    if total >= 3600:
        return f"{total // 3600}:{total // 60 % 60:02}\u00a0h"
    return f"{total // 60}:{total % 60:02}\u00a0min" if total >= 60 else f"{total}\u00a0s"


def scientific(value: float) -> str:
    """0.00075 → `7.5e-4`, as for learning rates; 0 → `0`."""
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def setting(value: object) -> str:
    """A setting's value: `–` for none, yes or no, lists with spaces between their entries."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return " ".join(str(entry) for entry in value)
    return str(value)


def is_number(value: object) -> TypeGuard[float]:
    """Whether the value is a number that can be drawn; the loss of a run that diverged is not."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return abs(value) <= _LARGEST  # not so of NaN


@dataclass(frozen=True)
class Score:
    """A metric of one run, or its mean, standard deviation and values over several seeds."""

    mean: float
    std: float | None = None
    values: tuple[float, ...] = ()


def read_score(entry: object) -> Score | None:
    """Read a metric from a summary: one number, or a dict of mean, std and values over seeds."""
    if is_number(entry):
        return Score(float(entry))
    if not isinstance(entry, dict) or not is_number(entry.get("mean")):
        return None
    listed = entry.get("values")
    values = tuple(map(float, filter(is_number, listed if isinstance(listed, list) else ())))
    several = is_number(entry.get("std")) and len(values) != 1
    return Score(float(entry["mean"]), float(entry["std"]) if several else None, values)


def write_score(name: str, score: Score) -> str:
    """`71.2 % ± 1.1 %`, or only the number if there is one run."""
    mean = write_metric(name, score.mean)
    return mean if score.std is None else f"{mean} ± {write_metric(name, score.std)}"


def write_metric(name: str, value: float) -> str:
    """A metric's value: shares in per cent, correlations and losses as plain numbers."""
    if name in SHARES:
        return percent(value)
    # The error of large numbers is large too, and needs no decimals.
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3f}"


def metric_title(name: str) -> str:
    """`matthews_correlation` → `Matthews correlation`; `no_answer_f1` → `No answer F1`."""
    return name.replace("_", " ").capitalize().replace("f1", "F1")


def less_is_better(name: str) -> bool:
    """Whether the metric is a loss or an error."""
    return "loss" in name or "error" in name
