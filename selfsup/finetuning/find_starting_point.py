"""Find where fine-tuning starts, for tasks on texts and on images."""

from pathlib import Path
from typing import Any

from selfsup.encoder.huggingface.folder import resolve_model_folder
from selfsup.errors import UserError
from selfsup.finetuning import image_start, text_start
from selfsup.finetuning.starting_point import StartingPoint
from selfsup.settings import FinetuneSettings
from selfsup.tasks import image_encoder as image_family
from selfsup.tasks import text_encoder as text_family
from selfsup.tasks.base import Task
from selfsup.tasks.encoders import FAMILIES, family_of_folder

# How each family of encoders starts, by what its encoders take.
_STARTS: dict[str, Any] = {text_family.TAKES: text_start, image_family.TAKES: image_start}


def find_starting_point(settings: FinetuneSettings, task: Task, train: Any) -> StartingPoint:
    """Load what ``--encoder`` names.

    Args:
        settings: with the encoder, a size or a folder, and how it is to be made ready.
        task: what it is to learn.
        train: the training examples, which decide what the flags leave open.

    Raises:
        UserError: there is no such model, it takes something else than the task's examples, or a
            flag asks of it what it cannot do.
    """
    encoder, wanted = settings.encoder, task.FAMILY
    for family in FAMILIES:
        if encoder in family.SIZES:
            _refuse_other(settings, family.TAKES, task)
            return _STARTS[wanted.TAKES].from_random_weights(settings, task, train)
    if not Path(encoder).exists():
        raise UserError(
            f"--encoder {encoder}: no such model folder or run, and no size "
            f"({', '.join(wanted.SIZES)})"
        )
    _refuse_other(settings, family_of_folder(resolve_model_folder(encoder)).TAKES, task)
    return _STARTS[wanted.TAKES].from_model(settings, task, train)


def _refuse_other(settings: FinetuneSettings, takes: str, task: Task) -> None:
    wanted = task.FAMILY
    if takes != wanted.TAKES:
        raise UserError(
            f"--encoder {settings.encoder}: takes {takes}, but {task.NAME} is learnt from "
            f"{wanted.TAKES}: give such a model, or a size ({', '.join(wanted.SIZES)})"
        )
