"""``selfsup evaluate``: measure a fine-tuned model, or given answers, on labelled examples."""

import time
from pathlib import Path
from typing import Any

from selfsup.evaluation.predictions_file import check_writable, write_predictions
from selfsup.evaluation.scoring import score
from selfsup.recipes.answer_flags import with_answer_flags
from selfsup.recipes.score_answers import score_answers
from selfsup.recipes.share_of_data import showing_share
from selfsup.recipes.task_data import is_of_pairs, reading_of
from selfsup.settings import EvaluateSettings
from selfsup.settings.task_flags import ANSWER, refuse_unused
from selfsup.tasks.task_folder import load_task_model
from selfsup.training.compute import choose_compute
from selfsup.training.progress import ProgressDisplay


def evaluate(settings: EvaluateSettings, display: ProgressDisplay | None = None) -> dict[str, Any]:
    """Score the examples; write the predictions, if asked to, in the order of the file.

    Args:
        settings: what and how.
        display: where progress is shown; one of its own if None.

    Returns:
        ``task``, ``metrics`` by name, ``examples``, the task's details such as ``confusion``,
        ``seconds``, ``predictions``.

    Raises:
        UserError: the model or the data cannot be used, or a label is none of the model's.
    """
    if settings.predictions_file is not None:
        refuse_unused(settings, ANSWER)
        with display or ProgressDisplay("evaluate") as display:
            return score_answers(settings.predictions_file, settings.data, display.message)
    assert settings.model is not None
    started = time.perf_counter()
    compute = choose_compute(settings.device, settings.precision, settings.threads)
    loaded = load_task_model(settings.model, paired=lambda: is_of_pairs(settings))
    refuse_unused(settings, loaded.task.NAME)
    if settings.predictions is not None:
        is_answers = loaded.task.NAME == ANSWER
        check_writable(settings.predictions, settings.data, as_answers=is_answers)
    loaded = with_answer_flags(loaded, settings)
    task, labels = loaded.task, loaded.labels
    with display or ProgressDisplay("evaluate") as display:
        examples = task.read_examples(settings.data, reading_of(settings), labelled=True)
        encoded = task.encode_examples(examples, labels, loaded.preparation)
        for note in (*examples.notes, *encoded.notes):
            display.message(note)
        model = loaded.model.to(compute.device)
        scores = score(model, encoded.windows, compute, settings.batch_size, showing_share(display))
    if settings.predictions is not None:
        answers = task.decode(scores, encoded, examples, labels)
        write_predictions(settings.predictions, task.records(examples, answers))
    return {
        "task": task.NAME,
        "model": str(Path(settings.model)),
        "data": settings.data,
        "metrics": task.metrics(scores, encoded, examples, labels),
        "examples": len(encoded),
        **task.details(scores, encoded, examples, labels),
        "predictions": settings.predictions,
        "seconds": round(time.perf_counter() - started, 1),
    }
