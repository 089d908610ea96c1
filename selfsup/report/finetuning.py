"""What a report shows of one fine-tuning run: curves, a table of the seeds, and its errors."""

from collections.abc import Callable

from selfsup.report import formatting
from selfsup.report.formatting import SHARES, metric_title, read_score, write_metric
from selfsup.report.line_chart import Level, Line, line_chart
from selfsup.report.markup import Strong, charts, paragraph, section, table, tiles
from selfsup.report.model_errors import error_sections, view_of
from selfsup.report.training_curves import EPOCHS, values
from selfsup.report.verdict import BASELINE, baseline_cells, baseline_of, verdict
from selfsup.report.worth import about_table, encoder_worth, model_table
from selfsup.runs.reading import Record, Run

# Up to this many epochs are shown in a table, as a curve of so few points shows nothing.
_FEW_EPOCHS = 3

# Metrics without a chart, because the chart of another metric is nearly the same.
_LEFT_OUT = {"loss": "mean_squared_error", "has_answer_exact_match": "has_answer_f1",
             "no_answer_exact_match": "no_answer_f1"}  # fmt: skip


def learning_curves(run: Run, loss_unit: str) -> list[str]:
    """A chart for each metric on the validation examples, and one of the training loss.

    The metric that selects the best epoch comes first. Each is drawn with its baseline.
    """
    baseline = baseline_of(run.summary)
    figures = [
        line_chart(
            f"Validation: {metric_title(name)}",
            _of_seeds(run, name, lambda line: line["validation"]),
            percent=name in SHARES,
            levels=[Level("constant answer", baseline[name])] if name in baseline else (),
            **EPOCHS,
        )
        for name in _metrics(run)
    ]
    loss = line_chart(
        "Training loss",
        _of_seeds(run, "train_loss", lambda line: line),
        y_label=loss_unit,
        write_y="{:.3g}".format,
        from_zero=True,
        **EPOCHS,
    )
    return [*figures, loss]


def has_few_epochs(run: Run) -> bool:
    """Whether a table shows the run's epochs better than curves."""
    return max((line.get("epoch", 0) for line in run.epochs), default=0) <= _FEW_EPOCHS


def _epochs(run: Run, loss_unit: str) -> list[str]:
    """A table with a row for each epoch of each seed, then the baseline."""
    names, kept = _metrics(run), run.summary.get("best_epochs") or {}
    rows = []
    for line in run.epochs:
        seed, epoch = line.get("seed", 0), line.get("epoch")
        measured = [(name, line["validation"].get(name)) for name in names]
        cells = [("loss", line.get("train_loss")), *measured]
        shown = [write_metric(*cell) if formatting.is_number(cell[1]) else "–" for cell in cells]
        if kept.get(str(seed)) == epoch:
            shown = [Strong(cell) for cell in shown]
        rows.append([f"seed {seed}, epoch {epoch}", *shown])
    if not rows:
        return []
    if levels := baseline_cells(run.summary, names):
        rows.append([BASELINE, "–", *levels])
    return [
        paragraph("On the validation examples. The best epoch of each seed is in bold."),
        table(["", f"Training loss, {loss_unit}", *map(metric_title, names)], rows),
    ]


def _of_seeds(run: Run, key: str, part_of: Callable[[Record], Record]) -> list[Line]:
    """Each seed's curve of a key in this part of the epochs' lines."""
    seeds = sorted({line.get("seed", 0) for line in run.epochs})
    curves = []
    for colour, seed in enumerate(seeds):
        lines = [line for line in run.epochs if line.get("seed", 0) == seed]
        epochs = [float(line.get("epoch", number)) for number, line in enumerate(lines, 1)]
        label = f"seed {seed}" if len(seeds) > 1 else ""
        curves.append(Line(label, epochs, values(map(part_of, lines), key), colour % 6 + 1))
    return curves


def _metrics(run: Run) -> list[str]:
    """The metrics to draw: the one that selects the epoch, those of the summary, then others."""
    names = {name for line in run.epochs for name in line["validation"]}
    names -= {name for name, other in _LEFT_OUT.items() if other in names}
    order = [run.summary.get("selection_metric"), *(run.summary.get("metrics") or {})]
    return sorted(names, key=lambda name: (order.index(name) if name in order else 99, name))


def finetuning_sections(run: Run) -> str:
    """Tiles, each seed's curves and results, and the errors of the model that was kept."""
    view = view_of(run)
    found = verdict(run.summary)
    if has_few_epochs(run):
        epochs = section("Epochs", *_epochs(run, view.loss_unit))
    else:
        epochs = section("Curves", charts(*learning_curves(run, view.loss_unit)))
    return (
        (paragraph(found, "verdict") if found else "")
        + tiles(_tiles(run))
        + section("What the encoder is worth", _comparison(run))
        + epochs
        + section("Seeds", _seeds(run))
        + error_sections(run, view)
    )


def _comparison(run: Run) -> str:
    """The fine-tuned model beside models without an encoder; empty if there are none."""
    head, rows = model_table(run.summary)
    if not rows:
        return ""
    worth = paragraph(encoder_worth(run.summary))
    return worth + table(head, rows) + paragraph(about_table(run.summary))


def _tiles(run: Run) -> list[tuple[str, str, str]]:
    entries, baseline = [], baseline_of(run.summary)
    for name, entry in (run.summary.get("metrics") or {}).items():
        if not (score := read_score(entry)):
            continue
        about = []
        if score.std is not None:
            about.append(f"± {write_metric(name, score.std)} over {len(score.values)} seeds")
        if name in baseline:
            about.append(f"baseline {write_metric(name, baseline[name])}")
        entries.append((metric_title(name), write_metric(name, score.mean), "\n".join(about)))
    if formatting.is_number(seconds := run.summary.get("seconds")):
        entries.append(("Time", formatting.duration(seconds), "of fine-tuning"))
    return entries


def _seeds(run: Run) -> str:
    """A table of each seed's best epoch and metrics; empty if there is only one seed."""
    summary = run.summary
    seeds, epochs = summary.get("seeds") or [], summary.get("best_epochs") or {}
    if len(seeds) < 2:
        return ""
    scores = {
        name: score
        for name, entry in (summary.get("metrics") or {}).items()
        if (score := read_score(entry)) and len(score.values) == len(epochs)
    }
    rows = []
    for seed in seeds:
        row = [str(epochs.get(str(seed), "–"))]
        for name, score in scores.items():
            found = dict(zip(epochs, score.values, strict=True)).get(str(seed))
            row.append("–" if found is None else write_metric(name, found))
        marks = []
        if seed == summary.get("best_seed"):
            row = [Strong(cell) for cell in row]
            marks.append("kept")
        if seed in (summary.get("failed_seeds") or []):
            marks.append("failed")
        rows.append([str(seed), *row, ", ".join(marks)])
    if levels := baseline_cells(summary, scores):
        rows.append([BASELINE, "–", *levels, ""])
    return table(["Seed", "Best epoch", *map(metric_title, scores), ""], rows)
