"""All tasks, by the names that ``selfsup finetune`` takes. A new task is a line here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfsup.encoder.huggingface.folder import load_weights, resolve_model_folder
from selfsup.encoder.huggingface.names import to_hugging_face
from selfsup.errors import UserError
from selfsup.tasks.base import Task, TaskModule
from selfsup.tasks.classification import pair_task as pair_classification
from selfsup.tasks.classification import sequence_task as sequence_classification
from selfsup.tasks.encoders import family_of_folder
from selfsup.tasks.image_classification import task as image_classification
from selfsup.tasks.labels import Labels, config_entries, labels_of_config
from selfsup.tasks.question_answering import task as question_answering
from selfsup.tasks.token_classification import task as token_classification

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


# Fine-tuned models in Hugging Face's model folders: the encoder, the task's head, the labels.


@dataclass(frozen=True)
class TaskModel:
    """A fine-tuned model with all that it takes to use it.

    Attributes:
        folder: where it was loaded from.
        task: what it was trained for.
        model: in evaluation mode, on the CPU.
        labels: what its scores mean.
        preparation: what makes examples ready for it, as its encoder's family has it.
    """

    folder: Path
    task: Task
    model: TaskModule
    labels: Labels
    preparation: Any


def load_task_model(path: str | Path, *, paired: Callable[[], bool] = lambda: False) -> TaskModel:
    """Load a fine-tuned model, ours or one that ``transformers`` saved.

    Args:
        path: a model folder or a run folder.
        paired: says whether a classifier that ``transformers`` saved is one of pairs; called for
            these alone.

    Raises:
        UserError: there is no model, it is damaged, or it is no fine-tuned one.
    """
    folder = resolve_model_folder(path)
    family = family_of_folder(folder)
    config, raw = family.read_config(folder)
    task = task_of_config(raw, paired=paired)
    if task is None:
        named = ", ".join(raw.get("architectures") or []) or "nothing"
        raise UserError(
            f"{folder}: not fine-tuned for a task ({', '.join(TASKS)}): its config.json names "
            f"{named}; make one with selfsup finetune"
        )
    labels = labels_of_config(raw, task.LABEL_KINDS, folder)
    encoder = family.build_encoder(config, pooled=task.POOLED)
    model = task.build_model(encoder, labels, _head_dropout(config, raw))
    report = load_weights(
        model,
        family.read_weights(folder),
        task.parameter_names(),
        config.initializer_range,
        0,
        folder,
    )
    if report.missing:
        first, *others = report.missing
        more = f" and {len(others)} more" if others else ""
        raise UserError(
            f"{folder}: lacks {first}{more}: the model was saved without its head; "
            f"save it whole, or train a new one with selfsup finetune --encoder {folder}"
        )
    preparation = family.read_preparation(folder, raw, config)
    return TaskModel(folder, task, model.eval(), labels, preparation)


def save_task_model(
    folder: Path,
    task: Task,
    model: TaskModule,
    labels: Labels,
    preparation: Any,
    model_card: str,
) -> None:
    """Write a model folder that ``transformers`` loads as the task's class.

    Raises:
        UserError: the disk is full, read-only or not yours.
    """
    # transformers keeps what it does not know, such as the task.
    config = (
        task.FAMILY.config_of(model.encoder.config, task.ARCHITECTURE)
        | config_entries(labels)
        | {"selfsup_task": task.NAME}
    )
    state = to_hugging_face(model.saved_parameters(), task.parameter_names())
    task.FAMILY.save(folder, state, config, preparation, model_card)


def _head_dropout(config: Any, raw: dict[str, Any]) -> float:
    dropout = raw.get("classifier_dropout")
    if isinstance(dropout, int | float) and 0 <= dropout < 1:
        return float(dropout)
    return config.hidden_dropout_prob
