"""Fine-tuned models in Hugging Face's model folders: the encoder, the task's head, the labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from selfsup.corpus.wordpiece import load_tokenizer
from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.config import EncoderConfig
from selfsup.encoder.config_file import config_of, read_config
from selfsup.encoder.hugging_face_names import to_hugging_face
from selfsup.encoder.model_folder import load_weights, read_weights, save_model
from selfsup.encoder.model_location import resolve_model_folder
from selfsup.errors import UserError
from selfsup.tasks.sequence_classification import SequenceClassifier
from selfsup.tasks.table import TASKS, task_of_architectures
from selfsup.tasks.task import Task


@dataclass(frozen=True)
class TaskModel:
    """A fine-tuned model with all that it takes to use it.

    Attributes:
        folder: where it was loaded from.
        task: what it was trained for.
        model: in evaluation mode, on the CPU.
        labels: the labels' names, in the order of its scores.
        tokenizer: the one it was trained with.
        max_length: tokens after which a text is cut.
    """

    folder: Path
    task: Task
    model: SequenceClassifier
    labels: tuple[str, ...]
    tokenizer: Tokenizer
    max_length: int


def load_task_model(path: str | Path) -> TaskModel:
    """Load a fine-tuned model, ours or one that ``transformers`` saved.

    Args:
        path: a model folder or a run folder.

    Raises:
        UserError: there is no model, it is damaged, or it is no fine-tuned one.
    """
    folder = resolve_model_folder(path)
    config, raw = read_config(folder)
    task = task_of_architectures(raw.get("architectures") or [])
    if task is None:
        named = ", ".join(raw.get("architectures") or []) or "nothing"
        raise UserError(
            f"{folder}: not fine-tuned for a task ({', '.join(TASKS)}): its config.json names "
            f"{named}; make one with selfsup finetune"
        )
    labels = _labels(raw, folder)
    model = task.build_model(BertEncoder(config), len(labels), _head_dropout(config, raw))
    report = load_weights(
        model, read_weights(folder), task.parameter_names(), config.initializer_range, 0, folder
    )
    if report.missing:
        raise UserError(f"{folder}: model.safetensors lacks {report.missing[0]}: not a whole model")
    length = raw.get("selfsup_max_length")
    max_length = length if isinstance(length, int) else config.max_position_embeddings
    tokenizer = load_tokenizer(folder)
    return TaskModel(folder, task, model.eval(), labels, tokenizer, max_length)


def save_task_model(
    folder: Path,
    task: Task,
    model: SequenceClassifier,
    labels: Sequence[str],
    tokenizer_folder: Path,
    max_length: int,
    model_card: str,
) -> None:
    """Write a model folder that ``transformers`` loads as the task's class.

    Raises:
        UserError: the disk is full, read-only or not yours.
    """
    config = config_of(model.encoder.config, task.ARCHITECTURE) | {
        "problem_type": "single_label_classification",
        "id2label": {str(number): label for number, label in enumerate(labels)},
        "label2id": {label: number for number, label in enumerate(labels)},
        # transformers keeps what it does not know: texts are cut here as they were in training.
        "selfsup_max_length": max_length,
    }
    state = to_hugging_face(model.named_parameters(), task.parameter_names())
    save_model(folder, state, config, tokenizer_folder, model_card)


def _labels(raw: dict[str, Any], folder: Path) -> tuple[str, ...]:
    """The names in ``id2label``; two, as ``transformers`` has it, where there are none."""
    names = raw.get("id2label", {"0": "LABEL_0", "1": "LABEL_1"})
    try:
        labels = tuple(str(names[str(number)]) for number in range(len(names)))
    except (KeyError, TypeError):
        raise UserError(
            f"{folder}/config.json: id2label does not number its labels from 0"
        ) from None
    if len(set(labels)) != len(labels) or len(labels) < 2:
        raise UserError(f"{folder}/config.json: id2label must name two or more different labels")
    return labels


def _head_dropout(config: EncoderConfig, raw: dict[str, Any]) -> float:
    dropout = raw.get("classifier_dropout")
    return config.hidden_dropout_prob if dropout is None else float(dropout)
