"""What is needed of a task to learn it, measure it and use it. Each task is a module like this."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from tokenizers import Tokenizer
from torch import Tensor

from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.hugging_face_names import NameTable
from selfsup.tasks.columns import Columns
from selfsup.tasks.encoded_texts import EncodedTexts
from selfsup.tasks.sequence_classification import LabelledTexts, SequenceClassifier


class Scorer(Protocol):
    """A model, or the part of one over frozen features, that scores a batch."""

    training: bool

    def train(self, mode: bool = True) -> Any: ...
    def scores(self, batch: Any) -> Tensor: ...


class Task(Protocol):
    """A task from the file that is read to the metrics that come out.

    Attributes:
        NAME: as ``selfsup finetune`` takes it.
        ARCHITECTURE: Hugging Face's class for a model of this task.
        SELECTION_METRIC: the metric that the best epoch and seed are chosen by; more is better.
    """

    @property
    def NAME(self) -> str: ...
    @property
    def ARCHITECTURE(self) -> str: ...
    @property
    def SELECTION_METRIC(self) -> str: ...

    def read_examples(self, file: str, columns: Columns, *, labelled: bool) -> LabelledTexts: ...
    def label_names(self, examples: LabelledTexts) -> tuple[str, ...]: ...
    def encode_examples(
        self,
        examples: LabelledTexts,
        names: Sequence[str],
        tokenizer: Tokenizer,
        max_length: int,
    ) -> EncodedTexts: ...
    def build_model(
        self, encoder: BertEncoder, label_count: int, dropout: float
    ) -> SequenceClassifier: ...
    def parameter_names(self) -> NameTable: ...
    def decode(self, scores: np.ndarray, names: Sequence[str]) -> list[dict[str, Any]]: ...
    def metrics(self, scores: np.ndarray, labels: np.ndarray) -> dict[str, float]: ...
    def confusion(
        self, scores: np.ndarray, labels: np.ndarray, names: Sequence[str]
    ) -> dict[str, Any]: ...
    def chance(self, labels: np.ndarray) -> float: ...
