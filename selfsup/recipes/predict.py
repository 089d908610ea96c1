"""``selfsup predict``: answers for a text or a file of them."""

import time
from typing import Any

from selfsup.deploy.predictor import Predictor
from selfsup.evaluation.predictions_file import write_predictions
from selfsup.recipes.share_of_data import showing_share
from selfsup.settings import PredictSettings
from selfsup.settings.task_flags import refuse_unused
from selfsup.tasks.columns import Columns
from selfsup.training.progress import ProgressDisplay


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
    paired = settings.text_pair is not None or settings.text_pair_column is not None
    predictor = Predictor.load(
        settings.model, settings.device, settings.precision, settings.threads, paired=paired
    )
    task = predictor.task
    refuse_unused(settings, task.NAME)
    if settings.text is not None:
        pairs = None if settings.text_pair is None else [settings.text_pair]
        examples = task.examples_of([settings.text], pairs)
        return next(task.records(examples, predictor.predict_examples(examples)))
    assert settings.data is not None
    assert settings.out is not None
    columns = Columns(settings.text_column, text_pair=settings.text_pair_column)
    with ProgressDisplay("predict") as display:
        examples = task.read_examples(settings.data, columns, labelled=False)
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
