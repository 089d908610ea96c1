"""Which label was taken for which, and how well each one is found."""

from selfsup.report import numbers
from selfsup.report.markup import caption, confusion_matrix, figure, table
from selfsup.report.run_folder import Record

# A matrix of more labels than these is no longer read; the pairs that are confused most are.
_MOST_LABELS = 30
_MOST_PAIRS = 20


def confusion_figure(summary: Record) -> str:
    """The confusion matrix of a summary, or its largest entries; nothing where it has none."""
    confusion = summary.get("confusion") or {}
    if not {"labels", "matrix"} <= set(confusion):
        return ""
    labels, matrix = confusion["labels"], confusion["matrix"]
    if len(labels) > _MOST_LABELS:
        return _most_confused(labels, matrix)
    if summary.get("task") == "token-classification":
        about = f"rows: true type, columns: found; {labels[-1]}: nothing with just these borders"
        return confusion_matrix(labels, matrix, about)
    return confusion_matrix(labels, matrix, "rows: true label, columns: predicted")


def class_table(summary: Record) -> str:
    """Precision, recall and F1 of each label or type, and how often it occurs."""
    classes = summary.get("classes") or []
    rows = [
        [
            str(entry["label"]),
            *(numbers.percent(entry[key]) for key in ("precision", "recall", "f1")),
            f"{entry['examples']:,}",
        ]
        for entry in classes
        if {"label", "precision", "recall", "f1", "examples"} <= set(entry)
    ]
    if not rows:
        return ""
    what = "Type" if summary.get("task") == "token-classification" else "Label"
    return figure(
        caption(f"Each {what.lower()}"),
        table([what, "Precision", "Recall", "F1", "Count"], rows),
    )


def _most_confused(labels: list[str], matrix: list[list[float]]) -> str:
    pairs = [
        (count, true, predicted, sum(counts))
        for true, counts in enumerate(matrix)
        for predicted, count in enumerate(counts)
        if true != predicted and count
    ]
    pairs.sort(key=lambda pair: (-pair[0], pair[1:]))
    rows = [
        [
            str(labels[true]),
            str(labels[predicted]),
            f"{count:,}",
            numbers.percent(count / total),
        ]
        for count, true, predicted, total in pairs[:_MOST_PAIRS]
    ]
    if not rows:
        return ""
    return figure(
        caption("Most often confused"),
        table(["Label", "Taken for", "Times", "Of the label's examples"], rows),
    )
