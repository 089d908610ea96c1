"""The result of a fine-tuning run in sentences, for its page, the terminal and the doctor.

A run is measured against its baseline, the best answer that is the same for every example.
"""

import math
from collections.abc import Iterable, Sequence

from selfsup.report import formatting
from selfsup.report.formatting import metric_title, read_score, write_metric, write_score
from selfsup.runs.reading import Record
from selfsup.tasks.notes import counted

BASELINE = "Baseline (constant answer)"


def baseline_of(summary: Record) -> Record:
    """The metrics of a constant answer; older runs have that of the selection metric only."""
    chance = {str(summary.get("selection_metric")): summary.get("chance")}
    known = summary.get("baseline") or chance
    return {name: value for name, value in known.items() if formatting.is_number(value)}


def baseline_cells(summary: Record, metrics: Iterable[str]) -> list[str]:
    """A table's cell for each of these metrics; empty if there is no baseline."""
    known = baseline_of(summary)
    names = metrics if known else ()
    return [write_metric(name, known[name]) if name in known else "–" for name in names]


def failures(summary: Record) -> str:
    """How many seeds learned nothing, and which; empty if there is none."""
    failed = summary.get("failed_seeds") or []
    total = len(summary.get("seeds") or failed)
    diverged = [seed for seed in failed if _has_diverged(summary, seed)]
    weak = [seed for seed in failed if seed not in diverged]
    sentences = []
    if weak:
        sentences.append(f"{_named(weak, total)} did no better than a constant answer.")
    if diverged:
        sentences.append(f"{_named(diverged, total)} diverged: the loss became infinite.")
    return " ".join(sentences)


def verdict(summary: Record) -> str:
    """Which seeds failed, then the metric that selects the best epoch beside its baseline."""
    sentences = [failures(summary)]
    metric, chance = str(summary.get("selection_metric")), summary.get("chance")
    score = read_score((summary.get("metrics") or {}).get(metric))
    if score and formatting.is_number(chance):
        examples = summary.get("validation_examples")
        on = ""
        if formatting.is_number(examples):
            on = f" on {counted(int(examples), 'validation example', 'validation examples')}"
        sentences.append(
            f"{metric_title(metric)} is {write_score(metric, score)}{on}; a constant answer gets "
            f"{write_metric(metric, chance)}."
        )
        if metric == "accuracy" and formatting.is_number(examples):
            # Two standard errors of a share of so many examples.
            error = 2 * math.sqrt(chance * (1 - chance) / max(1, examples))
            if 0 < score.mean - chance < error:
                sentences.append("On so few examples, the difference may be chance.")
    return " ".join(filter(None, sentences))


def _has_diverged(summary: Record, seed: int) -> bool:
    """Whether a failed seed has no epoch, or is better than the baseline all the same."""
    epochs, chance = summary.get("best_epochs") or {}, summary.get("chance")
    score = read_score((summary.get("metrics") or {}).get(str(summary.get("selection_metric"))))
    if score is None or not formatting.is_number(chance) or len(score.values) != len(epochs):
        return False
    found = dict(zip(epochs, score.values, strict=True)).get(str(seed))
    return found is None or found > chance


def _named(seeds: Sequence[int], total: int) -> str:
    """`2 of 3 seeds (seeds 0 and 2)`."""
    *first, last = map(str, seeds)
    names = f"seeds {', '.join(first)} and {last}" if first else f"seed {last}"
    return f"{len(seeds)} of {total} seeds ({names})"
