"""The labelled files of a fine-tuning run, as a model takes them, and what to tell of them."""

from dataclasses import dataclass
from typing import Any

from selfsup.tasks.base import EncodedExamples, Examples, Reading, Task
from selfsup.tasks.labels import LabelKind, Labels


@dataclass(frozen=True)
class EncodedPart:
    """One file's examples: as they stand in it, and as a model takes them."""

    examples: Examples
    encoded: EncodedExamples

    def __len__(self) -> int:
        return len(self.encoded)


@dataclass(frozen=True)
class TaskData:
    """The labelled examples of a run.

    Attributes:
        train, validation: to learn from and to measure with.
        labels: those of the training examples.
        notes: what the user should know of how the files were read, a sentence each.
    """

    train: EncodedPart
    validation: EncodedPart
    labels: Labels
    notes: tuple[str, ...]


def read_task_files(
    task: Task, train: str, validation: str, reading: Reading
) -> tuple[Examples, Examples]:
    """Read both files. Nothing is learnt from empty texts; measured, they are like any other."""
    return (
        task.read_examples(train, reading, labelled=True).without_empty(),
        task.read_examples(validation, reading, labelled=True),
    )


def encode_task_data(
    task: Task,
    train: Examples,
    validation: Examples,
    label_type: LabelKind | None,
    preparation: Any,
) -> TaskData:
    """Find the labels as they occur in training, and make all examples ready.

    Raises:
        UserError: the labels cannot be learnt, or one in validation does not occur in training.
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
