"""What a task is: everything that the program asks of one, from its file to its metrics.

The data of every task takes the same path, and every command uses all of it or a part::

    file ── read_examples ──► Examples ── learn_labels ──► Labels
            (read_blocks)         │                          │
                                  │                          │
                                  └── settled ◄──────────────┘
                                           │
                             encode_examples(examples, labels)
                                           │
                    EncodedExamples: units (to train on), windows (to score)
                                           │ inference.scoring.score(model, encoded.windows)
                                           ▼
               scores, float32 [R, C]: the rows of all windows, concatenated
                                           │
                     metrics, details, decode(scores, encoded, examples, labels)

An example is one text, pair of texts, question, sentence or image of the file. It is encoded as one
window of tokens (or patches), or as several windows where it is too long for one. The model gives
one or more rows of scores for a window: one row for classification, one row a word for tagging,
one row a token for answer spans. Only the task knows how the rows of an example's windows become
one answer.

Shapes: N examples, U units, W windows, R rows in all, C scores in a row, D width.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
from torch import Tensor

from selfsup.encoder.huggingface.names import NameTable
from selfsup.errors import UserError
from selfsup.settings.finetune import FinetuneSettings
from selfsup.settings.inference import EvaluateSettings
from selfsup.tasks.encoders import EncoderFamily
from selfsup.tasks.labels import LabelKind, Labels
from selfsup.tasks.plain_inputs import PlainInputs
from selfsup.tasks.tables import Columns

Prediction = dict[str, Any]


@dataclass(frozen=True)
class Reading:
    """How the user wants a labelled file or folder to be read.

    Attributes:
        columns: the columns of a table.
        max_bad_fraction: the share of a folder's images that may be unreadable; those are left out.
            A row that cannot be read always raises an error.
    """

    columns: Columns = field(default_factory=Columns)
    max_bad_fraction: float = 1.0

    @classmethod
    def of(cls, settings: FinetuneSettings | EvaluateSettings) -> "Reading":
        """What the flags say."""
        text, label = settings.text_column, settings.label_column
        pair, separator = settings.text_pair_column, settings.label_separator
        columns = Columns(
            text, label, pair, separator, settings.missing_labels, settings.file_format
        )
        return cls(columns, settings.max_bad_fraction)


class Units(Protocol):
    """U things to train on. An epoch uses each of them once; a step uses a batch of them.

    For text classification a unit is a text with all its windows, for most other tasks one window.
    """

    def __len__(self) -> int: ...

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each unit, int64 [U]. Units of similar length share a batch."""
        ...

    def batch(self, indices: np.ndarray) -> Any:
        """The batch of the units at ``indices``, int64 [B], in that order, with their labels."""
        ...

    def windows_of(self, indices: np.ndarray) -> np.ndarray:
        """The numbers of the windows in ``batch(indices)``, in the batch's order, int64."""
        ...


@runtime_checkable
class AugmentedUnits(Protocol):
    """Units that differ from epoch to epoch, such as random crops of images."""

    def for_epoch(self, seed: int, epoch: int) -> Any:
        """The units of an epoch, counted from 0. They depend on these two numbers alone."""
        ...


class Windows(Units, Protocol):
    """W windows to score. Windows may be units as well: ``windows_of`` then returns ``indices``."""

    @property
    def row_counts(self) -> np.ndarray:
        """Rows of scores for each window, int64 [W]."""
        ...


class EncodedExamples(Protocol):
    """N examples in the form that a model takes, with their labels if these are known.

    Attributes:
        units: to train on.
        windows: to score.
        notes: sentences for the user, such as how many texts were truncated.
    """

    def __len__(self) -> int: ...

    @property
    def units(self) -> Units: ...
    @property
    def windows(self) -> Windows: ...

    @property
    def notes(self) -> tuple[str, ...]: ...


class Examples(Protocol):
    """N examples as they are in a file. Each task has its own dataclass for them.

    Attributes:
        source: the file, for messages.
        notes: sentences for the user on how the file was read.
    """

    @property
    def source(self) -> str: ...
    @property
    def notes(self) -> tuple[str, ...]: ...

    def __len__(self) -> int: ...

    def keys(self) -> list[tuple[str, ...]]:
        """The key of each example: equal for those of the same text, context or image."""
        ...

    def without(self, indices: Collection[int], *notes: str) -> "Examples":
        """The others, with notes on why these are left out."""
        ...

    def drop_empty(self) -> "Examples":
        """A copy without the examples that are empty, with a note on how many there were."""
        ...


class Scorer(Protocol):
    """A model, or only its head over frozen features, that scores a batch."""

    training: bool

    def train(self, mode: bool = True) -> Any: ...

    def scores(self, batch: Any) -> Tensor:
        """Scores of a batch's windows, [rows, C], in the order of the windows."""
        ...


# How a model card runs a model in Python, except for tasks without a pipeline.
_PIPELINE_CODE = """\
from transformers import pipeline

pipeline("{pipeline}", model="{run}/model")({inputs})"""


@dataclass(frozen=True)
class CardExample:
    """How a model card shows the model in use.

    Attributes:
        arguments: of ``selfsup predict RUN``.
        inputs: of the call in Python.
        code: the Python code, with the fields ``{pipeline}``, ``{run}`` and ``{inputs}``.
    """

    arguments: str = '"A text."'
    inputs: str = '"A text."'
    code: str = _PIPELINE_CODE


ExamplesT = TypeVar("ExamplesT", bound=Examples)
EncodedT = TypeVar("EncodedT", bound=EncodedExamples)


class Task(ABC, Generic[ExamplesT, EncodedT]):
    """All that is particular to a task. A new task is a subclass.

    The defaults are those of a task on single texts that fits nothing on validation examples.
    What a report shows of a task is in the module ``view`` of its folder, which needs no torch.

    Attributes:
        name: as ``selfsup finetune`` takes it.
        architecture: how the names of Hugging Face's classes for models of this task end.
        family: the encoders that take its examples.
        label_kinds: the kinds of labels that it can have; the first is the usual one.
        pipeline: the pipeline of ``transformers`` that runs its models, for the model card.
        pooled: whether the head reads the encoder's pooler. Otherwise the model has no pooler.
        fits_head: whether the head's last layer can be fitted to the output of a frozen encoder.
        segments: of tasks on texts: how many of BERT's segments a sequence has.
        default_max_length: of tasks on texts: most tokens of a sequence if the user does not say.
        writes_answers_by_id: whether a predictions file called ``NAME.json`` holds
            ``{"id": "answer"}``, as SQuAD's script expects it.
    """

    name: str
    architecture: ClassVar[str]
    family: ClassVar[EncoderFamily]
    label_kinds: ClassVar[tuple[LabelKind, ...]]
    pipeline: ClassVar[str]
    pooled: ClassVar[bool] = False
    fits_head: ClassVar[bool] = True
    segments: int = 1
    default_max_length: ClassVar[int] = 128
    writes_answers_by_id: ClassVar[bool] = False

    @abstractmethod
    def read_examples(self, file: str, reading: Reading, *, labelled: bool) -> ExamplesT:
        """Read a file, with its labels or answers if ``labelled``.

        Raises:
            UserError: the file, a column or a row cannot be used; the message names file and line.
        """

    @abstractmethod
    def read_blocks(
        self, file: str, reading: Reading, tell: Callable[[str], None], size: int
    ) -> Iterator[ExamplesT]:
        """Read a file without labels, in blocks, so that a long one does not have to fit in memory.

        What ``read_examples`` finds out from the whole file, such as which column holds the text,
        is found out from the first block.

        Args:
            file, reading: as for ``read_examples``.
            tell: takes the notes, which the blocks do not have.
            size: most examples in a block.

        Raises:
            UserError: as ``read_examples``, when the reading comes to it.
        """

    @abstractmethod
    def examples_of(
        self, texts: Sequence[str], text_pairs: Sequence[str] | None, first: int = 1
    ) -> ExamplesT:
        """Examples without labels, from what ``selfsup predict MODEL TEXT`` takes.

        Args:
            texts: texts, first texts of pairs, questions, or paths of images.
            text_pairs: as many second texts or contexts, which only tasks on pairs take.
            first: the number of the first one, by which the others are numbered too.

        Raises:
            UserError: the task needs pairs and there are none, or the other way round.
        """

    @abstractmethod
    def learn_labels(self, examples: ExamplesT, label_type: LabelKind | None) -> Labels:
        """The labels that occur in training examples, with the value of ``--label-type``, if any.

        Raises:
            UserError: there is nothing to learn in them.
        """

    def settled(self, examples: ExamplesT, labels: Labels) -> ExamplesT:
        """The examples with their labels under the names in ``labels``, however a file writes them.

        Raises:
            UserError: a label is not one of ``labels``; the message names file and line.
        """
        return examples

    def names_of(self, examples: ExamplesT, labels: Labels) -> list[tuple[str, ...]]:
        """The labels of each of the settled examples; by default none."""
        return [()] * len(examples)

    @abstractmethod
    def reading_notes(self, train: ExamplesT, validation: ExamplesT, labels: Labels) -> list[str]:
        """Sentences on imbalanced labels, repeated examples and examples that are in both files."""

    @abstractmethod
    def encode_examples(self, examples: ExamplesT, labels: Labels, preparation: Any) -> EncodedT:
        """Bring examples, with or without labels, into the form that a model takes.

        ``preparation`` is the model's own, as its family makes it: for texts the tokenizer and the
        length limits.

        Raises:
            UserError: a label is not one of ``labels``; the message names file and line.
        """

    @abstractmethod
    def build_model(self, encoder: Any, labels: Labels, dropout: float) -> Any:
        """The encoder with a new head, a ``TaskModule``. The caller sets its weights."""

    @abstractmethod
    def parameter_names(self, config: Any) -> NameTable:
        """Hugging Face's names for the parameters of a model over an encoder of these sizes."""

    @abstractmethod
    def selection_metric(self, labels: Labels) -> str:
        """The metric that selects the best epoch and seed; higher is better."""

    @abstractmethod
    def baseline(self, encoded: EncodedT, examples: ExamplesT, labels: Labels) -> dict[str, float]:
        """The metrics, without ``loss``, of the best answer that is the same for every example."""

    def chance(self, encoded: EncodedT, examples: ExamplesT, labels: Labels) -> float:
        """The baseline's selection metric, which a run must exceed."""
        return self.baseline(encoded, examples, labels)[self.selection_metric(labels)]

    def row_labels(self, encoded: EncodedT) -> np.ndarray:
        """The true labels of the rows of scores, after windows are averaged.

        Returns:
            One label: int64 [R]. Several: float32 [R, C]. Numbers: float32 [R].
        """
        raise NotImplementedError

    def plain_inputs(self, encoded: EncodedT, examples: ExamplesT) -> PlainInputs | None:
        """What a model without an encoder sees of examples; None if no such model is compared.

        A task that gives them has ``constant_scores`` and ``selection_of_sample`` as well.
        """
        return None

    def constant_scores(self, encoded: EncodedT, labels: Labels) -> np.ndarray:
        """The scores of the best answer that is the same for every example, float32 [R, C]."""
        raise NotImplementedError

    def selection_of_sample(
        self, scores: np.ndarray, encoded: EncodedT, examples: ExamplesT, labels: Labels
    ) -> Callable[[np.ndarray], float]:
        """The selection metric as a function of the examples that count.

        The function takes the indices of examples, int64, in which an example may be repeated, as
        in a bootstrap sample.
        """
        raise NotImplementedError

    def fit(
        self, scores: np.ndarray, encoded: EncodedT, examples: ExamplesT, labels: Labels
    ) -> Labels:
        """The labels with what is fitted on an epoch's scores (``Labels.fitted``), if anything."""
        return labels

    @abstractmethod
    def metrics(
        self, scores: np.ndarray, encoded: EncodedT, examples: ExamplesT, labels: Labels
    ) -> dict[str, float]:
        """The metrics by name. ``loss``, if it is there, breaks ties between epochs."""

    def details(
        self, scores: np.ndarray, encoded: EncodedT, examples: ExamplesT, labels: Labels
    ) -> dict[str, Any]:
        """More on the quality of the scores, for ``summary.json`` and the report.

        Returns:
            nothing, or ``classes``: a list of ``{"label", "precision", "recall", "f1",
            "examples"}``, and ``confusion``: ``{"labels", "matrix"}``, true labels in rows.
        """
        return {}

    @abstractmethod
    def decode(
        self, scores: np.ndarray, encoded: EncodedT, examples: ExamplesT, labels: Labels
    ) -> Iterator[Prediction]:
        """The answer for each example, ready for JSON. They are made one by one."""

    @abstractmethod
    def records(
        self, examples: ExamplesT, predictions: Iterable[Prediction]
    ) -> Iterator[dict[str, Any]]:
        """The lines of a predictions file: each example, its label if known, its prediction."""

    @abstractmethod
    def count_predictions(
        self, predictions: Iterable[Prediction], labels: Labels
    ) -> dict[str, Any]:
        """What ``selfsup predict`` prints about the predictions for a file, in a few numbers.

        The predictions, at least one, are read once and not kept.
        """

    def card_example(self, labels: Labels) -> CardExample:
        """How the model card shows a model with these labels in use."""
        return CardExample()

    def refuse_pairs(self, text_pairs: Sequence[str] | None, takes: str = "text") -> None:
        """Raise UserError if there are second texts."""
        if text_pairs is not None:
            raise UserError(
                f"--text-pair: this model does {self.name}, of one {takes}: leave the flag out"
            )
