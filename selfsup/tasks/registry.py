"""All tasks by name, and fine-tuned models in Hugging Face's model folders.

A new task is an entry in ``TASKS``.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from selfsup.encoder.huggingface.config import architecture_of
from selfsup.encoder.huggingface.folder import check_sizes, load_weights, resolve_model_folder
from selfsup.encoder.huggingface.names import to_hugging_face
from selfsup.errors import UserError
from selfsup.settings.inference import EvaluateSettings, PredictSettings
from selfsup.structured_files import check
from selfsup.tasks.base import Task
from selfsup.tasks.classification.task import Classification
from selfsup.tasks.encoders import family_of_folder
from selfsup.tasks.image_classification.task import ImageClassification
from selfsup.tasks.labels import Labels, config_entries, labels_of_config
from selfsup.tasks.models import TaskModule
from selfsup.tasks.question_answering.task import QuestionAnswering
from selfsup.tasks.tables import Columns, first_columns, holds_pairs, is_table
from selfsup.tasks.token_classification.task import TokenClassification

_PAIRS = Classification(paired=True)
TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Classification(paired=False),
        _PAIRS,
        QuestionAnswering(),
        TokenClassification(),
        ImageClassification(),
    )
}


def task_of_config(
    raw: Mapping[str, Any], *, paired: Callable[[], bool] = lambda: False
) -> Task | None:
    """The task of a model according to its ``config.json``, or None if it has none.

    Our own models name the task. A model that ``transformers`` saved names its class, which is the
    same for single texts and for pairs.

    Args:
        raw: the file's content.
        paired: tells whether such a classifier is one of pairs; called only for these.
    """
    named = TASKS.get(str(raw.get("selfsup_task")))
    # Without the encoder's name: the class of BertForTokenClassification is ForTokenClassification.
    heads = [re.sub("^.*?(?=For)", "", name) for name in raw.get("architectures") or []]
    if named is not None and named.architecture in heads:
        return named
    if _PAIRS.architecture in heads and paired():
        return _PAIRS
    return next((task for task in TASKS.values() if task.architecture in heads), None)


def is_of_pairs(settings: EvaluateSettings | PredictSettings) -> bool:
    """Whether flags or columns tell that a classifier of ``transformers`` is one of pairs."""
    if settings.text_pair_column is not None or getattr(settings, "text_pair", None) is not None:
        return True
    if settings.text_column is not None or settings.data is None:
        return False
    try:
        asked = Columns(file_format=settings.file_format)
        return is_table(settings.data) and holds_pairs(first_columns(settings.data, asked))
    except UserError:  # reported later, when the data are read
        return False


class _TaskEntries(TypedDict, total=False):
    """The entries of ``config.json`` that tell the task."""

    selfsup_task: str | None
    architectures: list[str] | None


@dataclass(frozen=True)
class TaskModel:
    """A fine-tuned model with everything needed to use it.

    Attributes:
        folder: where it was loaded from.
        task: what it was trained for.
        model: in evaluation mode, on the CPU.
        labels: what its scores mean.
        preparation: how examples are prepared for it, as its encoder's family defines it.
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
        paired: as for ``task_of_config``.

    Raises:
        UserError: there is no model, it is damaged, or it is not fine-tuned.
    """
    folder = resolve_model_folder(path)
    family = family_of_folder(folder)
    config, raw = family.read_config(folder)
    check(raw, _TaskEntries, folder / "config.json")
    task = task_of_config(raw, paired=paired)
    if task is None:
        named = ", ".join(raw.get("architectures") or []) or "nothing"
        raise UserError(
            f"{folder}: not fine-tuned for a task ({', '.join(TASKS)}): its config.json names "
            f"{named}; make one with selfsup finetune"
        )
    labels = labels_of_config(raw, task.label_kinds, folder)
    weights, names = family.read_weights(folder), task.parameter_names(config)

    def build_encoder() -> Any:
        return family.build_encoder(config, pooled=task.pooled)

    check_sizes(build_encoder, weights, family.encoder_names(config), folder)
    model = task.build_model(build_encoder(), labels, _head_dropout(config, raw))
    missing = load_weights(model, weights, names, config.initializer_range, 0, folder)
    if missing:
        first, *others = missing
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
        UserError: the disk is full, read-only or not writable.
    """
    encoder = model.encoder.config
    # transformers keeps entries that it does not know, such as the task.
    config = (
        task.family.config_of(encoder, architecture_of(encoder, task.architecture))
        | config_entries(labels)
        | {"selfsup_task": task.name}
    )
    state = to_hugging_face(model.saved_parameters(), task.parameter_names(encoder))
    task.family.save(folder, state, config, preparation, model_card)


def _head_dropout(config: Any, raw: dict[str, Any]) -> float:
    dropout = raw.get("classifier_dropout")
    if isinstance(dropout, int | float) and 0 <= dropout < 1:
        return float(dropout)
    return config.hidden_dropout_prob
