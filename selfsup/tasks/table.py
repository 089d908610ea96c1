"""All tasks, by the names that ``selfsup finetune`` takes. A new task is a line here."""

from collections.abc import Callable, Mapping
from typing import Any

from selfsup.tasks import (
    image_classification,
    pair_classification,
    question_answering,
    sequence_classification,
    token_classification,
)
from selfsup.tasks.task import Task

TASKS: dict[str, Task] = {
    sequence_classification.NAME: sequence_classification,
    pair_classification.NAME: pair_classification,
    question_answering.NAME: question_answering,
    token_classification.NAME: token_classification,
    image_classification.NAME: image_classification,
}


def task_of_config(
    raw: Mapping[str, Any], *, paired: Callable[[], bool] = lambda: False
) -> Task | None:
    """The task of a model, by what its ``config.json`` says, or None if it has none.

    By the name that we write; in a model that ``transformers`` saved, by its class, which does not
    tell single texts from pairs.

    Args:
        raw: the file's content.
        paired: says whether such a classifier is taken for one of pairs; called for these alone.
    """
    named = TASKS.get(str(raw.get("selfsup_task")))
    architectures = raw.get("architectures") or []
    if named is not None and named.ARCHITECTURE in architectures:
        return named
    if pair_classification.ARCHITECTURE in architectures and paired():
        return pair_classification
    return next((task for task in TASKS.values() if task.ARCHITECTURE in architectures), None)
