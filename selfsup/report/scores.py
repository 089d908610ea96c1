"""Metrics as a summary holds them, and as a person reads them."""

from dataclasses import dataclass

from selfsup.report import numbers

# The metrics that are shares, written in per cent; the correlations are not.
_ANSWERS = ("exact_match", "f1", "has_answer_exact_match", "has_answer_f1",
            "no_answer_exact_match", "no_answer_f1")  # fmt: skip
SHARES = frozenset(("accuracy", "precision", "recall", "f1_macro", "subset_accuracy", *_ANSWERS))


@dataclass(frozen=True)
class Score:
    """A metric over one run or several."""

    mean: float
    std: float | None = None
    values: tuple[float, ...] = ()


def read_score(entry: object) -> Score | None:
    """A metric of a summary, which gives one number, or mean, std and values over seeds."""
    if numbers.is_number(entry):
        return Score(float(entry))
    if not isinstance(entry, dict) or not numbers.is_number(entry.get("mean")):
        return None
    values = tuple(float(value) for value in entry.get("values", []) if numbers.is_number(value))
    several = numbers.is_number(entry.get("std")) and len(values) != 1
    return Score(float(entry["mean"]), float(entry["std"]) if several else None, values)


def write_score(name: str, score: Score) -> str:
    """`71.2 % ± 1.1 %`, or the one number where there is one run."""
    mean = write_metric(name, score.mean)
    return mean if score.std is None else f"{mean} ± {write_metric(name, score.std)}"


def write_metric(name: str, value: float) -> str:
    """A metric's value: shares in per cent, correlations and losses as they are."""
    if name in SHARES:
        return numbers.percent(value)
    # An error of large numbers is one itself.
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3f}"


def metric_title(name: str) -> str:
    """`matthews_correlation` → `Matthews correlation`; `no_answer_f1` → `No answer F1`."""
    return name.replace("_", " ").capitalize().replace("f1", "F1")
