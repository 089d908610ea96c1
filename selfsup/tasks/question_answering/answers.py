"""Read the answers of a question, and check each against the context that it is taken from."""

from typing import Any

from selfsup.errors import UserError
from selfsup.tasks.json_files import other_unit
from selfsup.tasks.notes import DataError, collect_errors
from selfsup.tasks.question_answering.data import Answer


def valid_answers(
    question: dict[str, Any],
    context: str,
    where: str,
    may_be_empty: bool,
    mistakes: list[UserError] | None,
) -> tuple[Answer, ...] | None:
    """The valid answers; None if answers are listed but none is valid."""
    listed = _one_by_one(question.get("answers", []))
    if not isinstance(listed, list):
        raise UserError(f'{where}: "answers" is no list: write [] where there is none')
    impossible = question.get("is_impossible", False)
    if impossible is True and listed:
        raise DataError(
            "questions said to be impossible, with answers",
            f'{where}: "is_impossible", but has answers: take one of the two out',
        )
    may_be_empty = may_be_empty and "answers" in question
    if impossible is not True and not listed and not may_be_empty:
        raise DataError(
            "questions without answers that are not said to be impossible",
            f'{where}: has no answers: add one, or set "is_impossible" to true where the context '
            "has none",
        )
    answers = []
    for entry in listed:
        with collect_errors(mistakes):
            answers.append(_answer(entry, context, where))
    return tuple(answers) if answers or not listed else None


def _one_by_one(answers: Any) -> Any:
    """Hugging Face's ``{"text": [...], "answer_start": [...]}`` as a list of answers."""
    if isinstance(answers, dict) and answers.keys() == {"text", "answer_start"}:
        texts, starts = answers["text"], answers["answer_start"]
        if isinstance(texts, list) and isinstance(starts, list) and len(texts) == len(starts):
            pairs = zip(texts, starts, strict=True)
            return [{"text": text, "answer_start": start} for text, start in pairs]
    return answers


def _answer(entry: Any, context: str, where: str) -> Answer:
    fields = entry if isinstance(entry, dict) else {}
    text, start = fields.get("text"), fields.get("answer_start")
    if not isinstance(text, str) or not text.strip():
        raise DataError(
            "answers without text",
            f'{where}: an answer has no "text": add it, or take the answer out',
        )
    if isinstance(start, float) and start.is_integer():
        start = int(start)
    if not isinstance(start, int) or isinstance(start, bool):
        raise DataError(
            "answers without a place",
            f'{where}: the answer {_shown(text)} has no "answer_start" that is a whole '
            "number: add it",
        )
    if start >= 0 and context.startswith(text, start):
        return Answer(text, start)
    found = context.find(text)
    fix = f"it first occurs at {found}" if found >= 0 else "the context does not hold it at all"
    if unit := other_unit(context, [(start, text)]):
        fix += f", and answer_start counts {unit}, not characters"
    raise DataError(
        "answers that do not stand at their place",
        f"{where}: the answer {_shown(text)} does not stand at character {start} of its context: "
        f"{fix}; fix answer_start or text",
    )


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "…")
