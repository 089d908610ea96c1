"""What a report shows of question answering: wrong answers, and scores by the answer's length."""

from collections.abc import Sequence
from typing import TypedDict

from selfsup.tasks.question_answering.squad_metrics import normalized, question_scores
from selfsup.tasks.view import Record, Row, Share, View, of_kind, surest_first

# Groups of questions: (most words of the first expected answer, name).
_LENGTHS = ((1, "of one word"), (3, "of 2 or 3 words"), (7, "of 4 to 7 words"),
            (1 << 30, "of more words"))  # fmt: skip
_ALL, _WITH, _WITHOUT = "All questions", "With an answer", "Without an answer"


class _Question(TypedDict):
    """A question, the answers expected, and the one given."""

    id: str
    question: str
    answers: list[str]
    answer: str
    probability: Share


def view(summary: Record, records: Sequence[Record]) -> View:
    """Answers that match none of those expected are sorted by probability × (1 − F1)."""
    unit = "nats a window"
    records = of_kind(records, _Question)
    if not records:
        return View(loss_unit=unit)
    may_be_unanswerable = any(not record["answers"] for record in records)
    wrong: list[tuple[float, Row]] = []
    groups: dict[str, list[tuple[float, float, bool]]] = {}
    for record in records:
        answer, expected, sure = record["answer"], record["answers"], record["probability"]
        exact, f1 = question_scores(answer, expected, may_be_unanswerable=may_be_unanswerable)
        for name in _groups_of(expected, may_be_unanswerable):
            groups.setdefault(name, []).append((exact, f1, bool(answer)))
        if not exact:
            texts = list(dict.fromkeys(expected)) or ["no answer"]
            row = (record["question"], texts, [answer or "no answer"], f1, sure)
            wrong.append((sure * (1 - f1), row))
    order = [_ALL, _WITH, *(name for _, name in _LENGTHS), _WITHOUT]
    return View(
        surest_first(
            wrong,
            ("Question", "Expected", "Answered", "F1", "Probability"),
            len(records),
            "answers",
            "match none of those expected",
            "those that are sure and share few words with them",
        ),
        loss_unit=unit,
        groups=[
            (
                name,
                len(groups[name]),
                [sum(each) / len(each) for each in zip(*groups[name], strict=True)],
            )
            for name in sorted(groups, key=order.index)
        ],
        group_title="By the answer expected",
        group_head=("", "Questions", "Exact match", "F1", "Answered"),
    )


def _groups_of(answers: Sequence[str], may_be_unanswerable: bool) -> list[str]:
    if not answers:
        return [_ALL, _WITHOUT]
    words = len(normalized(answers[0]).split())
    length = next(name for most, name in _LENGTHS if words <= most)
    return [_ALL, _WITH, length] if may_be_unanswerable else [_ALL, length]
