"""The metrics of several runs side by side: bars, and the same numbers in a table."""

from collections.abc import Mapping, Sequence
from typing import Any

from selfsup.report import numbers
from selfsup.report.bar_chart import Bar, bar_chart
from selfsup.report.markup import table
from selfsup.report.scores import SHARES, metric_title, read_score, write_metric, write_score

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
                write_tick=numbers.round_percent if kind in SHARES else "{:g}".format,
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
