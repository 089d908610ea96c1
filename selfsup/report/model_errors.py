"""Where a fine-tuned model errs. What is shown of it, its task says (``tasks.view``)."""

from html import escape
from importlib import import_module
from pathlib import Path

from selfsup.report import formatting
from selfsup.report.charts import scatter_chart
from selfsup.report.markup import (
    Passage,
    Picture,
    abbreviated,
    around,
    charts,
    confusion_matrix,
    example_table,
    figure,
    gallery,
    paragraph,
    read_picture,
    section,
    show_picture,
    table,
)
from selfsup.runs.reading import Record, Run
from selfsup.settings.labelled_data import TASKS
from selfsup.tasks.view import Cell, Marked, Mistakes, Row, View

# A matrix of more labels is hard to read; a table of the most confused pairs takes its place.
_MAX_LABELS = 30
_MAX_NARROW_LABELS = 6  # up to this many, the matrix and the table fit side by side
_MAX_PAIRS = 20
_LONGEST_ANSWER = 120  # characters
_IMAGE_SIDE = 96


def task_of(run: Run) -> str:
    """The name of a fine-tuning run's task; empty if it is not known."""
    return str(run.summary.get("task") or run.settings.get("task") or "")


def view_of(run: Run) -> View:
    """What the run's task says is to be shown of it."""
    folder = TASKS.get(task_of(run))
    if folder is None:
        return View()
    return import_module(f"selfsup.tasks.{folder}.view").view(run.summary, run.predictions)


def error_sections(run: Run, view: View) -> str:
    """Confused labels and the scores of each, given and predicted numbers, and mistakes."""
    labels = (run.summary.get("confusion") or {}).get("labels") or []
    confusion, classes = _confusion(run.summary, view), _classes(run.summary, view)
    narrow = bool(confusion) and len(labels) <= _MAX_NARROW_LABELS
    points = [point for point in view.points if all(map(formatting.is_number, point))]
    parts = [
        charts(confusion, classes) if narrow else confusion + classes,
        charts(scatter_chart(points)),
        _groups(view),
    ]
    errs = section("Where it errs", _kept(run), *parts) if any(parts) else ""
    return errs + (_mistakes(view.mistakes, _image_folders(run)) if view.mistakes else "")


def _kept(run: Run) -> str:
    """Which seed's and epoch's model was kept."""
    seed, examples = run.summary.get("best_seed"), run.summary.get("validation_examples")
    epoch = (run.summary.get("best_epochs") or {}).get(str(seed))
    if epoch is None or not formatting.is_number(examples):
        return ""
    return paragraph(
        f"The model that was kept is that of seed {seed} after epoch {epoch}; here are its "
        f"results on the {examples:,} validation examples."
    )


def _confusion(summary: Record, view: View) -> str:
    """The confusion matrix, or the largest confusions of many labels; empty if there is none."""
    confusion = summary.get("confusion")
    if not confusion:
        return ""
    labels, matrix = confusion["labels"], confusion["matrix"]
    if len(labels) <= _MAX_LABELS:
        return confusion_matrix(labels, matrix, view.confusion)
    pairs = [
        (-count, true, predicted)
        for true, counts in enumerate(matrix)
        for predicted, count in enumerate(counts)
        if true != predicted and count
    ]
    rows = [
        [
            str(labels[true]),
            str(labels[predicted]),
            f"{-count:,}",
            formatting.percent(-count / sum(matrix[true])),
        ]
        for count, true, predicted in sorted(pairs)[:_MAX_PAIRS]
    ]
    if not rows:
        return ""
    head = ["Label", "Taken for", "Times", "Of the label's examples"]
    return figure("Most often confused", table(head, rows))


def _classes(summary: Record, view: View) -> str:
    """Precision, recall, F1 and count of each label, or of each type of entity."""
    rows = [
        [
            str(entry["label"]),
            *(formatting.percent(entry[key]) for key in ("precision", "recall", "f1")),
            f"{entry['examples']:,}",
        ]
        for entry in summary.get("classes") or []
    ]
    if not rows:
        return ""
    head = [view.label.capitalize(), "Precision", "Recall", "F1", "Count"]
    return figure(f"Each {view.label}", table(head, rows))


def _groups(view: View) -> str:
    rows = [
        [name, f"{count:,}", *map(formatting.percent, shares)]
        for name, count, shares in view.groups
    ]
    return figure(view.group_title, table(view.group_head, rows)) if rows else ""


def _image_folders(run: Run) -> list[Path]:
    """The folders of the run's images, without links."""
    named = [run.settings.get(name) for name in ("validation", "train")]
    folders = [Path(name) for name in named if isinstance(name, str)]
    return [folder.resolve() for folder in folders if folder.is_dir()]


def _read_image(file: Path, folders: list[Path]) -> Picture | None:
    """An image of the data; None for any other file, as predictions may come from others."""
    real = file.resolve()
    is_data = any(real.is_relative_to(folder) for folder in folders)
    return read_picture(real, _IMAGE_SIDE) if is_data else None


def _mistakes(mistakes: Mistakes, folders: list[Path]) -> str:
    if not mistakes.on_images:
        rows = [map(passages, row) for row in mistakes.rows]
        shown = example_table(mistakes.head, rows) if rows else ""
        return section(mistakes.title, paragraph(mistakes.about), shown)
    pictures = [_read_image(Path(file), folders) for file, *_ in mistakes.rows]
    about = mistakes.about
    if lost := pictures.count(None):
        about += (
            f" {lost} of these could not be read from the run's folders of images: the file name "
            "is shown instead."
        )
    cards = [_card(*pair) for pair in zip(pictures, mistakes.rows, strict=True)]
    return section(mistakes.title, paragraph(about), gallery(cards))


def passages(cell: Cell) -> list[Passage]:
    """The paragraphs of a table's cell."""
    if isinstance(cell, Marked):
        return [around(*cell)]
    if isinstance(cell, list):
        return [Passage(abbreviated(text, _LONGEST_ANSWER)) for text in cell]
    if isinstance(cell, str):
        return [Passage(abbreviated(cell))]
    return [Passage(formatting.percent(cell) if formatting.is_number(cell) else "–")]


def _card(picture: Picture | None, row: Row) -> str:
    """An image, or the names of its folder and file, with its label and the one predicted."""
    file, label, predicted, probability = row
    name = "/".join(Path(file).parts[-2:])
    seen = show_picture(picture, name) if picture else escape(name)
    return (
        f'<div class="seen">{seen}</div><b>{escape(label)}</b> {escape(f"taken for {predicted}")}'
        f"<small>{formatting.percent(probability)}</small>"
    )
