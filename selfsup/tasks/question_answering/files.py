"""Read questions from files in SQuAD's form (1.1 and 2.0), and from rows with a question each.

SQuAD's form is ``{"data": [{"paragraphs": [{"context": …, "qas": [{"id": …, "question": …,
"answers": [{"text": …, "answer_start": …}], "is_impossible": …}]}]}]}``. A row, as the library
datasets writes it, is ``{"id": …, "context": …, "question": …, "answers": {"text": […],
"answer_start": […]}}``; rows are JSON lines, Parquet, or the entries of "data". ``answer_start``
counts characters.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from selfsup.errors import UserError
from selfsup.tasks.json_files import has_rows, read_json
from selfsup.tasks.notes import DataError, collect_errors
from selfsup.tasks.question_answering.answers import valid_answers
from selfsup.tasks.question_answering.data import Answer, Questions
from selfsup.tasks.tables import Row, in_blocks, read_row_blocks

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
    encoding: str | None = None,
    mistakes: list[UserError] | None = None,
    rows: list[Row] | None = None,
) -> Questions:
    """Read all questions of a file, with notes; see ``read_squad_blocks``."""
    notes: list[str] = []
    (whole,) = read_squad_blocks(
        file, notes.append, labelled=labelled, encoding=encoding, mistakes=mistakes, rows=rows
    )
    return replace(whole, notes=tuple(notes))


def read_squad_blocks(
    file: str,
    tell: Callable[[str], None],
    size: int | None = None,
    *,
    labelled: bool,
    encoding: str | None = None,
    mistakes: list[UserError] | None = None,
    rows: list[Row] | None = None,
) -> Iterator[Questions]:
    """Read the questions of a file, also of a compressed one, in blocks.

    Rows are read block by block, and a file in SQuAD's form at once. The ids of all questions are
    kept, since no two may be the same. Questions without ids are numbered. Where no question of a
    block says whether it ``is_impossible``, one without answers has none, if it is a row or the
    file is of version 2.

    Args:
        file: a path or URL.
        tell: takes notes on how the file is read.
        size: most questions in a block; None for all in one.
        labelled: whether to read the answers, and check each against its context.
        encoding: of the file; None for UTF-8.
        mistakes: collects the errors of questions and answers, which are then left out; None to
            raise them.
        rows: of the file, if they are already read.

    Raises:
        UserError: the file cannot be read or is not in this form, two questions share an id, or an
            answer is not at its position. The message names the question's id.
    """
    version, are_rows = "", rows is not None or has_rows(file)
    if are_rows:
        of_file = read_row_blocks(file, tell=tell, size=size) if rows is None else [rows]
        blocks = ([_in_row(row, file) for row in block] for block in of_file)
    else:
        version, asked = _in_json(read_json(file, _FORM, encoding), file)
        blocks = in_blocks(asked, size, _characters)
    reader = None
    for block in blocks:
        if reader is None:
            id_name = _id_name(block, file, tell)
            reader = _Reader(file, labelled, version, id_name, are_rows, mistakes)
        questions = reader.read(block)
        for note in questions.notes:
            tell(note)
        yield replace(questions, notes=())
    if reader is None:
        raise UserError(f"{file}: holds no questions: give a file with at least one")


@dataclass
class _Reader:
    """Turns blocks of what a file holds into questions.

    Attributes:
        file: where they are from.
        labelled, mistakes: as for ``read_squad_blocks``.
        version: of SQuAD; empty if the file names none.
        id_name: the field with the ids, if any.
        names_lines: whether messages name a row's line beside its id.
        count: how many were read so far, with those that were left out.
        seen: the ids so far.
    """

    file: str
    labelled: bool
    version: str
    id_name: str | None
    names_lines: bool
    mistakes: list[UserError] | None
    count: int = 0
    seen: set[str] = field(default_factory=set)

    def read(self, asked: list[_Asked]) -> Questions:
        """The questions of a block."""
        is_flagged = any(each.fields.get("is_impossible") is not None for each in asked)
        ids: list[str] = []
        contexts: dict[str, int] = {}
        questions: list[str] = []
        context_of: list[int] = []
        answers: list[tuple[Answer, ...]] = []
        unflagged: list[str] = []
        for context, fields, place, is_row in asked:
            with collect_errors(self.mistakes):
                name, where = self._next_name(fields, place)
                context = _text({"context": context}, "context", where)
                text = _text(fields, "question", where)
                if self.labelled:
                    may_be_empty = not is_flagged and (is_row or self.version.startswith("2"))
                    valid = valid_answers(fields, context, where, may_be_empty, self.mistakes)
                    if valid is None:
                        continue
                    answers.append(valid)
                    if not valid and fields.get("is_impossible") is None:
                        unflagged.append(name)
                self.seen.add(name)
                ids.append(name)
                questions.append(text)
                context_of.append(contexts.setdefault(context, len(contexts)))
        notes = ()
        if unflagged:
            notes = (
                f'{self.file}: questions without answers, and without "is_impossible": '
                f"{len(unflagged):,} (the first is {unflagged[0]}); their contexts are taken to "
                "hold no answer",
            )
        return Questions(
            self.file, ids, questions, list(contexts), np.asarray(context_of, np.int64),
            answers if self.labelled else None,
            self.version.startswith("2") or not all(answers), notes,
        )  # fmt: skip

    def _next_name(self, fields: dict[str, Any], place: str) -> tuple[str, str]:
        """The id of the next question, and where it stands."""
        self.count += 1
        name = str(self.count) if self.id_name is None else _id(fields, self.id_name, place)
        where = f"{place if self.names_lines else self.file}, question {name}"
        if name in self.seen:
            raise DataError(
                "questions with the id of another one",
                f"{where}: two questions have this id: give each its own",
            )
        return name, where


def _id_name(asked: list[_Asked], file: str, tell: Callable[[str], None]) -> str | None:
    """The field that holds the ids; None if the questions have none."""
    fields = {name for each in asked for name in each.fields}
    id_name = next((name for name in _ID_NAMES if name in fields), None)
    if id_name is None:
        tell(f"{file}: the questions have no ids: they are numbered from 1")
    elif id_name != "id":
        tell(f'{file}: taking the ids from "{id_name}"')
    return id_name


def _in_row(row: Row, file: str) -> _Asked:
    return _Asked(row.fields.get("context"), row.fields, f"{file}, line {row.line}", True)


def _in_json(whole: Any, file: str) -> tuple[str, list[_Asked]]:
    """The version that a file in SQuAD's form names, and its questions."""
    articles = whole.get("data") if isinstance(whole, dict) else whole
    if not isinstance(articles, list):
        raise UserError(f'{file}: it has no list "data": give {_FORM}')
    version = str(whole.get("version", "")) if isinstance(whole, dict) else ""
    return version.lower().removeprefix("v"), list(_in_articles(articles, file))


def _characters(asked: _Asked) -> int:
    return len(asked.context) if isinstance(asked.context, str) else 0


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
