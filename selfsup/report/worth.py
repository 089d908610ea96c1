"""What the encoder is worth: the fine-tuned model beside models without one, in a table and words.

``summary.json`` has them as ``comparison``.
"""

from typing import Any

from selfsup.report.formatting import (
    SHARES,
    is_number,
    metric_title,
    read_score,
    write_metric,
    write_score,
)
from selfsup.runs.reading import Record

# What a model without an encoder sees, by the beginning of its name.
_ALONE = {
    "bag of words": "the words",
    "bag of characters": "the characters",
    "word windows": "words and their neighbours",
    "raw pixels": "the pixels",
}
ABOUT = "All on the same validation examples; the interval is of the first metric ({method})."


def encoder_worth(summary: Record) -> str:
    """One sentence on how far the encoder is above the best model without one; empty if unknown."""
    comparison = summary.get("comparison")
    if not comparison:
        return ""
    metric, worth = comparison["metric"], comparison["worth"]
    difference, (low, high) = worth["difference"], worth["interval"]
    if not all(map(is_number, (difference, low, high))):
        return ""
    beside = worth["beside"]
    if difference <= 0:
        alone = [what for name, what in _ALONE.items() if beside.startswith(name)]
        carry = f"{alone[0]} alone carry this task" if alone else "it learned nothing of use here"
        return (
            f"The fine-tuned encoder is not above the best model without one ({beside}): {carry}."
        )
    gain = _points(metric, difference)
    unit = (" point" if gain == "1.0" else " points") if metric in SHARES else ""
    ends = f"95 %: {_points(metric, low)} to {_points(metric, high)}"
    chance = ", which may be chance" if low <= 0 else ""
    return (
        f"The fine-tuned encoder is {gain}{unit} above the best model without one ({beside}; "
        f"{ends}){chance}."
    )


def _points(metric: str, difference: float) -> str:
    shown = f"{100 * difference:.1f}" if metric in SHARES else f"{difference:.3f}"
    return shown.replace("-", "−")


def model_table(summary: Record) -> tuple[list[str], list[list[str]]]:
    """Heads and rows: each model's metrics, and the 95 % interval of the first; empty if unknown.

    The fine-tuned model has the means and deviations over its seeds where there are several.
    """
    comparison: Any = summary.get("comparison")
    if not comparison:
        return [], []
    first, models = comparison["metric"], comparison["models"]
    names = [first, *(name for name in models[0]["metrics"] if name != first)]
    rows = []
    for model in models:
        scores = {name: read_score(model["metrics"].get(name)) for name in names}
        if model is models[0]:
            over_seeds = summary.get("metrics") or {}
            scores |= {name: found for name in names if (found := read_score(over_seeds.get(name)))}
        cells = [write_score(name, score) if score else "–" for name, score in scores.items()]
        low, high = (write_metric(first, end) for end in model["interval"])
        rows.append([model["name"], cells[0], f"{low} to {high}", *cells[1:]])
    return ["Model", metric_title(first), "95 % interval", *map(metric_title, names[1:])], rows


def about_table(summary: Record) -> str:
    """How the table came about."""
    comparison: Any = summary.get("comparison")
    return ABOUT.format(method=comparison["interval_method"]) if comparison else ""
