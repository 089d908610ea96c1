"""The labelled files of a fine-tuning run, as token ids, and what to tell the user about them."""

from dataclasses import dataclass

from selfsup.recipes.starting_point import StartingPoint
from selfsup.tasks.columns import Columns
from selfsup.tasks.encoded_texts import EncodedTexts
from selfsup.tasks.sequence_classification import LabelledTexts
from selfsup.tasks.task import Task


@dataclass(frozen=True)
class TaskData:
    """The labelled examples of a run.

    Attributes:
        train, validation: as token ids.
        labels: the labels' names, by their numbers.
        notes: what the user should know of how the files were read, a sentence each.
    """

    train: EncodedTexts
    validation: EncodedTexts
    labels: tuple[str, ...]
    notes: tuple[str, ...]


def read_task_files(
    task: Task, train: str, validation: str, columns: Columns
) -> tuple[LabelledTexts, LabelledTexts]:
    """Read both files. Nothing is learnt from empty texts; measured, they are like any other."""
    return (
        task.read_examples(train, columns, labelled=True).without_empty(),
        task.read_examples(validation, columns, labelled=True),
    )


def encode_task_data(
    task: Task,
    train: LabelledTexts,
    validation: LabelledTexts,
    start: StartingPoint,
    max_length: int,
) -> TaskData:
    """Number the labels as they occur in training, and turn all texts into token ids.

    Raises:
        UserError: the labels cannot be learnt, or one in validation does not occur in training.
    """
    labels = task.label_names(train)
    encoded = []
    notes = [*train.notes, *validation.notes]
    for examples in (train, validation):
        part = task.encode_examples(examples, labels, start.tokenizer, max_length)
        notes += cut_note(examples.source, part, max_length)
        encoded.append(part)
    return TaskData(encoded[0], encoded[1], labels, tuple(notes))


def cut_note(source: str, encoded: EncodedTexts, max_length: int) -> list[str]:
    """A sentence on how many texts were cut, if any."""
    if not encoded.cut:
        return []
    return [f"{source}: {encoded.cut} of {len(encoded)} texts cut at {max_length} tokens"]
