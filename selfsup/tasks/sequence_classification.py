"""Single-sentence classification: the pooled ``[CLS]`` → a score for every label (BERT §4.1).

Shapes: N examples, B texts in a batch, T tokens in all, D width, C labels.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, matthews_corrcoef
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F

from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.hugging_face_names import NameTable, encoder_names
from selfsup.errors import UserError
from selfsup.tasks.columns import Columns, find_columns
from selfsup.tasks.encoded_texts import EncodedBatch, EncodedTexts, encode_texts
from selfsup.tasks.frozen_features import FeatureBatch
from selfsup.tasks.labelled_rows import Row, read_rows

Losses = dict[str, tuple[Tensor, Tensor, int]]
Prediction = dict[str, Any]

NAME = "sequence-classification"
ARCHITECTURE = "BertForSequenceClassification"
# What the best epoch and the best seed are chosen by.
SELECTION_METRIC = "accuracy"
HEAD_NAMES: NameTable = {"classifier": ("classifier",)}

# A column with more labels than this, and hardly a repetition, holds something else.
_MANY_LABELS = 50


@dataclass(frozen=True)
class LabelledTexts:
    """N texts from a file.

    Attributes:
        source: the file.
        lines: where each text stands in it.
        texts: the texts.
        labels: their labels as the file writes them, or None where only texts were read.
        notes: what the user should know of how the file was read, a sentence each.
    """

    source: str
    lines: list[int]
    texts: list[str]
    labels: list[str] | None
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.texts)

    def without_empty(self) -> "LabelledTexts":
        """The same without texts that hold nothing, from which nothing can be learnt."""
        kept = [place for place, text in enumerate(self.texts) if text.strip()]
        if len(kept) == len(self):
            return self
        if not kept:
            raise UserError(f"{self.source}: all texts are empty: check --text-column")
        empty = next(place for place, text in enumerate(self.texts) if not text.strip())
        note = (
            f"{self.source}: {len(self) - len(kept)} empty texts left out "
            f"(the first is in line {self.lines[empty]})"
        )
        return LabelledTexts(
            self.source,
            [self.lines[place] for place in kept],
            [self.texts[place] for place in kept],
            None if self.labels is None else [self.labels[place] for place in kept],
            (*self.notes, note),
        )


def read_examples(file: str, columns: Columns, *, labelled: bool) -> LabelledTexts:
    """Read texts, and labels if ``labelled``.

    Raises:
        UserError: the file or a column is missing, or a row lacks its text or its label.
    """
    rows = read_rows(file)
    found, note = find_columns(rows, file, columns, labelled=labelled)
    assert found.text is not None
    texts = [_text(row, file, found.text) for row in rows]
    labels = None
    if found.label is not None:
        labels = [_label(row, file, found.label) for row in rows]
    lines = [row.line for row in rows]
    return LabelledTexts(file, lines, texts, labels, () if note is None else (note,))


def label_names(examples: LabelledTexts) -> tuple[str, ...]:
    """The labels that occur, in the order of their numbers or of the alphabet.

    Raises:
        UserError: there is only one, or so many that the column can hold no labels.
    """
    counts = Counter(examples.labels)
    if len(counts) == 1:
        raise UserError(
            f"{examples.source}: all {len(examples)} examples are labelled {next(iter(counts))!r}: "
            "there is nothing to tell apart; check --label-column"
        )
    if len(counts) > max(_MANY_LABELS, len(examples) / 2):
        raise UserError(
            f"{examples.source}: {len(counts)} different labels in {len(examples)} examples: "
            "this column holds no classes; choose another with --label-column"
        )
    if all(re.fullmatch(r"-?\d{1,15}", label) for label in counts):
        return tuple(sorted(counts, key=int))
    return tuple(sorted(counts))


def encode_examples(
    examples: LabelledTexts, names: Sequence[str], tokenizer: Tokenizer, max_length: int
) -> EncodedTexts:
    """Texts to token ids, labels to their numbers.

    Raises:
        UserError: a label is none of ``names``.
    """
    labels = None
    if examples.labels is not None:
        labels = _label_numbers(examples, names)
    return encode_texts(tokenizer, examples.texts, labels, max_length)


def build_model(encoder: BertEncoder, label_count: int, dropout: float) -> "SequenceClassifier":
    """The encoder under a new head."""
    return SequenceClassifier(encoder, label_count, dropout)


class SequenceClassifier(nn.Module):
    """An encoder and a linear layer over its pooled ``[CLS]``."""

    def __init__(self, encoder: BertEncoder, label_count: int, dropout: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(encoder.config.hidden_size, label_count)

    def forward(self, batch: EncodedBatch) -> Losses:
        """Mean loss in nats, right predictions, number of texts."""
        return classification_loss(self.scores(batch), batch.labels)

    def scores(self, batch: EncodedBatch) -> Tensor:
        """A score (logit) for each label, [B, C]."""
        encoded = self.encoder(batch.input_ids, batch.token_type_ids, batch.packing)
        return self.classifier(self.dropout(encoded.pooler_output))

    def features(self, batch: EncodedBatch) -> Tensor:
        """What the frozen layers make of each text: the last state of its ``[CLS]``, [B, D]."""
        encoded = self.encoder(batch.input_ids, batch.token_type_ids, batch.packing)
        return encoded.last_hidden_state.index_select(0, batch.packing.first_rows)

    def on_features(self) -> "ClassifierOnFeatures":
        """What stands over the features, sharing this model's parameters."""
        return ClassifierOnFeatures(self)


class ClassifierOnFeatures(nn.Module):
    """The pooler and the linear layer alone, over features computed beforehand."""

    def __init__(self, model: SequenceClassifier) -> None:
        super().__init__()
        self.pooler = model.encoder.pooler
        self.dropout = model.dropout
        self.classifier = model.classifier

    def forward(self, batch: FeatureBatch) -> Losses:
        """As ``SequenceClassifier.forward``."""
        return classification_loss(self.scores(batch), batch.labels)

    def scores(self, batch: FeatureBatch) -> Tensor:
        """A score for each label, [B, C]."""
        return self.classifier(self.dropout(torch.tanh(self.pooler(batch.features))))


def classification_loss(scores: Tensor, labels: Tensor) -> Losses:
    """Cross-entropy: scores [B, C], labels int64 [B]."""
    scores = scores.float()
    right = (scores.detach().argmax(-1) == labels).sum()
    return {"classification": (F.cross_entropy(scores, labels), right, len(labels))}


def decode(scores: np.ndarray, names: Sequence[str]) -> list[Prediction]:
    """Scores, float [N, C], to the best label and the probabilities of all (their softmax)."""
    shifted = scores.astype(np.float64) - scores.max(axis=1, keepdims=True)
    probabilities = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
    best = scores.argmax(axis=1)
    return [
        {
            "label": names[place],
            "probability": float(row[place]),
            "probabilities": dict(zip(names, map(float, row), strict=True)),
        }
        for place, row in zip(best, probabilities, strict=True)
    ]


def metrics(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """How good the scores are, float [N, C], against labels, int64 [N].

    ``f1`` is the mean of the F1 of every label (macro), so it does not depend on which of two
    labels is called positive. ``loss`` is the mean cross-entropy in nats.
    """
    predicted = scores.argmax(axis=1)
    loss = F.cross_entropy(torch.from_numpy(scores), torch.from_numpy(labels))
    return {
        "accuracy": float(accuracy_score(labels, predicted)),
        "f1": float(f1_score(labels, predicted, average="macro")),
        "matthews_correlation": float(matthews_corrcoef(labels, predicted)),
        "loss": float(loss),
    }


def confusion(scores: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """How often a label (a row) was taken for another (a column)."""
    matrix = confusion_matrix(labels, scores.argmax(axis=1), labels=range(len(names)))
    return {"labels": list(names), "matrix": matrix.tolist()}


def chance(labels: np.ndarray) -> float:
    """The accuracy of always saying the most frequent label."""
    return float(np.bincount(labels).max() / len(labels))


def parameter_names() -> NameTable:
    """What Hugging Face calls a ``SequenceClassifier``'s parameters."""
    return {**encoder_names("encoder."), **HEAD_NAMES}


def _text(row: Row, file: str, column: str) -> str:
    value = row.fields.get(column)
    if value is None:
        return ""
    if not isinstance(value, str | int | float):
        raise UserError(f'{file}, line {row.line}: "{column}" holds no text: choose --text-column')
    return str(value)


def _label(row: Row, file: str, column: str) -> str:
    value = row.fields.get(column)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str | bool | int | float) and value == value and str(value).strip():
        return str(value).strip()
    raise UserError(f'{file}, line {row.line}: "{column}" holds no label: add one')


def _label_numbers(examples: LabelledTexts, names: Sequence[str]) -> np.ndarray:
    """The place of each label in ``names``, int64 [N].

    Where the names are those that ``transformers`` gives by itself, LABEL_0, LABEL_1 and so on,
    a file may also say 0, 1 and so on.
    """
    assert examples.labels is not None
    numbers = {name: number for number, name in enumerate(names)}
    if all(name == f"LABEL_{number}" for number, name in enumerate(names)):
        numbers |= {str(number): number for number in range(len(names))}
    for line, label in zip(examples.lines, examples.labels, strict=True):
        if label not in numbers:
            shown = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
            raise UserError(
                f"{examples.source}, line {line}: label {label!r} was not among those trained on "
                f"({shown}): mend it, or train with examples of it"
            )
    return np.asarray([numbers[label] for label in examples.labels], np.int64)
