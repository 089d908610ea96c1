"""Classification of pairs of texts: one label each, several, or a number (BERT §4.1)."""

from collections.abc import Sequence

from selfsup.errors import UserError
from selfsup.tasks.base import Reading
from selfsup.tasks.classification.data import LabelledTexts, read_labelled_texts
from selfsup.tasks.classification.metrics import (
    chance,
    decode,
    details,
    metrics,
    records,
    selection_metric,
    tally,
)
from selfsup.tasks.classification.model import parameter_names
from selfsup.tasks.classification.task import (
    ARCHITECTURE,
    FAMILY,
    LABEL_KINDS,
    PIPELINE,
    POOLED,
    build_model,
    default_max_length,
    encode_examples,
    fit,
    reading_notes,
)
from selfsup.tasks.given_labels import learn_labels

__all__ = [
    "ARCHITECTURE",
    "FAMILY",
    "LABEL_KINDS",
    "NAME",
    "PIPELINE",
    "POOLED",
    "SEGMENTS",
    "build_model",
    "chance",
    "decode",
    "default_max_length",
    "details",
    "encode_examples",
    "examples_of",
    "fit",
    "learn_labels",
    "metrics",
    "parameter_names",
    "read_examples",
    "reading_notes",
    "records",
    "selection_metric",
    "tally",
]

NAME = "pair-classification"
SEGMENTS = 2


def read_examples(file: str, reading: Reading, *, labelled: bool) -> LabelledTexts:
    """Read pairs of texts, and labels if ``labelled``.

    Raises:
        UserError: the file or a column is missing, or a row lacks its text or its label.
    """
    return read_labelled_texts(file, reading.columns, labelled=labelled, paired=True)


def examples_of(texts: Sequence[str], text_pairs: Sequence[str] | None) -> LabelledTexts:
    """Pairs without labels.

    Raises:
        UserError: the second texts are missing.
    """
    if text_pairs is None:
        raise UserError(f"this model does {NAME}: give the second text with --text-pair")
    if len(text_pairs) != len(texts):
        raise ValueError(f"{len(texts)} first texts and {len(text_pairs)} second texts")
    return LabelledTexts("", list(range(1, len(texts) + 1)), list(texts), list(text_pairs))
