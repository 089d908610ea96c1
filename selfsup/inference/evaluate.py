"""``selfsup evaluate``: measure a fine-tuned model, or given answers, on labelled examples."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selfsup.errors import UserError
from selfsup.inference.predict import load_model, showing_share
from selfsup.inference.predictions_file import check_writable, write_predictions
from selfsup.inference.scoring import finite_scores
from selfsup.progress import ProgressDisplay
from selfsup.settings.inference import EvaluateSettings
from selfsup.settings.labelled_data import ANSWER, refuse_unused
from selfsup.tasks.base import Reading
from selfsup.tasks.notes import counted
from selfsup.tasks.question_answering.files import read_answers, read_squad
from selfsup.tasks.question_answering.squad_metrics import squad_metrics


def score_answers(
    predictions_file: str, data: str, tell: Callable[[str], None], encoding: str | None = None
) -> dict[str, Any]:
    """Measure a file of answers, by the rules of the data's version of SQuAD.

    A question that is missing in the file counts as wrong, even if it has no answer.

    Args:
        predictions_file: ``{"id": "answer"}``, "" for no answer.
        data: the questions with their answers.
        tell: takes a sentence on missing questions, and one on unknown ones.
        encoding: of the questions; None for UTF-8.

    Raises:
        UserError: a file cannot be used, or the two have no question in common.
    """
    started = time.perf_counter()
    questions = read_squad(data, labelled=True, encoding=encoding)
    assert questions.answers is not None
    answers = read_answers(predictions_file)
    missing = [name for name in questions.ids if name not in answers]
    if len(missing) == len(questions):
        raise UserError(
            f"{predictions_file}: answers no question of {data}: its keys must be their ids"
        )
    if missing:
        tell(
            f"{predictions_file}: {len(missing):,} of {len(questions):,} questions are missing and "
            f"count as wrong (the first is {missing[0]})"
        )
    if others := len(answers.keys() - set(questions.ids)):
        answers_are = counted(others, "answer is", "answers are")
        tell(f"{predictions_file}: {answers_are} to no question of {data}")
    return {
        "task": ANSWER,
        "predictions_file": predictions_file,
        "data": data,
        "metrics": squad_metrics(
            [answers.get(name) for name in questions.ids],
            [[answer.text for answer in known] for known in questions.answers],
            may_be_unanswerable=questions.may_be_unanswerable,
        ),
        "examples": len(questions),
        "missing": len(missing),
        "seconds": round(time.perf_counter() - started, 1),
    }


def evaluate(settings: EvaluateSettings, display: ProgressDisplay | None = None) -> dict[str, Any]:
    """Score the examples, and write the predictions if ``--predictions`` is given.

    Returns:
        ``task``, ``metrics`` and ``baseline`` (of a constant answer) by name, ``examples``, the
        task's details such as ``confusion``, ``seconds``, ``predictions``.

    Raises:
        UserError: the model or the data cannot be used, or a label is unknown to the model.
    """
    if settings.predictions_file is not None:
        refuse_unused(settings, ANSWER)
        with display or ProgressDisplay("evaluate") as display:
            return score_answers(
                settings.predictions_file, settings.data, display.message, settings.encoding
            )
    assert settings.model is not None
    started = time.perf_counter()
    loaded, compute = load_model(settings)
    task, labels = loaded.task, loaded.labels
    if settings.predictions is not None:
        check_writable(settings.predictions, settings.data, as_answers=task.writes_answers_by_id)
    with display or ProgressDisplay("evaluate") as display:
        examples = task.read_examples(settings.data, Reading.of(settings), labelled=True)
        examples = task.settled(examples, labels)
        encoded = task.encode_examples(examples, labels, loaded.preparation)
        for note in (*examples.notes, *encoded.notes):
            display.message(note)
        model = loaded.model.to(compute.device)
        show = showing_share(display)
        scores = finite_scores(
            model, encoded.windows, compute, settings.batch_size, show, source=loaded.folder
        )
    if settings.predictions is not None:
        records = task.records(examples, task.decode(scores, encoded, examples, labels))
        by_id = task.writes_answers_by_id
        write_predictions(settings.predictions, records, as_answers=by_id)
    return {
        "task": task.name,
        "model": str(Path(settings.model)),
        "data": settings.data,
        "metrics": task.metrics(scores, encoded, examples, labels),
        "baseline": task.baseline(encoded, examples, labels),
        "examples": len(encoded),
        **task.details(scores, encoded, examples, labels),
        "predictions": settings.predictions,
        "seconds": round(time.perf_counter() - started, 1),
    }
