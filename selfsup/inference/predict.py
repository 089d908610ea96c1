"""``selfsup predict``: answers for a text or a file of them."""

import contextlib
import sys
import time
from pathlib import Path
from typing import Any

from selfsup.errors import UserError
from selfsup.inference.evaluate import showing_share, with_answer_flags
from selfsup.inference.predictions_file import check_writable, write_predictions
from selfsup.inference.predictor import Predictor
from selfsup.progress import ProgressDisplay
from selfsup.settings import PredictSettings
from selfsup.settings.labelled_data import ANSWER, refuse_unused
from selfsup.tasks.base import Reading, is_of_pairs
from selfsup.tasks.registry import load_task_model
from selfsup.tasks.tables import Columns
from selfsup.training.compute import choose_compute


def predict(settings: PredictSettings) -> dict[str, Any]:
    """Predict with a fine-tuned model.

    Returns:
        for a text the line that a predictions file would hold of it, such as ``{"text", "label",
        "probability", "probabilities"}``; for a file ``examples``, the task's tally of the answers
        (how often each of ``labels`` was predicted), ``out`` and ``seconds``.

    Raises:
        UserError: the model or the file cannot be used, or the answers cannot be written.
    """
    started = time.perf_counter()
    compute = choose_compute(settings.device, settings.precision, settings.threads)
    loaded = load_task_model(settings.model, paired=lambda: is_of_pairs(settings))
    refuse_unused(settings, loaded.task.NAME)
    predictor = Predictor(with_answer_flags(loaded, settings), compute)
    task = predictor.task
    if settings.data is None:
        given = given_texts(settings)
        if task.FAMILY.TAKES == "text":
            _check_given(settings, given)
        examples = task.examples_of(*given)
        answers = predictor.predict_examples(examples, settings.batch_size, tell=_tell)
        return next(task.records(examples, answers))
    assert settings.out is not None
    check_writable(settings.out, settings.data, as_answers=task.NAME == ANSWER)
    columns = Columns(settings.text_column, text_pair=settings.text_pair_column)
    with ProgressDisplay("predict") as display:
        examples = task.read_examples(settings.data, Reading(columns), labelled=False)
        for note in examples.notes:
            display.message(note)
        answers = predictor.predict_examples(
            examples, settings.batch_size, showing_share(display), display.message
        )
    write_predictions(settings.out, task.records(examples, answers))
    return {
        "examples": len(answers),
        **task.tally(answers, predictor.labels),
        "out": settings.out,
        "seconds": round(time.perf_counter() - started, 1),
    }


def given_texts(settings: PredictSettings) -> tuple[list[str], list[str] | None]:
    """The one text on the command line, or the question, and the text that goes with it.

    Raises:
        UserError: ``--context-file`` cannot be read as text.
    """
    if settings.question is not None:
        context = settings.text
        if context is None:
            assert settings.context_file is not None
            context = _read_text(settings.context_file)
        return [settings.question], [context]
    assert settings.text is not None
    return [settings.text], None if settings.text_pair is None else [settings.text_pair]


def _check_given(settings: PredictSettings, given: tuple[list[str], list[str] | None]) -> None:
    """Refuse what can hardly be meant as a text.

    Raises:
        UserError: the text, or the question, is empty, or the name of a file.
    """
    if not given[0][0].strip():
        what = "TEXT" if settings.question is None else "--question"
        raise UserError(f"{what} is empty: give one that says something")
    with contextlib.suppress(OSError, ValueError):  # no name of a file: too long, for instance
        if settings.text is not None and Path(settings.text).is_file():
            flag = "--context-file" if settings.question is not None else "--data, with --out"
            raise UserError(f"TEXT {settings.text}: is a file: give it with {flag}")


def _tell(note: str) -> None:
    print(note.removeprefix(": "), file=sys.stderr)  # a text has no file to be named before it


def _read_text(file: str) -> str:
    try:
        return Path(file).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"--context-file {file}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise UserError(
            f"--context-file {file}: byte {error.start + 1} is not UTF-8: save it in that encoding"
        ) from None
