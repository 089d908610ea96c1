"""What a report shows of several fine-tuning runs side by side."""

from collections.abc import Sequence
from statistics import fmean

from selfsup.encoder.config import BERT_SIZES, VIT_SIZES
from selfsup.report import formatting
from selfsup.report.demo import ways_of
from selfsup.report.line_chart import Line, line_chart
from selfsup.report.markup import caption, charts, figure, section, table
from selfsup.report.pretraining_comparison import pretraining_comparison
from selfsup.report.scores import SHARES, metric_title, score_bars, score_table
from selfsup.runs.reading import Run

# A table of more labels than these is no longer read.
_MOST_LABELS = 30

NamedRuns = list[tuple[str, Run]]


def finetuning_comparison(runs: NamedRuns) -> str:
    """A section for each task: bars, curves, and tables of the runs' metrics and labels."""
    by_task: dict[str, NamedRuns] = {}
    for name, run in runs:
        task = run.summary.get("task") or run.settings.get("task") or ""
        by_task.setdefault(str(task), []).append((name, run))
    return "".join(
        section(f"Fine-tuning: {task}" if len(by_task) > 1 else "Fine-tuning", *_parts(part))
        for task, part in by_task.items()
    )


def start_of(run: Run) -> str:
    """What the encoder was at the start, and what of it has not learnt since."""
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
    facts = [["Start", *(start_of(run) for _, run in runs)]]
    if any(run.summary.get("failed_seeds") for _, run in runs):
        facts.append(["Failed to learn", *(_failed(run) for _, run in runs)])
    return [
        charts(*score_bars(scores), _curves(runs)),
        score_table(scores, facts),
        _labels(runs),
    ]


def _failed(run: Run) -> str:
    seeds = run.summary.get("seeds")
    return f"{len(run.summary.get('failed_seeds') or [])} of {len(seeds)}" if seeds else "–"


def _curves(runs: NamedRuns) -> str:
    """The metric that epochs are chosen by, each run's mean over its seeds."""
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
        x_label="epoch",
        whole_x=True,
        y_label="mean over the seeds" if several else "",
        write_x=lambda x: f"{x:g}",
        percent=metric in SHARES,
    )


def _labels(runs: NamedRuns) -> str:
    """The F1 of each label or type in each run's model."""
    found = [
        {str(entry["label"]): entry["f1"] for entry in run.summary.get("classes") or []}
        for _, run in runs
    ]
    labels = list(dict.fromkeys(label for part in found for label in part))
    if not labels or len(labels) > _MOST_LABELS:
        return ""
    rows, strong = [], set()
    for number, label in enumerate(labels):
        values = [part.get(label) for part in found]
        rows.append([label, *("–" if v is None else formatting.percent(v) for v in values)])
        known = [value for value in values if value is not None]
        if len(set(values)) > 1:
            strong |= {(number, place) for place, v in enumerate(values, 1) if v == max(known)}
    what = "type" if runs[0][1].summary.get("task") == "token-classification" else "label"
    return figure(
        caption(f"F1 of each {what}", "of the best seed's model"),
        table(["", *(name for name, _ in runs)], rows, strong=strong),
    )


# What a report shows of several runs: curves over each other, results side by side.


def comparison_sections(runs: list[Run]) -> str:
    """Each kind of run in a section of its own, then the settings in which the runs differ."""
    names = distinct_names(runs)
    by_kind = {
        kind: [(name, run) for name, run in zip(names, runs, strict=True) if run.kind == kind]
        for kind in ("pretrain", "finetune", "demo")
    }
    return (
        pretraining_comparison(by_kind["pretrain"])
        + finetuning_comparison(by_kind["finetune"])
        + section("Demo", *_demos(by_kind["demo"]))
        + section("Settings that differ", _differing_settings(names, runs))
    )


def distinct_names(runs: Sequence[Run]) -> list[str]:
    """The folders' names, with as many of the folders above as it takes to tell them apart."""
    paths = [run.folder.resolve() for run in runs]
    for parts in range(1, 1 + max(len(path.parts) for path in paths)):
        names = ["/".join(path.parts[-parts:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    # The same run given twice.
    return [f"{run.name} ({number})" for number, run in enumerate(runs, 1)]


def _demos(runs: list[tuple[str, Run]]) -> list[str]:
    scores = {
        run_name: {
            f"accuracy, {name}": (run.summary.get(key) or {}).get("accuracy")
            for key, name, _ in ways_of(run.summary)
        }
        for run_name, run in runs
    }
    return [charts(*score_bars(scores)), score_table(scores)]


def _differing_settings(names: list[str], runs: list[Run]) -> str:
    keys = list(dict.fromkeys(key for run in runs for key in run.settings if key != "out"))
    rows = [
        [key, *(formatting.setting(run.settings.get(key)) for run in runs)]
        for key in keys
        if len({repr(run.settings.get(key)) for run in runs}) > 1
    ]
    return table(["", *names], rows) if rows else ""
