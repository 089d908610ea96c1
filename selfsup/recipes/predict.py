"""``selfsup predict``: answers for a text or a file of them."""

import time
from collections import Counter
from typing import Any

from selfsup.deploy.predictor import Predictor
from selfsup.evaluation.predictions_file import write_predictions
from selfsup.recipes.share_of_data import showing_share
from selfsup.settings import PredictSettings
from selfsup.tasks.columns import Columns
from selfsup.training.progress import ProgressDisplay


def predict(settings: PredictSettings) -> dict[str, Any]:
    """Predict with a fine-tuned model.

    Returns:
        for a text ``{"text", "label", "probability", "probabilities"}``; for a file ``examples``,
        how often each of ``labels`` was predicted, ``out`` and ``seconds``.

    Raises:
        UserError: the model or the file cannot be used, or the answers cannot be written.
    """
    started = time.perf_counter()
    predictor = Predictor.load(
        settings.model, settings.device, settings.precision, settings.threads
    )
    if settings.text is not None:
        return {"text": settings.text, **predictor.predict([settings.text])[0]}
    assert settings.data is not None
    assert settings.out is not None
    columns = Columns(settings.text_column)
    with ProgressDisplay("predict") as display:
        examples = predictor.task.read_examples(settings.data, columns, labelled=False)
        for note in examples.notes:
            display.message(note)
        answers = predictor.predict(examples.texts, settings.batch_size, showing_share(display))
    write_predictions(
        settings.out,
        ({"text": text, **answer} for text, answer in zip(examples.texts, answers, strict=True)),
    )
    counts = Counter(answer["label"] for answer in answers)
    return {
        "examples": len(answers),
        "labels": {label: counts[label] for label in predictor.labels},
        "out": settings.out,
        "seconds": round(time.perf_counter() - started, 1),
    }
