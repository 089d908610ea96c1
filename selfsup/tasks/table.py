"""All tasks, by the names that ``selfsup finetune`` takes. A new task is a line here."""

from collections.abc import Sequence

from selfsup.tasks import sequence_classification
from selfsup.tasks.task import Task

TASKS: dict[str, Task] = {sequence_classification.NAME: sequence_classification}


def task_of_architectures(architectures: Sequence[str]) -> Task | None:
    """The task of a model whose ``config.json`` names these classes, or None if it has none."""
    return next((task for task in TASKS.values() if task.ARCHITECTURE in architectures), None)
