"""``selfsup evaluate --predictions-file``: score answers to SQuAD's questions without a model."""

import time
from collections.abc import Callable
from typing import Any

from selfsup.errors import UserError
from selfsup.tasks.question_answering import NAME
from selfsup.tasks.questions import Questions
from selfsup.tasks.squad_file import read_answers, read_squad
from selfsup.tasks.squad_metrics import squad_metrics


def score_answers(predictions_file: str, data: str, tell: Callable[[str], None]) -> dict[str, Any]:
    """Measure a file of answers, by the rules of the data's version of SQuAD.

    A question that the file does not answer counts as answered wrongly, also where it has none.

    Args:
        predictions_file: ``{"id": "answer"}``, "" for no answer.
        data: the questions with their answers.
        tell: told which questions the file leaves out, and how many it adds.

    Returns:
        ``task``, ``metrics``, ``examples``, ``missing``, ``predictions_file``, ``seconds``.

    Raises:
        UserError: a file cannot be used, or they have no question in common.
    """
    started = time.perf_counter()
    questions = read_squad(data, labelled=True)
    given = read_answers(predictions_file)
    missing = [name for name in questions.ids if name not in given]
    if len(missing) == len(questions):
        raise UserError(
            f"{predictions_file}: answers no question of {data}: its keys must be their ids"
        )
    if missing:
        tell(
            f"{predictions_file}: {len(missing):,} of {len(questions):,} questions are missing and "
            f"count as wrong (the first is {missing[0]})"
        )
    if others := len(given.keys() - set(questions.ids)):
        tell(f"{predictions_file}: {others:,} answers are to no question of {data}")
    return {
        "task": NAME,
        "predictions_file": predictions_file,
        "data": data,
        "metrics": _metrics(questions, given),
        "examples": len(questions),
        "missing": len(missing),
        "seconds": round(time.perf_counter() - started, 1),
    }


def _metrics(questions: Questions, given: dict[str, str]) -> dict[str, float]:
    assert questions.answers is not None
    return squad_metrics(
        [given.get(name) for name in questions.ids],
        [[answer.text for answer in answers] for answers in questions.answers],
        may_be_unanswerable=questions.may_be_unanswerable,
    )
