"""What a report shows of several runs: common charts, and tables with a column for each run."""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain
from statistics import fmean
from typing import Any

from selfsup.encoder.config import BERT_SIZES, VIT_SIZES
from selfsup.report import formatting
from selfsup.report.charts import Bar, bar_chart
from selfsup.report.demo import accuracy_of, ways_of
from selfsup.report.finetuning import has_few_epochs
from selfsup.report.formatting import SHARES, metric_title, read_score, write_metric, write_score
from selfsup.report.line_chart import Line, line_chart
from selfsup.report.markup import best_in_bold, charts, figure, paragraph, section, table
from selfsup.report.model_errors import task_of, view_of
from selfsup.report.pretraining import pretraining_comparison
from selfsup.report.training_curves import EPOCHS, NamedRuns
from selfsup.runs.reading import Run

_MAX_LABELS = 30  # a longer table is hard to read

# A run's name → its metrics, as in its summary.
Scores = Mapping[str, Mapping[str, Any]]


def comparison_sections(runs: list[Run]) -> str:
    """A section for each kind of run, then the settings in which the runs differ."""
    names = distinct_names(runs)
    by_kind = {
        kind: [(name, run) for name, run in zip(names, runs, strict=True) if run.kind == kind]
        for kind in ("pretrain", "finetune", "demo")
    }
    return (
        pretraining_comparison(by_kind["pretrain"])
        + _finetunings(by_kind["finetune"])
        + section("Demo", *_demos(by_kind["demo"]))
        + section("Settings that differ", _differing_settings(names, runs))
    )


def distinct_names(runs: Sequence[Run]) -> list[str]:
    """The folders' names, with as many parent folders as are needed to make them distinct."""
    paths = [run.folder.resolve() for run in runs]
    for parts in range(1, 1 + max(len(path.parts) for path in paths)):
        names = ["/".join(path.parts[-parts:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    # The same run was given twice.
    return [f"{run.name} ({number})" for number, run in enumerate(runs, 1)]


def _demos(runs: NamedRuns) -> list[str]:
    scores = {
        run_name: {
            f"accuracy, {name}": accuracy_of(run.summary, key)
            for key, name, _ in ways_of(run.summary)
        }
        for run_name, run in runs
    }
    tasks = {repr(run.summary.get("task")) for _, run in runs}
    return [_unranked(len(tasks)), *_side_by_side(scores, ranked=len(tasks) == 1)]


def _unranked(data: int) -> str:
    """A note where runs were measured on several data sets."""
    text = "These runs were measured on different data, so they are not ranked."
    return paragraph(text, "note") if data > 1 else ""


def _differing_settings(names: list[str], runs: list[Run]) -> str:
    keys = list(dict.fromkeys(key for run in runs for key in run.settings if key != "out"))
    rows = [
        [key, *(formatting.setting(run.settings.get(key)) for run in runs)]
        for key in keys
        if len({repr(run.settings.get(key)) for run in runs}) > 1
    ]
    return table(["", *names], rows) if rows else ""


def _finetunings(runs: NamedRuns) -> str:
    """A section per task: bars, curves, and tables of the runs' metrics and of the F1 per label."""
    by_task: dict[str, NamedRuns] = {}
    for name, run in runs:
        by_task.setdefault(task_of(run), []).append((name, run))
    return "".join(
        section(f"Fine-tuning: {task}" if len(by_task) > 1 else "Fine-tuning", *_parts(part))
        for task, part in by_task.items()
    )


def _start_of(run: Run) -> str:
    """Whether the encoder was pre-trained, and which part of it was frozen."""
    encoder, freeze = run.settings.get("encoder"), run.settings.get("freeze")
    if encoder is None:
        return "–"
    start = "from scratch" if encoder in (*BERT_SIZES, *VIT_SIZES) else "pre-trained"
    if freeze is None:
        return start
    frozen = {"encoder": "frozen", "embeddings": "embeddings frozen"}
    return f"{start}, {frozen.get(str(freeze), f'embeddings and lowest {freeze} layers frozen')}"


def _parts(runs: NamedRuns) -> list[str]:
    scores = {name: run.summary.get("metrics") or {} for name, run in runs}
    facts = [["Start", *(_start_of(run) for _, run in runs)]]
    if any(run.summary.get("failed_seeds") for _, run in runs):
        facts.append(["Failed seeds", *(_failed(run) for _, run in runs)])
    data = {_measured_on(run) for _, run in runs if run.summary}
    ranked = len(data) < 2
    if not ranked:
        validation = (str(run.settings.get("validation", "–")) for _, run in runs)
        facts.insert(0, ["Validation data", *validation])
    baselines = [run.summary.get("baseline") or {} for _, run in runs]
    curves = _curves(runs) if ranked else ""
    return [
        _unranked(len(data)),
        *_side_by_side(scores, facts, curves, baselines, ranked=ranked),
        _labels(runs) if ranked else "",
    ]


def _measured_on(run: Run) -> tuple[object, ...]:
    """What tells the validation examples of fine-tuning runs apart."""
    summary, settings = run.summary, run.settings
    names = tuple(settings.get(name) for name in ("validation", "label_column", "label_type"))
    return (*names, summary.get("validation_examples"), summary.get("chance"))


def _failed(run: Run) -> str:
    seeds = run.summary.get("seeds")
    return f"{len(run.summary.get('failed_seeds') or [])} of {len(seeds)}" if seeds else "–"


def _curves(runs: NamedRuns) -> str:
    """The metric that selects the best epoch: each run's mean over its seeds.

    Empty where all runs have few epochs.
    """
    if all(has_few_epochs(run) for _, run in runs):
        return ""
    chosen = {str(run.summary.get("selection_metric")) for _, run in runs if run.summary}
    if len(chosen) != 1:
        return ""
    (metric,) = chosen
    lines = []
    for colour, (name, run) in enumerate(runs):
        by_epoch: dict[float, list[float]] = {}
        for line in run.epochs:
            value = line["validation"].get(metric)
            if formatting.is_number(value) and formatting.is_number(line.get("epoch")):
                by_epoch.setdefault(line["epoch"], []).append(value)
        epochs = sorted(by_epoch)
        lines.append(Line(name, epochs, [fmean(by_epoch[e]) for e in epochs], colour % 6 + 1))
    several = any(len(run.summary.get("seeds") or []) > 1 for _, run in runs)
    return line_chart(
        f"Validation: {metric_title(metric)}",
        lines,
        y_label="mean over the seeds" if several else "",
        percent=metric in SHARES,
        **EPOCHS,
    )


def _labels(runs: NamedRuns) -> str:
    """The F1 of each label, or of each type of entity, in each run's model."""
    found = [
        {str(entry["label"]): entry["f1"] for entry in run.summary.get("classes") or []}
        for _, run in runs
    ]
    labels = dict.fromkeys(chain.from_iterable(found))
    if not labels or len(labels) > _MAX_LABELS:
        return ""
    rows = []
    for label in labels:
        values = [part.get(label) for part in found]
        cells = ["–" if value is None else formatting.percent(value) for value in values]
        rows.append([label, *best_in_bold(cells, values, max)])
    shown = table(["", *(name for name, _ in runs)], rows)
    return figure(f"F1 of each {view_of(runs[0][1]).label}", shown, "of the best seed's model")


def _side_by_side(
    scores: Scores,
    facts: Sequence[list[str]] = (),
    curves: str = "",
    baselines: Sequence[Mapping[str, Any]] = (),
    *,
    ranked: bool,
) -> list[str]:
    """Bars of each metric, beside other curves, and a table with other facts above the metrics.

    baselines: each run's metrics of a constant answer.
    ranked: draw bars, and write the best in bold.
    """
    figures, rows = [], list(facts)
    for metric in dict.fromkeys(chain.from_iterable(scores.values())):
        kind, title = metric.split(",")[0], metric_title(metric)
        less_is_better = formatting.less_is_better(metric)
        entries = {name: read_score(values.get(metric)) for name, values in scores.items()}
        bars = [
            Bar(name, entry.mean, entry.std, colour % 6 + 1)
            for colour, (name, entry) in enumerate(entries.items())
            if entry
        ]
        figures.append(
            bar_chart(
                title,
                bars,
                unit="less is better" if less_is_better else "",
                write=partial(write_metric, kind),
                write_tick=formatting.round_percent if kind in SHARES else "{:g}".format,
            )
        )
        cells = [write_score(kind, entry) if entry else "–" for entry in entries.values()]
        if ranked:
            means = [entry.mean if entry else None for entry in entries.values()]
            cells = best_in_bold(cells, means, min if less_is_better else max)
        rows.append([title, *cells])
        levels = [values.get(metric) for values in baselines]
        if any(map(formatting.is_number, levels)):
            written = [write_metric(kind, x) if formatting.is_number(x) else "–" for x in levels]
            rows.append([f"{title}, constant answer", *written])
    shown = charts(*figures, curves) if ranked else ""
    return [shown, table(["", *scores], rows) if figures else ""]
