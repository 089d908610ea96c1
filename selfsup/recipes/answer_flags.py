"""The flags by which a model answers questions otherwise than it was trained to."""

from dataclasses import replace

from selfsup.settings import EvaluateSettings, PredictSettings
from selfsup.tasks.question_answering import NULL_THRESHOLD
from selfsup.tasks.task_folder import TaskModel


def with_answer_flags(loaded: TaskModel, settings: EvaluateSettings | PredictSettings) -> TaskModel:
    """The model with ``--max-answer-length`` and ``--null-threshold``, where they are given."""
    preparation, labels = loaded.preparation, loaded.labels
    if settings.max_answer_length is not None:
        limits = replace(preparation.limits, max_answer_length=settings.max_answer_length)
        preparation = replace(preparation, limits=limits)
    if settings.null_threshold is not None:
        fitted = {**labels.fitted, NULL_THRESHOLD: settings.null_threshold}
        labels = replace(labels, fitted=fitted)
    return replace(loaded, preparation=preparation, labels=labels)
