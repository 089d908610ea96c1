"""Fine-tuned models in Hugging Face's model folders: the encoder, the task's head, the labels."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfsup.encoder.hugging_face_names import to_hugging_face
from selfsup.encoder.model_folder import load_weights
from selfsup.encoder.model_location import resolve_model_folder
from selfsup.errors import UserError
from selfsup.tasks.encoder_families import family_of_folder
from selfsup.tasks.labels import Labels, config_entries, labels_of_config
from selfsup.tasks.table import TASKS, task_of_config
from selfsup.tasks.task import Task, TaskModule


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
