"""Find where fine-tuning starts, for tasks on texts and on images."""

from pathlib import Path
from typing import Any

from selfsup.encoder.huggingface.folder import resolve_model_folder
from selfsup.errors import UserError
from selfsup.finetuning import image_start, text_start
from selfsup.finetuning.starting_point import StartingPoint
from selfsup.settings import FinetuneSettings
from selfsup.tasks.base import Task
from selfsup.tasks.encoders import FAMILIES, IMAGE_ENCODERS, TEXT_ENCODERS, family_of_folder

# How each family of encoders starts, by what its encoders take.
_STARTS: dict[str, Any] = {TEXT_ENCODERS.takes: text_start, IMAGE_ENCODERS.takes: image_start}


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
    encoder, wanted = settings.encoder, task.family
    for family in FAMILIES:
        if encoder in family.sizes:
            _refuse_other(settings, family.takes, task)
            return _STARTS[wanted.takes].from_random_weights(settings, task, train)
    if not Path(encoder).exists():
        raise UserError(
            f"--encoder {encoder}: no such model folder or run, and no size "
            f"({', '.join(wanted.sizes)})"
        )
    _refuse_other(settings, family_of_folder(resolve_model_folder(encoder)).takes, task)
    return _STARTS[wanted.takes].from_model(settings, task, train)


def _refuse_other(settings: FinetuneSettings, takes: str, task: Task) -> None:
    wanted = task.family
    if takes != wanted.takes:
        raise UserError(
            f"--encoder {settings.encoder}: takes {takes}, but {task.name} is learnt from "
            f"{wanted.takes}: give such a model, or a size ({', '.join(wanted.sizes)})"
        )
