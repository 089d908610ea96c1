"""Metrics as a summary holds them, and as a person reads them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selfsup.report import formatting
from selfsup.report.bar_and_scatter_charts import Bar, bar_chart
from selfsup.report.markup import table

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
    if formatting.is_number(entry):
        return Score(float(entry))
    if not isinstance(entry, dict) or not formatting.is_number(entry.get("mean")):
        return None
    values = tuple(float(value) for value in entry.get("values", []) if formatting.is_number(value))
    several = formatting.is_number(entry.get("std")) and len(values) != 1
    return Score(float(entry["mean"]), float(entry["std"]) if several else None, values)


def write_score(name: str, score: Score) -> str:
    """`71.2 % ± 1.1 %`, or the one number where there is one run."""
    mean = write_metric(name, score.mean)
    return mean if score.std is None else f"{mean} ± {write_metric(name, score.std)}"


def write_metric(name: str, value: float) -> str:
    """A metric's value: shares in per cent, correlations and losses as they are."""
    if name in SHARES:
        return formatting.percent(value)
    # An error of large numbers is one itself.
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3f}"


def metric_title(name: str) -> str:
    """`matthews_correlation` → `Matthews correlation`; `no_answer_f1` → `No answer F1`."""
    return name.replace("_", " ").capitalize().replace("f1", "F1")


# The metrics of several runs side by side: bars, and the same numbers in a table.


# From a run's name to its metrics, as a summary has them.
Scores = Mapping[str, Mapping[str, Any]]


def score_bars(scores: Scores) -> list[str]:
    """A chart for each metric, a bar a run."""
    figures = []
    for metric in _metrics(scores):
        kind = metric.split(",")[0]
        entries = [(name, read_score(values.get(metric))) for name, values in scores.items()]
        figures.append(
            bar_chart(
                metric_title(metric),
                [
                    Bar(name, entry.mean, entry.std, colour % 6 + 1)
                    for colour, (name, entry) in enumerate(entries)
                    if entry
                ],
                unit="less is better" if _less_is_better(metric) else "",
                write=lambda value, kind=kind: write_metric(kind, value),
                write_tick=formatting.round_percent if kind in SHARES else "{:g}".format,
            )
        )
    return figures


def score_table(scores: Scores, first_rows: Sequence[Sequence[str]] = ()) -> str:
    """A row for each metric, a column for each run, the best in bold; nothing without metrics."""
    rows, strong = [list(row) for row in first_rows], set()
    metrics = _metrics(scores)
    for metric in metrics:
        kind = metric.split(",")[0]
        entries = [read_score(values.get(metric)) for values in scores.values()]
        means = [entry.mean if entry else None for entry in entries]
        known = [mean for mean in means if mean is not None]
        if known and len(set(means)) > 1:
            best = (min if _less_is_better(metric) else max)(known)
            strong |= {(len(rows), column) for column, mean in enumerate(means, 1) if mean == best}
        cells = [write_score(kind, entry) if entry else "–" for entry in entries]
        rows.append([metric_title(metric), *cells])
    return table(["", *scores], rows, strong=strong) if metrics else ""


def _metrics(scores: Scores) -> list[str]:
    return list(dict.fromkeys(metric for values in scores.values() for metric in values))


def _less_is_better(metric: str) -> bool:
    return "loss" in metric or "error" in metric
