"""What the user should know of labelled texts before a model learns from them."""

from collections import Counter
from typing import Any

import numpy as np

from selfsup.encoder.bert import BertEncoder
from selfsup.tasks import text_encoder as text_family
from selfsup.tasks.classification.data import LabelledTexts
from selfsup.tasks.classification.encoding import EncodedTexts
from selfsup.tasks.classification.model import SequenceClassifier
from selfsup.tasks.given_labels import encode_labels, labels_of, numbers_of, places_of
from selfsup.tasks.labels import Kind, Labels
from selfsup.tasks.notes import (
    absence_notes,
    balance_notes,
    contradiction_notes,
    key_of,
    overlap_notes,
    repetition_notes,
)
from selfsup.tasks.text_encoder import TextPreparation
from selfsup.tasks.text_encoding import encode_texts


def reading_notes(train: LabelledTexts, validation: LabelledTexts, labels: Labels) -> list[str]:
    """Labels out of balance, repeated texts, texts in both files: a sentence each."""
    keys = [_keys(part) for part in (train, validation)]
    notes = _label_notes(train, validation, labels)
    for part, of_part in zip((train, validation), keys, strict=True):
        notes += repetition_notes(part.source, of_part, part.lines)
        if labels.kind != "number":
            given = [tuple(sorted(label)) for label in _as_named(part, labels)]
            notes += contradiction_notes(part.source, of_part, given, part.lines)
    notes += overlap_notes(train.source, keys[0], validation.source, keys[1], validation.lines)
    return notes


def _keys(examples: LabelledTexts) -> list[tuple[str, ...]]:
    return [key_of(*examples.parts(place)) for place in range(len(examples))]


def _label_notes(train: LabelledTexts, validation: LabelledTexts, labels: Labels) -> list[str]:
    if labels.kind == "number":
        numbers = numbers_of(train)
        return [
            f"{train.source}: the labels are numbers from {numbers.min():g} to {numbers.max():g}, "
            f"on average {labels.mean:.3g} ± {labels.std:.3g}"
        ]
    counts, in_validation = _counts(train, labels), _counts(validation, labels)
    # The f1 of several labels counts all of them alike, the frequent one too.
    fair_metric = "f1_macro" if labels.kind == "multi" else "f1"
    notes = balance_notes(train.source, counts, len(train), fair_metric)
    if labels.kind == "multi":
        without = sum(not label for label in train.labels or [])
        notes.insert(
            0,
            f"{train.source}: {counts.total() / len(train):.2g} labels a text, none for "
            f"{without:,} texts",
        )
    return notes + absence_notes(validation.source, labels.names, in_validation)


def _counts(examples: LabelledTexts, labels: Labels) -> Counter[str]:
    return Counter(label for several in _as_named(examples, labels) for label in several)


def _as_named(examples: LabelledTexts, labels: Labels) -> list[tuple[str, ...]]:
    """The labels of each text by their own names, however the file spells them."""
    places = places_of(labels.names)
    given = (
        labels_of(examples)
        if labels.kind == "multi"
        else [(str(label),) for label in examples.labels or []]
    )
    return [
        tuple(labels.names[places[label]] if label in places else label for label in several)
        for several in given
    ]


# What the classification of single texts and of pairs have in common.


ARCHITECTURE = "BertForSequenceClassification"
LABEL_KINDS: tuple[Kind, ...] = ("class", "multi", "number")
FAMILY = text_family
POOLED = True
PIPELINE = "text-classification"


def default_max_length() -> int:
    """Most tokens of a text, or of a pair, where the user does not say."""
    return 128


def encode_examples(
    examples: LabelledTexts, labels: Labels, preparation: TextPreparation
) -> EncodedTexts:
    """Texts to token ids, labels to numbers.

    Raises:
        UserError: a label is none of ``labels``.
    """
    return encode_texts(
        preparation.tokenizer,
        examples.first,
        preparation.limits,
        encode_labels(examples, labels),
        text_pairs=examples.second,
        source=examples.source,
    )


def build_model(encoder: BertEncoder, labels: Labels, dropout: float) -> SequenceClassifier:
    """The encoder under a new head."""
    return SequenceClassifier(encoder, labels, dropout)


def fit(scores: np.ndarray, encoded: Any, examples: Any, labels: Labels) -> Labels:
    """Nothing is fitted on validation examples: the labels as they are."""
    return labels
