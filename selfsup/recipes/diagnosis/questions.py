"""What can be wrong with questions in SQuAD's form."""

from collections.abc import Iterator

from selfsup.corpus.compression import format_suffix
from selfsup.corpus.inputs import Input, opening
from selfsup.errors import UserError
from selfsup.recipes.diagnosis.problem import Fact, Finding, Problem, mistake_problems
from selfsup.tasks.question_answering import default_max_length
from selfsup.tasks.questions import Questions
from selfsup.tasks.squad_file import read_squad
from selfsup.tasks.text_words import words_of_text

# Words of running text that fill the usual length beside a question, of some 1.25 tokens each.
_LONG_WORDS, _MOST_LONG = 300, 0.1
_SHOWN = 3


def is_squad(file: str) -> bool:
    """Whether the file is JSON, as no other file is that the doctor knows.

    Raises:
        UserError: it cannot be opened.
    """
    if format_suffix(file) != ".json":
        return False
    with opening(Input(file, file, ".json")):
        return True


def question_problems(file: str) -> Iterator[Finding]:
    """Read questions as ``finetune`` would, but go on where it would stop.

    Raises:
        UserError: the file cannot be read at all, or is not in SQuAD's form.
    """
    mistakes: list[UserError] = []
    questions = read_squad(file, labelled=True, mistakes=mistakes)
    answers = questions.answers or []
    yield Fact("questions", len(questions))
    yield Fact("contexts", len(questions.contexts))
    yield Fact("answers", sum(map(len, answers)))
    yield Fact("questions_without_answer", sum(not listed for listed in answers))
    yield from mistake_problems(mistakes, "questions")
    if len(questions) and not any(answers):
        yield Problem(
            f"{file}: no question has an answer: there is nothing to learn from them",
            "give questions with answers beside those without",
        )
    yield from _text_problems(questions)
    yield from _length_problems(questions)


def _text_problems(questions: Questions) -> Iterator[Problem]:
    file, places = questions.source, range(len(questions))
    empty = [
        questions.ids[place]
        for place in places
        if not questions.questions[place].strip() or not questions.context(place).strip()
    ]
    if empty:
        yield Problem(
            f"{file}: {len(empty):,} questions or their contexts are empty: {_listed(empty)}",
            "take them out (finetune leaves them out of training by itself)",
        )
    seen: set[tuple[str, int]] = set()
    repeated = []
    for place in places:
        key = (" ".join(questions.questions[place].split()), int(questions.context_of[place]))
        if key in seen:
            repeated.append(questions.ids[place])
        seen.add(key)
    if repeated:
        yield Problem(
            f"{file}: {len(repeated):,} questions are asked again about the same context: "
            f"{_listed(repeated)}",
            "keep one of each, with all answers that count as right",
        )


def _length_problems(questions: Questions) -> Iterator[Problem]:
    long = [
        place
        for place, context in enumerate(questions.contexts)
        if len(words_of_text(context)) > _LONG_WORDS
    ]
    if long and len(long) > _MOST_LONG * len(questions.contexts):
        first = questions.ids[int((questions.context_of == long[0]).argmax())]
        yield Problem(
            f"{questions.source}: {len(long):,} of {len(questions.contexts):,} contexts have more "
            f"than {_LONG_WORDS} words, more than go into {default_max_length()} tokens (the first "
            f"is that of question {first})",
            "nothing is cut: they are read in windows, which takes longer; to have fewer, finetune "
            "with a larger --max-length, or give the paragraphs one by one",
        )


def _listed(ids: list[str]) -> str:
    more = f" and {len(ids) - _SHOWN:,} more" if len(ids) > _SHOWN else ""
    return ", ".join(ids[:_SHOWN]) + more
