"""Classification of single texts: one label each, several, or a number (BERT §4.1)."""

from collections.abc import Sequence

from selfsup.errors import UserError
from selfsup.tasks.classification import (
    ARCHITECTURE,
    FAMILY,
    LABEL_KINDS,
    PIPELINE,
    POOLED,
    build_model,
    default_max_length,
    encode_examples,
    fit,
)
from selfsup.tasks.classification_answers import decode, records, tally
from selfsup.tasks.classification_metrics import chance, details, metrics, selection_metric
from selfsup.tasks.classification_notes import reading_notes
from selfsup.tasks.classifier import SequenceClassifier, parameter_names
from selfsup.tasks.given_labels import learn_labels
from selfsup.tasks.labelled_texts import LabelledTexts, read_labelled_texts
from selfsup.tasks.reading import Reading

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
