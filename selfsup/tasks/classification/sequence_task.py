"""Classification of single texts: one label each, several, or a number (BERT §4.1)."""

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
from selfsup.tasks.classification.model import SequenceClassifier, parameter_names
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
    "LabelledTexts",
    "SequenceClassifier",
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

NAME = "sequence-classification"
SEGMENTS = 1


def read_examples(file: str, reading: Reading, *, labelled: bool) -> LabelledTexts:
    """Read texts, and labels if ``labelled``.

    Raises:
        UserError: the file or a column is missing, or a row lacks its text or its label.
    """
    return read_labelled_texts(file, reading.columns, labelled=labelled, paired=False)


def examples_of(texts: Sequence[str], text_pairs: Sequence[str] | None) -> LabelledTexts:
    """Texts without labels.

    Raises:
        UserError: there are second texts.
    """
    if text_pairs is not None:
        raise UserError(f"--text-pair: this model does {NAME}, of one text: leave the flag out")
    return LabelledTexts("", list(range(1, len(texts) + 1)), list(texts))
