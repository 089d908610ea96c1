"""Questions about contexts, and how to read them from files in SQuAD's form (1.1 and 2.0).

A file holds ``{"data": [{"paragraphs": [{"context": …, "qas": [{"id": …, "question": …, "answers":
[{"text": …, "answer_start": …}], "is_impossible": …}]}]}]}``. ``answer_start`` counts characters.

Shapes: N questions, C different contexts.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from selfsup.corpus.readers import compression
from selfsup.corpus.readers.inputs import Input, opening
from selfsup.errors import UserError
from selfsup.tasks.notes import DataError, collect_errors


class Answer(NamedTuple):
    """A part of a context.

    Attributes:
        text: exactly as in the context.
        start: the index of its first character in the context.
    """

    text: str
    start: int


@dataclass(frozen=True)
class Questions:
    """N questions, many of which share a context.

    Attributes:
        source: the file.
        ids: the questions' ids, all different.
        questions: the questions.
        contexts: C different contexts.
        context_of: the index of each question's context, int64 [N].
        answers: the accepted answers of each question, as the file lists them; empty if the context
            holds no answer. None if only questions were read.
        may_be_unanswerable: whether some questions have no answer, as in SQuAD 2.0, or the file
            says that it is of that form.
        notes: sentences for the user on how the file was read.
    """

    source: str
    ids: list[str]
    questions: list[str]
    contexts: list[str]
    context_of: np.ndarray
    answers: list[tuple[Answer, ...]] | None
    may_be_unanswerable: bool
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.questions)

    def context(self, place: int) -> str:
        """The context of a question."""
        return self.contexts[self.context_of[place]]

    def accepted(self) -> list[list[str]]:
        """The texts of each question's answers, which must have been read."""
        assert self.answers is not None
        return [[answer.text for answer in answers] for answers in self.answers]

    def texts(self) -> list[str]:
        """All texts: the contexts, then the questions."""
        return self.contexts + self.questions

    def keys(self) -> list[tuple[str, ...]]:
        """The context of each question."""
        return [(self.context(index),) for index in range(len(self))]

    def without(self, indices: Collection[int], *notes: str) -> "Questions":
        """The others, with notes on why these are left out."""
        kept = sorted(set(range(len(self))).difference(indices))
        contexts, context_of = np.unique(self.context_of[kept], return_inverse=True)
        return replace(
            self,
            ids=[self.ids[index] for index in kept],
            questions=[self.questions[index] for index in kept],
            contexts=[self.contexts[number] for number in contexts],
            context_of=context_of,
            answers=None if self.answers is None else [self.answers[index] for index in kept],
            notes=(*self.notes, *notes),
        )

    def drop_empty(self) -> "Questions":
        """A copy without questions whose text or context is empty."""
        has_text = np.asarray([bool(context.strip()) for context in self.contexts])
        asked = np.asarray([bool(question.strip()) for question in self.questions])
        usable = asked & has_text[self.context_of]
        if usable.all():
            return self
        if not usable.any():
            raise UserError(f"{self.source}: all questions or contexts are empty: add some")
        empty = np.flatnonzero(~usable)
        note = (
            f"{self.source}: {len(empty)} questions left out whose text or context is empty "
            f"(the first is {self.ids[empty[0]]})"
        )
        return self.without(empty.tolist(), note)


def unlabelled_questions(questions: Sequence[str], contexts: Sequence[str]) -> Questions:
    """Questions without a file, each with its context; their ids are their numbers."""
    different = {context: number for number, context in enumerate(dict.fromkeys(contexts))}
    ids = [str(number) for number in range(1, len(questions) + 1)]
    context_of = np.asarray([different[context] for context in contexts], np.int64)
    return Questions("", ids, list(questions), list(different), context_of, None, False)


def read_squad(file: str, *, labelled: bool, mistakes: list[UserError] | None = None) -> Questions:
    """Read a whole file, also compressed.

    Args:
        file: a path or URL.
        labelled: whether to read the answers, and check each against its context.
        mistakes: collects the errors of questions and answers, which are then left out; None to
            raise them.

    Raises:
        UserError: the file cannot be read or is not in this form, two questions share an id, or an
            answer is not at its position. The message names the question's id.
    """
    whole = _read_json(file)
    if not isinstance(whole, dict) or not isinstance(whole.get("data"), list):
        raise UserError(f'{file}: it has no list "data": give a file in SQuAD\'s form')
    ids: dict[str, None] = {}
    contexts: dict[str, int] = {}
    questions: list[str] = []
    context_of: list[int] = []
    answers: list[tuple[Answer, ...]] = []
    for context, question, where in _questions(whole, file):
        with collect_errors(mistakes):
            name = _id(question, where)
            where = f"{file}, question {name}"
            if name in ids:
                raise DataError(
                    "questions with the id of another one",
                    f"{where}: two questions have this id: give each its own",
                )
            text = _text(question, "question", where)
            if labelled:
                valid = _answers(question, context, where, mistakes)
                if valid is None:
                    continue
                answers.append(valid)
            ids[name] = None
            questions.append(text)
            context_of.append(contexts.setdefault(context, len(contexts)))
    if not questions and not mistakes:
        raise UserError(f"{file}: holds no questions: give a file with at least one")
    version = str(whole.get("version", "")).lower().removeprefix("v")
    may_be_unanswerable = version.startswith("2") or not all(answers)
    return Questions(
        file, list(ids), questions, list(contexts), np.asarray(context_of, np.int64),
        answers if labelled else None, may_be_unanswerable,
    )  # fmt: skip


def read_answers(file: str) -> dict[str, str]:
    """Read answers as SQuAD's own script takes them: ``{"id": "answer"}``.

    Raises:
        UserError: the file cannot be read, or is not in this form.
    """
    whole = _read_json(file)
    if not isinstance(whole, dict) or not whole:
        raise UserError(f'{file}: not in the form {{"id": "answer"}}: write a JSON object')
    for name, answer in whole.items():
        if not isinstance(answer, str):
            raise UserError(
                f'{file}, question {name}: the answer is no text: write one, "" for no answer'
            )
    return whole


def _read_json(file: str) -> Any:
    with opening(Input(file, file, ".json")) as raw:
        try:
            content = compression.decompressed(raw, file).read()
        except compression.DAMAGED as error:
            raise UserError(f"{file}: damaged or cut short ({error}): copy it again") from None
        except OSError as error:
            raise UserError(f"{file}: cannot be read ({error.strerror or error})") from None
    if not content.strip():
        raise UserError(f"{file}: the file is empty: give one in SQuAD's form")
    try:
        return json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UserError(
            f"{file}: byte {error.start + 1} is not UTF-8: save the file in that encoding"
        ) from None
    except (ValueError, RecursionError) as error:
        reason = str(error).partition("\n")[0]
        fix = "give a file in SQuAD's form"
        if ".jsonl" in file:
            fix += "; of our own answers that is one called NAME.json"
        raise UserError(f"{file}: not JSON ({reason}): {fix}") from None


def _questions(whole: dict[str, Any], file: str) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Every question with its context and its path: ``file, data[0].paragraphs[2]…``."""
    for article_number, article in enumerate(whole["data"]):
        place = f"{file}, data[{article_number}]"
        for number, paragraph in enumerate(_list(article, "paragraphs", place)):
            where = f"{place}.paragraphs[{number}]"
            questions = _list(paragraph, "qas", where)
            first = questions[0] if questions else None
            named = f", question {first['id']}" if isinstance(first, dict) and "id" in first else ""
            context = _text(paragraph, "context", where + named)
            for question_number, question in enumerate(questions):
                yield context, question, f"{where}.qas[{question_number}]"


def _list(parent: Any, name: str, where: str) -> list[Any]:
    found = parent.get(name) if isinstance(parent, dict) else None
    if not isinstance(found, list):
        raise UserError(f'{where}: it has no list "{name}": give a file in SQuAD\'s form')
    return found


def _id(question: Any, where: str) -> str:
    name = question.get("id") if isinstance(question, dict) else None
    if not isinstance(name, str | int) or isinstance(name, bool) or name == "":
        raise DataError(
            "questions without an id", f'{where}: the question has no "id": give it one'
        )
    return _whole(str(name), "id", where)


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
    question: dict[str, Any], context: str, where: str, mistakes: list[UserError] | None
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
    if impossible is not True and not listed:
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
    raise DataError(
        "answers that do not stand at their place",
        f"{where}: the answer {_shown(text)} does not stand at character {start} of its context: "
        f"{fix}; fix answer_start or text",
    )


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "…")
