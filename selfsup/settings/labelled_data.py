"""Flags that only some tasks use, and the check that no others are given."""

import dataclasses
from functools import partial
from typing import Any

from selfsup.errors import UserError
from selfsup.settings.fields import data_flag, flag_name, model_flag

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
    "encoding": _TEXTS,
    "delimiter": (CLASSIFY, PAIRS, TAG),
    "header": (CLASSIFY, PAIRS, TAG),
    "columns": (CLASSIFY, PAIRS, TAG),
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
    "missing_labels": (CLASSIFY, PAIRS),
    "long_text": (CLASSIFY, PAIRS),
    "doc_stride": _TEXTS,
    "max_length": _TEXTS,
    "tokenizer": _TEXTS,
    "embedding_learning_rate": _TEXTS,
    "class_weights": (CLASSIFY, PAIRS, TAG, IMAGES),
    "sampling": (CLASSIFY, PAIRS, IMAGES),
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
    """Raise a ``UserError`` if the separator is empty."""
    if separator == "":
        raise UserError("--label-separator is empty: give what stands between labels, such as ,")


text_column = partial(
    data_flag,
    "column or field with the text, or the first text of a pair; by default found by its name",
    metavar="NAME",
)
text_pair_column = partial(
    data_flag,
    "column or field with the second text of a pair; by default found by its name",
    metavar="NAME",
)
label_column = partial(
    data_flag, "column or field with the label; by default found by its name", metavar="NAME"
)
label_separator = partial(
    data_flag, "text between several labels of one example, such as a comma", metavar="TEXT"
)
missing_labels = partial(
    data_flag,
    "what to do with examples without a label, which are refused by default: drop leaves them out, "
    "also those labelled NaN, NULL, N/A or None; keep makes such a name a class",
    choices=("drop", "keep"),
)
max_answer_length = partial(
    model_flag,
    "longest answer to a question; by default 30, or what the model was trained with",
    metavar="TOKENS",
    at_least=1,
    at_most=512,
)
null_threshold = partial(
    model_flag,
    "how much an answer's score must exceed that of no answer; by default the fitted value",
    metavar="X",
)
