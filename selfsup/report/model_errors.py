"""Where a fine-tuned model errs: confused labels, scores of each label, answers and images.

Each function returns an empty string or list for a run of another task.
"""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from selfsup.report import formatting
from selfsup.report.markup import (
    caption,
    confusion_matrix,
    figure,
    gallery,
    paragraph,
    read_picture,
    show_picture,
    table,
)
from selfsup.report.mistakes import MOST, count_of_mistakes
from selfsup.runs.reading import Record
from selfsup.tasks.question_answering.squad_metrics import normalized, question_scores

# A matrix of more labels is hard to read; a table of the most confused pairs takes its place.
_MAX_LABELS = 30
_MAX_PAIRS = 20
# Groups of questions: (most words of the first expected answer, name).
_LENGTHS = ((1, "of one word"), (3, "of 2 or 3 words"), (7, "of 4 to 7 words"),
            (1 << 30, "of more words"))  # fmt: skip
_ALL, _WITH, _WITHOUT = "All questions", "With an answer", "Without an answer"
_IMAGE_SIDE = 96
_IMAGE_KEYS = {"image", "label", "prediction", "probabilities"}


def confusion_figure(summary: Record) -> str:
    """The confusion matrix of a summary, or its largest errors if it has many labels."""
    confusion = summary.get("confusion") or {}
    if not {"labels", "matrix"} <= set(confusion):
        return ""
    labels, matrix = confusion["labels"], confusion["matrix"]
    if len(labels) > _MAX_LABELS:
        return _most_confused(labels, matrix)
    if summary.get("task") == "token-classification":
        about = f"rows: true type, columns: found; {labels[-1]}: nothing with just these borders"
        return confusion_matrix(labels, matrix, about)
    return confusion_matrix(labels, matrix, "rows: true label, columns: predicted")


def class_table(summary: Record) -> str:
    """Precision, recall, F1 and count of each label, or of each type of entity."""
    classes = summary.get("classes") or []
    rows = [
        [
            str(entry["label"]),
            *(formatting.percent(entry[key]) for key in ("precision", "recall", "f1")),
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
            formatting.percent(count / total),
        ]
        for count, true, predicted, total in pairs[:_MAX_PAIRS]
    ]
    if not rows:
        return ""
    return figure(
        caption("Most often confused"),
        table(["Label", "Taken for", "Times", "Of the label's examples"], rows),
    )


def answer_table(records: Sequence[Record]) -> str:
    """Exact match, F1 and the share of questions answered, by the length of the expected answer."""
    records = [record for record in records if {"question", "answers", "answer"} <= record.keys()]
    if not records:
        return ""
    may_be_unanswerable = any(not record["answers"] for record in records)
    groups: dict[str, list[tuple[float, float, bool]]] = {}
    for record in records:
        scores = question_scores(
            record["answer"], record["answers"], may_be_unanswerable=may_be_unanswerable
        )
        for name in _groups_of(record["answers"], may_be_unanswerable):
            groups.setdefault(name, []).append((*scores, bool(record["answer"])))
    order = [_ALL, _WITH, *(name for _, name in _LENGTHS), _WITHOUT]
    rows = []
    for name in sorted(groups, key=order.index):
        exact, f1, answered = (
            formatting.percent(sum(column) / len(column))
            for column in zip(*groups[name], strict=True)
        )
        rows.append([name, f"{len(groups[name]):,}", exact, f1, answered])
    return figure(
        caption("By the answer expected"),
        table(["", "Questions", "Exact match", "F1", "Answered"], rows),
    )


def _groups_of(answers: Sequence[str], may_be_unanswerable: bool) -> list[str]:
    if not answers:
        return [_ALL, _WITHOUT]
    words = len(normalized(answers[0]).split())
    length = next(name for most, name in _LENGTHS if words <= most)
    return [_ALL, _WITH, length] if may_be_unanswerable else [_ALL, length]


def image_mistakes(records: Sequence[Record]) -> list[str]:
    """The wrongly classified images, the surest errors first, after a sentence about them."""
    records = [record for record in records if record.keys() >= _IMAGE_KEYS]
    if not records:
        return []
    wrong = [record for record in records if record["label"] != record["prediction"]]
    wrong.sort(key=lambda record: -record["probabilities"][record["prediction"]])
    about = count_of_mistakes(len(wrong), len(records), "images", "are wrong", "the surest")
    cards = []
    lost = 0
    for record in wrong[:MOST]:
        picture = read_picture(Path(record["image"]), _IMAGE_SIDE)
        lost += picture is None
        cards.append(_card(record, "" if picture is None else show_picture(picture, _name(record))))
    if lost:
        about += f" {lost} of these could not be read: the file name is shown instead."
    return [paragraph(about), gallery(cards)]


def _card(record: Record, picture: str) -> str:
    sure = formatting.percent(record["probabilities"][record["prediction"]])
    seen = f'<div class="seen">{picture or escape(_name(record))}</div>'
    taken = f"taken for {record['prediction']}"
    return f"{seen}<b>{escape(str(record['label']))}</b> {escape(taken)}<small>{sure}</small>"


def _name(record: Record) -> str:
    """The names of the file and of its folder."""
    return "/".join(Path(record["image"]).parts[-2:])
