"""``selfsup predict``: predictions for one text or image, or for a file of them."""

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
from selfsup.settings.inference import PredictSettings
from selfsup.settings.labelled_data import refuse_unused
from selfsup.tasks.base import Reading
from selfsup.tasks.encoders import TEXT_ENCODERS
from selfsup.tasks.registry import is_of_pairs, load_task_model
from selfsup.tasks.tables import Columns
from selfsup.training.compute import choose_compute


def predict(settings: PredictSettings) -> dict[str, Any]:
    """Predict with a fine-tuned model.

    Returns:
        for one text the line of a predictions file, such as ``{"text", "label", "probability",
        "probabilities"}``. For a file: ``examples``, the task's counts (such as how often each of
        ``labels`` was predicted), ``out`` and ``seconds``.

    Raises:
        UserError: the model or the file cannot be used, or the answers cannot be written.
    """
    started = time.perf_counter()
    compute = choose_compute(settings.device, settings.precision, settings.threads)
    loaded = load_task_model(settings.model, paired=lambda: is_of_pairs(settings))
    refuse_unused(settings, loaded.task.name)
    predictor = Predictor(with_answer_flags(loaded, settings), compute)
    task = predictor.task
    if settings.data is None:
        texts = texts_of(settings)
        if task.family is TEXT_ENCODERS:
            _check_texts(settings, texts)
        examples = task.examples_of(*texts)
        answers = predictor.predict_examples(examples, settings.batch_size, tell=_tell)
        return next(task.records(examples, answers))
    assert settings.out is not None
    check_writable(settings.out, settings.data, as_answers=task.writes_answers_by_id)
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
        **task.count_predictions(answers, predictor.labels),
        "out": settings.out,
        "seconds": round(time.perf_counter() - started, 1),
    }


def texts_of(settings: PredictSettings) -> tuple[list[str], list[str] | None]:
    """The text on the command line, or the question, and the second text or context.

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


def _check_texts(settings: PredictSettings, texts: tuple[list[str], list[str] | None]) -> None:
    """Refuse what is hardly meant as a text.

    Raises:
        UserError: the text or the question is empty, or the text is the name of a file.
    """
    if not texts[0][0].strip():
        what = "TEXT" if settings.question is None else "--question"
        raise UserError(f"{what} is empty: give one that says something")
    with contextlib.suppress(OSError, ValueError):  # not a valid file name, for example too long
        if settings.text is not None and Path(settings.text).is_file():
            flag = "--context-file" if settings.question is not None else "--data, with --out"
            raise UserError(f"TEXT {settings.text}: is a file: give it with {flag}")


def _tell(note: str) -> None:
    print(note.removeprefix(": "), file=sys.stderr)  # there is no file name before the colon


def _read_text(file: str) -> str:
    try:
        return Path(file).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"--context-file {file}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise UserError(
            f"--context-file {file}: byte {error.start + 1} is not UTF-8: save it in that encoding"
        ) from None
