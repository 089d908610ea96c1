"""What a report shows of one fine-tuning run."""

from selfsup.report import numbers
from selfsup.report.answers_by_length import answer_table
from selfsup.report.confusion import class_table, confusion_figure
from selfsup.report.image_mistakes import image_mistakes
from selfsup.report.learning_curves import learning_curves
from selfsup.report.markup import charts, example_table, paragraph, section, table, tiles
from selfsup.report.mistakes import SUREST, find_mistakes
from selfsup.report.run_folder import Run
from selfsup.report.scatter_chart import scatter_chart
from selfsup.report.scores import metric_title, read_score, write_metric

# More labels than these, and their matrix and their table do not stand side by side.
_NARROW = 6


def finetuning_sections(run: Run) -> str:
    """Tiles, each seed's curves and results, and where the model that was kept errs."""
    return (
        tiles(_tiles(run))
        + section("Curves", charts(*learning_curves(run)))
        + section("Seeds", _failed(run), _seeds(run))
        + _errors(run)
    )


def _errors(run: Run) -> str:
    confusion, classes = confusion_figure(run.summary), class_table(run.summary)
    labels = (run.summary.get("confusion") or {}).get("labels") or []
    narrow = bool(confusion) and len(labels) <= _NARROW
    parts = [
        charts(confusion, classes) if narrow else confusion + classes,
        _scatter(run),
        answer_table(run.predictions),
    ]
    errs = section("Where it errs", _kept(run), *parts) if any(parts) else ""
    errs += section(SUREST, *image_mistakes(run.predictions))
    mistakes = find_mistakes(run.predictions)
    if mistakes is None:
        return errs
    shown = example_table(mistakes.head, mistakes.rows) if mistakes.rows else ""
    return errs + section(mistakes.title, paragraph(mistakes.about), shown)


def _kept(run: Run) -> str:
    """Which of the run's models this is."""
    seed, examples = run.summary.get("best_seed"), run.summary.get("validation_examples")
    epoch = (run.summary.get("best_epochs") or {}).get(str(seed))
    if epoch is None or not numbers.is_number(examples):
        return ""
    return paragraph(
        f"The model that was kept, of seed {seed} after epoch {epoch}, on the {examples:,} "
        "validation examples."
    )


def _scatter(run: Run) -> str:
    points = [
        (record["value"], record["prediction"])
        for record in run.predictions
        if numbers.is_number(record.get("value")) and numbers.is_number(record.get("prediction"))
    ]
    figure = scatter_chart("Predicted against given", points, x_label="given", y_label="predicted")
    return charts(figure)


def _tiles(run: Run) -> list[tuple[str, str, str]]:
    entries = []
    for name, entry in (run.summary.get("metrics") or {}).items():
        if not (score := read_score(entry)):
            continue
        about = ""
        if score.std is not None:
            about = f"± {write_metric(name, score.std)} over {len(score.values)} seeds"
        entries.append((metric_title(name), write_metric(name, score.mean), about))
    if numbers.is_number(seconds := run.summary.get("seconds")):
        entries.append(("Time", numbers.duration(seconds), "of fine-tuning"))
    return entries


def _failed(run: Run) -> str:
    failed = run.summary.get("failed_seeds") or []
    if not failed:
        return ""
    which = f"seed{'s' * (len(failed) > 1)} {', '.join(map(str, failed))}"
    return paragraph(
        f"Failed to learn, no better than the same answer for every example: {which}.", "note"
    )


def _seeds(run: Run) -> str:
    """Each seed's best epoch and what it came to; nothing where there is one seed."""
    summary = run.summary
    seeds, epochs = summary.get("seeds") or [], summary.get("best_epochs") or {}
    if len(seeds) < 2:
        return ""
    scores = {
        name: score
        for name, entry in (summary.get("metrics") or {}).items()
        if (score := read_score(entry)) and len(score.values) == len(epochs)
    }
    rows, strong = [], set()
    for seed in seeds:
        row = [str(seed), str(epochs.get(str(seed), "–"))]
        for name, score in scores.items():
            found = dict(zip(epochs, score.values, strict=True)).get(str(seed))
            row.append("–" if found is None else write_metric(name, found))
        if seed == summary.get("best_seed"):
            strong |= {(len(rows), column) for column in range(1, len(row))}
        marks = {
            "kept": seed == summary.get("best_seed"),
            "failed": seed in (summary.get("failed_seeds") or []),
        }
        row.append(", ".join(mark for mark, holds in marks.items() if holds))
        rows.append(row)
    return table(["Seed", "Best epoch", *map(metric_title, scores), ""], rows, strong=strong)
