"""The labelled files of a fine-tuning run, read and encoded for a model."""

from dataclasses import dataclass
from typing import Any

from selfsup.tasks.base import EncodedExamples, Examples, Reading, Task
from selfsup.tasks.labels import LabelKind, Labels


@dataclass(frozen=True)
class EncodedPart:
    """The examples of one file, as they were read and as a model takes them."""

    examples: Examples
    encoded: EncodedExamples

    def __len__(self) -> int:
        return len(self.encoded)


@dataclass(frozen=True)
class TaskData:
    """The labelled examples of a run.

    Attributes:
        train, validation: the examples to learn from and to validate with.
        labels: the labels that occur in the training examples.
        notes: what the user should know about the files, one sentence each.
    """

    train: EncodedPart
    validation: EncodedPart
    labels: Labels
    notes: tuple[str, ...]


def read_task_files(
    task: Task, train: str, validation: str, reading: Reading
) -> tuple[Examples, Examples]:
    """Read both files. Empty texts are left out of training, but not out of validation."""
    return (
        task.read_examples(train, reading, labelled=True).drop_empty(),
        task.read_examples(validation, reading, labelled=True),
    )


def encode_task_data(
    task: Task,
    train: Examples,
    validation: Examples,
    label_type: LabelKind | None,
    preparation: Any,
) -> TaskData:
    """Find the labels of the training examples, and encode all examples.

    Raises:
        UserError: the labels cannot be learned, or one in validation does not occur in training.
    """
    labels = task.learn_labels(train, label_type)
    encoded = [
        task.encode_examples(examples, labels, preparation) for examples in (train, validation)
    ]
    notes = (
        *train.notes,
        *validation.notes,
        *task.reading_notes(train, validation, labels),
        *(note for part in encoded for note in part.notes),
    )
    return TaskData(
        EncodedPart(train, encoded[0]), EncodedPart(validation, encoded[1]), labels, notes
    )
