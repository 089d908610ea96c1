"""How a labelled file or folder is to be read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from selfsup.encoder.huggingface.names import NameTable
from selfsup.errors import UserError
from selfsup.settings import EvaluateSettings, FinetuneSettings, PredictSettings
from selfsup.tasks.encoders import EncoderFamily
from selfsup.tasks.labels import Kind, Labels
from selfsup.tasks.tables import Columns, first_columns, holds_pairs, is_table


@dataclass(frozen=True)
class Reading:
    """What the user says of how to read it.

    Attributes:
        columns: of a file's rows.
        max_bad_fraction: the part of a folder's images that may be unreadable; these are left out.
            A row that cannot be read always ends the reading.
    """

    columns: Columns = field(default_factory=Columns)
    max_bad_fraction: float = 1.0


# What is needed of a task to learn it, measure it and use it. Each task is a module like this.
#
# The road of the data, which every command goes or goes a part of::
#
#     file ── read_examples ──► Examples ── learn_labels ──► Labels
#                                   │                          │
#                                   └── encode_examples ◄──────┘
#                                            │
#                     EncodedExamples: units (to learn from), windows (to score)
#                                            │ evaluation.scoring.score(model, encoded.windows)
#                                            ▼
#                scores, float32 [R, C]: the rows of all windows, laid end to end
#                                            │
#                      metrics, details, decode(scores, encoded, examples, labels)
#
# An example is what the file holds one of: a text, a pair, a question, a sentence, an image. It is
# encoded as one window of tokens (or of patches), or as several where it is too long for one. A
# model
# gives each window one row of scores or more: one for classification, one a token for tagging and
# for answer spans. How the rows of an example's windows become one answer is known to the task
# alone.
#
# Shapes: N examples, U units, W windows, R rows in all, C scores in a row, D width.


Losses = dict[str, tuple[Tensor, Tensor, int]]
Prediction = dict[str, Any]


class Batch(Protocol):
    """What a model takes; at the least its number of tokens, and a copy of it on a device."""

    @property
    def token_count(self) -> int: ...
    def to(self, device: Any, /) -> Any: ...


class Units(Protocol):
    """U things to learn from. An epoch shows each of them once; a step takes some of them.

    For text classification a unit is a text with its windows, for most other tasks a window.
    """

    def __len__(self) -> int: ...

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each, int64 [U]; units of like length are computed together."""
        ...

    def batch(self, places: np.ndarray) -> Any:
        """A batch of those at ``places``, int64 [B], in that order, with what they teach."""
        ...

    def windows_of(self, places: np.ndarray) -> np.ndarray:
        """The numbers of the windows that ``batch(places)`` is made of, in its order, int64."""
        ...


@runtime_checkable
class ChangingUnits(Protocol):
    """Units that each epoch shows otherwise, such as random crops of images."""

    def in_epoch(self, seed: int, epoch: int) -> Any:
        """The units as they are in an epoch, from 0: a function of these numbers."""
        ...


class Windows(Units, Protocol):
    """W windows to score. Windows may be units as well: ``windows_of`` then gives ``places``."""

    @property
    def row_counts(self) -> np.ndarray:
        """Rows of scores that each gives, int64 [W]."""
        ...


class EncodedExamples(Protocol):
    """N examples as a model takes them, with what they teach if it is known."""

    def __len__(self) -> int: ...

    @property
    def units(self) -> Units: ...
    @property
    def windows(self) -> Windows: ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know, a sentence each: how many texts were cut, and such."""
        ...


class Examples(Protocol):
    """N examples as they stand in a file; each task has a dataclass of its own.

    Attributes:
        source: the file, for messages.
        notes: what the user should know of how it was read, a sentence each.
    """

    @property
    def source(self) -> str: ...
    @property
    def notes(self) -> tuple[str, ...]: ...

    def __len__(self) -> int: ...

    def without_empty(self) -> "Examples":
        """The same without those from which nothing can be learnt, and a note on how many."""
        ...


class Scorer(Protocol):
    """A model, or the part of one over frozen features, that scores a batch."""

    training: bool

    def train(self, mode: bool = True) -> Any: ...

    def scores(self, batch: Any) -> Tensor:
        """Scores of a batch's windows, [rows, C], in the windows' order."""
        ...


class TaskModule(Scorer, Protocol):
    """A task's model: a ``torch.nn.Module`` whose parameters are those of ``parameter_names``.

    Attributes:
        encoder: the part that was pre-trained; its parameters are named ``encoder.…``.
    """

    encoder: Any

    def __call__(self, batch: Any) -> Losses: ...
    def named_parameters(self) -> Iterator[tuple[str, Any]]: ...
    def parameters(self) -> Iterator[Any]: ...
    def to(self, device: Any) -> Any: ...
    def eval(self) -> Any: ...

    def features(self, batch: Any) -> Tensor:
        """What the frozen encoder makes of a batch's windows, [rows, D]: as many rows as scores."""
        ...

    def on_features(self, features: Tensor) -> Any:
        """What stands over the features, sharing this model's parameters.

        A module like the model (``forward`` to losses, ``scores``), on a ``FeatureBatch``.

        Args:
            features: those of the training windows, [rows, D], such as to find their range.
        """
        ...

    def saved_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Names and values to save: those of ``named_parameters``, in the form others load."""
        ...


class Task(Protocol):
    """A task from the file that is read to the metrics that come out.

    Attributes:
        NAME: as ``selfsup finetune`` takes it.
        ARCHITECTURE: Hugging Face's class for a model of this task.
        FAMILY: the encoders that take what its examples are.
        LABEL_KINDS: the kinds of labels that it has; the first is the usual one.
        POOLED: whether its head stands on the encoder's pooler; else the model has none.
        PIPELINE: the pipeline of ``transformers`` that runs its models, for the model card.
    """

    @property
    def NAME(self) -> str: ...
    @property
    def ARCHITECTURE(self) -> str: ...
    @property
    def FAMILY(self) -> EncoderFamily: ...
    @property
    def LABEL_KINDS(self) -> tuple[Kind, ...]: ...
    @property
    def POOLED(self) -> bool: ...
    @property
    def PIPELINE(self) -> str: ...

    def read_examples(self, file: str, reading: Reading, *, labelled: bool) -> Any:
        """Read a file, with its labels or answers if ``labelled``.

        Raises:
            UserError: the file, a column or a row cannot be used; the message names file and line.
        """
        ...

    def examples_of(self, texts: Sequence[str], text_pairs: Sequence[str] | None) -> Any:
        """Examples without labels from texts: what ``selfsup predict MODEL TEXT`` takes.

        Args:
            texts: texts, first texts of pairs, or questions.
            text_pairs: as many second texts, or contexts; None for tasks of one text.

        Raises:
            UserError: the task needs pairs and has none, or the other way round.
        """
        ...

    def learn_labels(self, examples: Any, label_type: Kind | None) -> Labels:
        """The labels of training examples.

        Args:
            examples: labelled.
            label_type: what ``--label-type`` says, if anything.

        Raises:
            UserError: there is nothing to learn in them.
        """
        ...

    def reading_notes(self, train: Any, validation: Any, labels: Labels) -> list[str]:
        """What the user should know of the two files before training, a sentence each.

        Such as labels out of balance, repeated examples, and examples that are in both files.
        """
        ...

    def encode_examples(self, examples: Any, labels: Labels, preparation: Any) -> Any:
        """Examples (labelled or not) for a model: an ``EncodedExamples`` of the task's own.

        Args:
            examples: as the task reads or makes them.
            labels: what they teach, or what the model's scores mean.
            preparation: that of the model, as its family makes it; of texts the tokenizer and how
                long they may be.

        Raises:
            UserError: a label is none of ``labels``; the message names file and line.
        """
        ...

    def build_model(self, encoder: Any, labels: Labels, dropout: float) -> Any:
        """The encoder under a new head, a ``TaskModule``; its weights are set by the caller."""
        ...

    def parameter_names(self) -> NameTable:
        """What Hugging Face calls the model's parameters."""
        ...

    def selection_metric(self, labels: Labels) -> str:
        """The metric that the best epoch and seed are chosen by; more is better."""
        ...

    def chance(self, encoded: Any, examples: Any, labels: Labels) -> float:
        """What the selection metric is for an answer that looks at no text.

        A run that comes to no more than that has failed.
        """
        ...

    def fit(self, scores: np.ndarray, encoded: Any, examples: Any, labels: Labels) -> Labels:
        """The labels with what is to be fitted on validation examples (``Labels.fitted``), if any.

        Called with the scores of each epoch, before ``metrics``.
        """
        ...

    def metrics(
        self, scores: np.ndarray, encoded: Any, examples: Any, labels: Labels
    ) -> dict[str, float]:
        """How good the scores are, by the names that the field gives the metrics.

        ``loss``, where it is among them, decides between epochs that are equally good.
        """
        ...

    def details(
        self, scores: np.ndarray, encoded: Any, examples: Any, labels: Labels
    ) -> dict[str, Any]:
        """More on how good they are, for ``summary.json`` and the report."""
        ...

    def decode(
        self, scores: np.ndarray, encoded: Any, examples: Any, labels: Labels
    ) -> list[Prediction]:
        """An answer for each example, ready for JSON."""
        ...

    def records(self, examples: Any, predictions: Sequence[Prediction]) -> Iterator[dict[str, Any]]:
        """Lines of a predictions file: each example as it was read, its label, its prediction."""
        ...

    def tally(self, predictions: Sequence[Prediction], labels: Labels) -> dict[str, Any]:
        """What ``selfsup predict`` says of the predictions for a whole file, in a few numbers."""
        ...


class TextTask(Task, Protocol):
    """A task on texts, whose examples also have ``texts() -> list[str]``: all texts in them.

    Attributes:
        SEGMENTS: how many of BERT's segments it sets apart.
    """

    @property
    def SEGMENTS(self) -> int: ...

    def default_max_length(self) -> int:
        """Most tokens of a sequence where the user does not say."""
        ...


def reading_of(settings: FinetuneSettings | EvaluateSettings) -> Reading:
    """How the flags say that labelled files are to be read."""
    columns = Columns(
        settings.text_column,
        settings.label_column,
        settings.text_pair_column,
        settings.label_separator,
    )
    return Reading(columns, settings.max_bad_fraction)


def is_of_pairs(settings: EvaluateSettings | PredictSettings) -> bool:
    """Whether flags or columns say that a classifier which does not say so is one of pairs."""
    if settings.text_pair_column is not None or getattr(settings, "text_pair", None) is not None:
        return True
    if settings.text_column is not None or settings.data is None:
        return False
    try:
        return is_table(settings.data) and holds_pairs(first_columns(settings.data))
    except UserError:  # told of where the data are read
        return False
