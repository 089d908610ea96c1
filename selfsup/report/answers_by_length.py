"""How good answers to questions are, by whether there is one and how long it is."""

from collections.abc import Sequence

from selfsup.report import numbers
from selfsup.report.markup import caption, figure, table
from selfsup.report.run_folder import Record
from selfsup.tasks.squad_metrics import normalized, question_scores

# (most words of the first answer expected, name)
_LENGTHS = ((1, "of one word"), (3, "of 2 or 3 words"), (7, "of 4 to 7 words"),
            (1 << 30, "of more words"))  # fmt: skip
_ALL, _WITH, _WITHOUT = "All questions", "With an answer", "Without an answer"


def answer_table(records: Sequence[Record]) -> str:
    """Exact match, F1 and the share of questions answered; nothing of other tasks' predictions."""
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
            numbers.percent(sum(column) / len(column)) for column in zip(*groups[name], strict=True)
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
