"""What the encoder is worth: the fine-tuned model beside models that have none.

All are measured on the same validation examples. The best of the models without an encoder is
compared with the fine-tuned one on the same bootstrap samples.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from selfsup.finetuning.data import TaskData
from selfsup.finetuning.intervals import bootstrap, percentile_interval, wilson_interval
from selfsup.finetuning.plain_models import score_plainly
from selfsup.finetuning.progress import EpochReport
from selfsup.tasks.base import Task
from selfsup.tasks.labels import Labels

FINE_TUNED, CONSTANT = "fine-tuned encoder", "constant answer"


@dataclass(frozen=True)
class ScoredModel:
    """A model and its scores of the validation examples.

    Attributes:
        name: for tables.
        scores: float32 [R, C].
        labels: what the scores mean.
        has_encoder: whether it reads the examples with an encoder, such as a frozen one.
    """

    name: str
    scores: np.ndarray
    labels: Labels
    has_encoder: bool = False


def models_without_encoder(task: Task, data: TaskData) -> list[ScoredModel]:
    """The best constant answer, and linear models; nothing where a task has no such models."""
    train, validation = data.train, data.validation
    seen = task.plain_inputs(train.encoded, train.examples)
    asked = task.plain_inputs(validation.encoded, validation.examples)
    if seen is None or asked is None:
        return []
    constant = task.constant_scores(validation.encoded, data.labels)
    return [
        ScoredModel(CONSTANT, constant, data.labels),
        *(
            ScoredModel(found.name, found.scores, data.labels)
            for found in score_plainly(seen, asked, len(data.labels))
        ),
    ]


def compare(
    task: Task, data: TaskData, best: EpochReport, mean: float, others: Iterable[ScoredModel]
) -> dict[str, Any]:
    """The entry ``comparison`` of ``summary.json``.

    Args:
        task, data: of the run.
        best: the epoch of the model that is kept.
        mean: its selection metric, or the mean over the seeds, which is what is compared. The
            intervals are those of the kept model, moved to the mean.
        others: to compare it with; at least one of them without an encoder. A further kind of
            model, such as a head fitted to the frozen encoder, is one more ``ScoredModel``.

    Returns:
        ``metric``, the selection metric; ``models``, the fine-tuned one first: ``{"name",
        "has_encoder", "metrics", "interval"}``, the 95 % interval of the selection metric;
        ``interval_method``; ``worth``: ``{"beside", "difference", "interval"}``, how far the
        fine-tuned model is above the best one without an encoder.
    """
    encoded, examples = data.validation.encoded, data.validation.examples
    models = [ScoredModel(FINE_TUNED, best.scores, best.labels, True), *others]
    metrics = [task.metrics(model.scores, encoded, examples, model.labels) for model in models]
    of_sample = [
        task.selection_of_sample(model.scores, encoded, examples, model.labels) for model in models
    ]
    selection, count = task.selection_metric(data.labels), len(data.validation)
    samples = bootstrap(of_sample, count)
    samples[0] += mean - metrics[0][selection]
    values = [mean, *(found[selection] for found in metrics[1:])]
    if selection == "accuracy":
        intervals, method = [wilson_interval(value, count) for value in values], "Wilson"
    else:
        intervals = [percentile_interval(row) for row in samples]
        method = f"bootstrap of {samples.shape[1]:,} samples of the examples"
    # Of equally good ones the simplest, which comes first.
    plain = [number for number, model in enumerate(models) if not model.has_encoder]
    beside = max(plain, key=lambda number: values[number])
    return {
        "metric": selection,
        "models": [
            {
                "name": model.name,
                "has_encoder": model.has_encoder,
                "metrics": {name: value for name, value in found.items() if name != "loss"},
                "interval": list(interval),
            }
            for model, found, interval in zip(models, metrics, intervals, strict=True)
        ],
        "interval_method": method,
        "worth": {
            "beside": models[beside].name,
            "difference": values[0] - values[beside],
            "interval": list(percentile_interval(samples[0] - samples[beside])),
        },
    }
