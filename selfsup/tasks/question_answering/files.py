"""Read questions from files in SQuAD's form (1.1 and 2.0), and from rows with a question each.

SQuAD's form is ``{"data": [{"paragraphs": [{"context": …, "qas": [{"id": …, "question": …,
"answers": [{"text": …, "answer_start": …}], "is_impossible": …}]}]}]}``. A row, as the library
datasets writes it, is ``{"id": …, "context": …, "question": …, "answers": {"text": […],
"answer_start": […]}}``; rows are JSON lines, Parquet, or the entries of "data". ``answer_start``
counts characters.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from selfsup.errors import UserError
from selfsup.tasks.json_files import has_rows, other_unit, read_json
from selfsup.tasks.notes import DataError, collect_errors
from selfsup.tasks.question_answering.data import Answer, Questions
from selfsup.tasks.tables import Row, read_rows

_FORM = "a file in SQuAD's form"
_ID_NAMES = ("id", "guid", "qid", "question_id")


class _Asked(NamedTuple):
    """A question of a file: its context, its fields, where it stands, whether that is a row."""

    context: Any
    fields: dict[str, Any]
    where: str
    is_row: bool


def read_squad(
    file: str,
    *,
    labelled: bool,
    mistakes: list[UserError] | None = None,
    rows: list[Row] | None = None,
) -> Questions:
    """Read a whole file, also compressed.

    Questions without ids are numbered. Where no question of a file says whether it
    ``is_impossible``, one without answers has none, if it is a row or the file is of version 2.

    Args:
        file: a path or URL.
        labelled: whether to read the answers, and check each against its context.
        mistakes: collects the errors of questions and answers, which are then left out; None to
            raise them.
        rows: of the file, if they are already read.

    Raises:
        UserError: the file cannot be read or is not in this form, two questions share an id, or an
            answer is not at its position. The message names the question's id.
    """
    version = ""
    if rows is not None or has_rows(file):
        rows = read_rows(file) if rows is None else rows
        asked = [
            _Asked(row.fields.get("context"), row.fields, f"{file}, line {row.line}", True)
            for row in rows
        ]
    else:
        whole = read_json(file, _FORM)
        articles = whole.get("data") if isinstance(whole, dict) else whole
        if not isinstance(articles, list):
            raise UserError(f'{file}: it has no list "data": give {_FORM}')
        if isinstance(whole, dict):
            version = str(whole.get("version", "")).lower().removeprefix("v")
        asked = list(_in_articles(articles, file))
    is_flagged = any(each.fields.get("is_impossible") is not None for each in asked)
    named = {name for each in asked for name in each.fields}
    id_name = next((name for name in _ID_NAMES if name in named), None)
    notes = [] if id_name == "id" else [f'{file}: taking the ids from "{id_name}"']
    if id_name is None:
        notes = [f"{file}: the questions have no ids: they are numbered from 1"]
    ids: dict[str, None] = {}
    contexts: dict[str, int] = {}
    questions: list[str] = []
    context_of: list[int] = []
    answers: list[tuple[Answer, ...]] = []
    unflagged = []
    for number, (context, fields, where, is_row) in enumerate(asked, 1):
        with collect_errors(mistakes):
            name = str(number) if id_name is None else _id(fields, id_name, where)
            where = f"{where}, question {name}" if rows is not None else f"{file}, question {name}"
            if name in ids:
                raise DataError(
                    "questions with the id of another one",
                    f"{where}: two questions have this id: give each its own",
                )
            context = _text({"context": context}, "context", where)
            text = _text(fields, "question", where)
            if labelled:
                may_be_empty = not is_flagged and (is_row or version.startswith("2"))
                valid = _answers(fields, context, where, may_be_empty, mistakes)
                if valid is None:
                    continue
                answers.append(valid)
                if not valid and fields.get("is_impossible") is None:
                    unflagged.append(name)
            ids[name] = None
            questions.append(text)
            context_of.append(contexts.setdefault(context, len(contexts)))
    if not questions and not mistakes:
        raise UserError(f"{file}: holds no questions: give a file with at least one")
    if unflagged:
        notes.append(
            f'{file}: questions without answers, and without "is_impossible": {len(unflagged):,} '
            f"(the first is {unflagged[0]}); their contexts are taken to hold no answer"
        )
    may_be_unanswerable = version.startswith("2") or not all(answers)
    return Questions(
        file, list(ids), questions, list(contexts), np.asarray(context_of, np.int64),
        answers if labelled else None, may_be_unanswerable, tuple(notes),
    )  # fmt: skip


def read_answers(file: str) -> dict[str, str]:
    """Read answers as SQuAD's own script takes them: ``{"id": "answer"}``.

    Raises:
        UserError: the file cannot be read, or is not in this form.
    """
    whole = read_json(file, 'a file {"id": "answer"}')
    if not isinstance(whole, dict) or not whole:
        raise UserError(f'{file}: not in the form {{"id": "answer"}}: write a JSON object')
    for name, answer in whole.items():
        if not isinstance(answer, str):
            raise UserError(
                f'{file}, question {name}: the answer is no text: write one, "" for no answer'
            )
    return whole


def _in_articles(articles: list[Any], file: str) -> Iterator[_Asked]:
    """Every question with its context and its path: ``file, data[0].paragraphs[2]…``."""
    for article_number, article in enumerate(articles):
        place = f"{file}, data[{article_number}]"
        if isinstance(article, dict) and "question" in article:
            yield _Asked(article.get("context"), article, place, True)
            continue
        for number, paragraph in enumerate(_list(article, "paragraphs", place)):
            where = f"{place}.paragraphs[{number}]"
            for question_number, question in enumerate(_list(paragraph, "qas", where)):
                of_question = f"{where}.qas[{question_number}]"
                if not isinstance(question, dict):
                    raise UserError(f"{of_question}: this is no question: give {_FORM}")
                yield _Asked(paragraph.get("context"), question, of_question, False)


def _list(parent: Any, name: str, where: str) -> list[Any]:
    found = parent.get(name) if isinstance(parent, dict) else None
    if not isinstance(found, list):
        raise UserError(f'{where}: it has no list "{name}": give {_FORM}')
    return found


def _id(question: dict[str, Any], id_name: str, where: str) -> str:
    name = question.get(id_name)
    if not isinstance(name, str | int) or isinstance(name, bool) or name == "":
        raise DataError(
            "questions without an id", f'{where}: the question has no "{id_name}": give it one'
        )
    return _whole(str(name), id_name, where)


def _text(parent: dict[str, Any], name: str, where: str) -> str:
    text = parent.get(name)
    if not isinstance(text, str):
        raise UserError(f'{where}: "{name}" is missing or no text: add it')
    return _whole(text, name, where)


def _whole(text: str, name: str, where: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f'{where}: "{name}" holds half a character at position {error.start}: fix or remove it'
        ) from None
    return text


def _answers(
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
