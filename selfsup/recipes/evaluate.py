"""``selfsup evaluate``: measure a fine-tuned model on labelled examples."""

import time
from pathlib import Path
from typing import Any

from selfsup.evaluation.predictions_file import write_predictions
from selfsup.evaluation.scoring import score
from selfsup.recipes.share_of_data import showing_share
from selfsup.recipes.task_data import cut_note
from selfsup.settings import EvaluateSettings
from selfsup.tasks.columns import Columns
from selfsup.tasks.task_folder import load_task_model
from selfsup.training.compute import choose_compute
from selfsup.training.progress import ProgressDisplay


def evaluate(settings: EvaluateSettings, display: ProgressDisplay | None = None) -> dict[str, Any]:
    """Score the examples; write the predictions, if asked to, in the order of the file.

    Args:
        settings: what and how.
        display: where progress is shown; one of its own if None.

    Returns:
        ``task``, ``metrics`` by name, ``examples``, ``confusion``, ``seconds``, ``predictions``.

    Raises:
        UserError: the model or the data cannot be used, or a label is none of the model's.
    """
    started = time.perf_counter()
    compute = choose_compute(settings.device, settings.precision, settings.threads)
    loaded = load_task_model(settings.model)
    task = loaded.task
    columns = Columns(settings.text_column, settings.label_column)
    with display or ProgressDisplay("evaluate") as display:
        examples = task.read_examples(settings.data, columns, labelled=True)
        encoded = task.encode_examples(examples, loaded.labels, loaded.tokenizer, loaded.max_length)
        for note in (*examples.notes, *cut_note(settings.data, encoded, loaded.max_length)):
            display.message(note)
        model = loaded.model.to(compute.device)
        scores = score(model, encoded, compute, settings.batch_size, showing_share(display))
    if settings.predictions is not None:
        answers = task.decode(scores, loaded.labels)
        write_predictions(
            settings.predictions,
            (
                {
                    "text": text,
                    "label": loaded.labels[number],
                    "prediction": answer["label"],
                    "probabilities": answer["probabilities"],
                }
                for text, number, answer in zip(
                    examples.texts, encoded.labels, answers, strict=True
                )
            ),
        )
    return {
        "task": task.NAME,
        "model": str(Path(settings.model)),
        "data": settings.data,
        "metrics": task.metrics(scores, encoded.labels),
        "examples": len(encoded),
        "confusion": task.confusion(scores, encoded.labels, loaded.labels),
        "predictions": settings.predictions,
        "seconds": round(time.perf_counter() - started, 1),
    }
