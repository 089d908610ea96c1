"""Flags that only some tasks use, and the check that no others are given."""

import dataclasses
from typing import Any

from selfsup.errors import UserError
from selfsup.settings import shared_flags
from selfsup.settings.fields import flag, flag_name

CLASSIFY, PAIRS = "sequence-classification", "pair-classification"
ANSWER, TAG = "question-answering", "token-classification"
IMAGES = "image-classification"
# All tasks, and the folder of each in ``selfsup/tasks``; ``tasks.registry`` has their classes.
TASKS = {
    CLASSIFY: "classification",
    PAIRS: "classification",
    ANSWER: "question_answering",
    TAG: "token_classification",
    IMAGES: "image_classification",
}
_TEXTS = (CLASSIFY, PAIRS, ANSWER, TAG)

# The tasks that use a flag. Flags that are not here are for every task.
_TASKS_OF_FLAG = {
    "text_column": (CLASSIFY, PAIRS, TAG),
    "text_pair_column": (PAIRS,),
    "text_pair": (PAIRS,),
    "question": (ANSWER,),
    "context_file": (ANSWER,),
    "max_answer_length": (ANSWER,),
    "null_threshold": (ANSWER,),
    "label_column": (CLASSIFY, PAIRS, TAG),
    "label_type": (CLASSIFY, PAIRS),
    "label_separator": (CLASSIFY, PAIRS),
    "long_text": (CLASSIFY, PAIRS),
    "doc_stride": _TEXTS,
    "max_length": _TEXTS,
    "tokenizer": _TEXTS,
    "embedding_learning_rate": _TEXTS,
    "image_size": (IMAGES,),
    "patch_size": (IMAGES,),
    "mirror": (IMAGES,),
    "max_bad_fraction": (IMAGES,),
}


def refuse_unused(settings: Any, task: str) -> None:
    """Refuse flags that are given but not used by the task.

    Raises:
        UserError: names the flag and the tasks that it is for.
    """
    unused = unused_flags(task)
    for field in dataclasses.fields(settings):
        if field.name in unused and getattr(settings, field.name) != field.default:
            tasks = " and ".join(_TASKS_OF_FLAG[field.name])
            raise UserError(f"{flag_name(field)} is for {tasks}, not for {task}: leave it out")


def unused_flags(task: str) -> set[str]:
    """The names of the settings that the task does not use."""
    return {name for name, tasks in _TASKS_OF_FLAG.items() if task not in tasks}


def check_label_separator(separator: str | None) -> None:
    """Refuse an empty separator.

    Raises:
        UserError: the separator is empty.
    """
    if separator == "":
        raise UserError("--label-separator is empty: give what stands between labels, such as ,")


def check_doc_stride(task: str, doc_stride: int | None, long_text: str | None) -> None:
    """Refuse an overlap of windows where long texts are truncated instead.

    Raises:
        UserError: names the missing flag.
    """
    if task in _TASKS_OF_FLAG["long_text"] and doc_stride is not None and long_text != "window":
        raise UserError("--doc-stride is for windows of longer texts: add --long-text window")


def text_column() -> str | None:
    return flag(
        "column or field with the text, or the first text of a pair; by default found by its name",
        default=None,
        group="Data",
        metavar="NAME",
    )


def text_pair_column() -> str | None:
    return flag(
        "column or field with the second text of a pair; by default found by its name",
        default=None,
        group="Data",
        metavar="NAME",
    )


def label_column() -> str | None:
    return flag(
        "column or field with the label; by default found by its name",
        default=None,
        group="Data",
        metavar="NAME",
    )


def label_separator() -> str | None:
    return flag(
        "text between several labels of one example, such as a comma",
        default=None,
        group="Data",
        metavar="TEXT",
    )


def max_bad_fraction() -> float:
    return shared_flags.max_bad_fraction("images")


def max_answer_length() -> int | None:
    return flag(
        "longest answer to a question; by default 30, or what the model was trained with",
        default=None,
        group="Model",
        metavar="TOKENS",
        at_least=1,
        at_most=512,
    )


def null_threshold() -> float | None:
    return flag(
        "how much an answer's score must exceed that of no answer; by default the fitted value",
        default=None,
        group="Model",
        metavar="X",
    )
