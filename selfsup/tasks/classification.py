"""What the classification of single texts and of pairs have in common."""

from typing import Any

import numpy as np

from selfsup.encoder.bert import BertEncoder
from selfsup.tasks import text_family
from selfsup.tasks.classifier import SequenceClassifier
from selfsup.tasks.encoded_texts import EncodedTexts
from selfsup.tasks.given_labels import encode_labels
from selfsup.tasks.labelled_texts import LabelledTexts
from selfsup.tasks.labels import Kind, Labels
from selfsup.tasks.text_encoding import encode_texts
from selfsup.tasks.text_preparation import TextPreparation

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
