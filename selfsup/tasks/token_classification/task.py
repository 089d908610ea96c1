"""Token classification: each word has one tag, and tags make entities (BERT §5.3).

Shapes: N sentences, R words in all of them (rows), C tags.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from selfsup.encoder.bert import BertEncoder
from selfsup.errors import UserError
from selfsup.tasks import text_encoder as text_family
from selfsup.tasks.base import Reading
from selfsup.tasks.labels import Kind, Labels, unknown
from selfsup.tasks.text_encoder import TextPreparation
from selfsup.tasks.token_classification.answers import (
    decode,
    entities_of,
    kinds_of,
    reading_notes,
    records,
    tally,
)
from selfsup.tasks.token_classification.files import of_text, read_tagged_file
from selfsup.tasks.token_classification.metrics import (
    confusion_of_kinds,
    entity_metrics,
    metrics_by_kind,
)
from selfsup.tasks.token_classification.model import TokenClassifier, parameter_names
from selfsup.tasks.token_classification.tag_scheme import TaggedTexts, complete_tags, find_scheme
from selfsup.tasks.token_classification.windows import EncodedSentences, encode_words

__all__ = [
    "ARCHITECTURE",
    "FAMILY",
    "LABEL_KINDS",
    "NAME",
    "PIPELINE",
    "POOLED",
    "SEGMENTS",
    "TokenClassifier",
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

NAME = "token-classification"
SEGMENTS = 1
ARCHITECTURE = "BertForTokenClassification"
LABEL_KINDS: tuple[Kind, ...] = ("tag",)
FAMILY = text_family
POOLED = False
PIPELINE = "token-classification"

# More than these, and hardly a repetition, are something else.
_MANY_TAGS = 50


def default_max_length() -> int:
    """Most tokens of a window where the user does not say."""
    return 128


def read_examples(file: str, reading: Reading, *, labelled: bool) -> TaggedTexts:
    """Read sentences, and their tags if ``labelled``.

    Raises:
        UserError: the file cannot be read, or a line of it; the message names the line.
    """
    return read_tagged_file(file, reading.columns, labelled=labelled)


def examples_of(texts: Sequence[str], text_pairs: Sequence[str] | None) -> TaggedTexts:
    """Texts without tags, their words found.

    Raises:
        UserError: there are second texts.
    """
    if text_pairs is not None:
        raise UserError(f"--text-pair: this model does {NAME}, of one text: leave the flag out")
    return TaggedTexts("", [of_text(text, line) for line, text in enumerate(texts, 1)])


def learn_labels(examples: TaggedTexts, label_type: Kind | None) -> Labels:
    """The tags that occur, and those that their scheme has beside them.

    Raises:
        UserError: all words have the same tag, or nearly each one has its own.
    """
    tags = {tag for sentence in examples.sentences for tag in sentence.tags or ()}
    if len(tags) < 2:
        raise UserError(
            f"{examples.source}: all words are tagged {next(iter(tags), 'O')!r}: there is nothing "
            "to learn; give sentences with entities"
        )
    words = sum(len(sentence.spans) for sentence in examples.sentences)
    if len(tags) > max(_MANY_TAGS, words / 10):
        raise UserError(
            f"{examples.source}: {len(tags):,} different tags of {words:,} words: these are no "
            "tags; give a file with a word and its tag a line"
        )
    return Labels("tag", complete_tags(tags, find_scheme(examples.source, examples.sentences)))


def encode_examples(
    examples: TaggedTexts, labels: Labels, preparation: TextPreparation
) -> EncodedSentences:
    """Words to token ids, tags to their numbers.

    Raises:
        UserError: a tag is none of ``labels``; the message names its line.
    """
    return encode_words(
        preparation.tokenizer,
        [sentence.words for sentence in examples.sentences],
        _tag_numbers(examples, labels.names),
        preparation.limits.max_length,
        preparation.limits.doc_stride,
        examples.source,
    )


def build_model(encoder: BertEncoder, labels: Labels, dropout: float) -> TokenClassifier:
    """The encoder under a new head."""
    return TokenClassifier(encoder, len(labels), dropout)


def selection_metric(labels: Labels) -> str:
    """The metric that the best epoch and seed are chosen by."""
    return "f1"


def chance(encoded: EncodedSentences, examples: TaggedTexts, labels: Labels) -> float:
    """The F1 of finding no entities."""
    return 0.0


def fit(
    scores: np.ndarray, encoded: EncodedSentences, examples: TaggedTexts, labels: Labels
) -> Labels:
    """Nothing is fitted on validation examples: the labels as they are."""
    return labels


def metrics(
    scores: np.ndarray, encoded: EncodedSentences, examples: TaggedTexts, labels: Labels
) -> dict[str, float]:
    """How good the scores are, float [R, C], against the tags of ``encoded``.

    ``f1``, ``precision`` and ``recall`` are of entities, as ``seqeval`` counts BIO and BIOES;
    ``accuracy`` is of words; ``loss`` is the mean cross-entropy of words in nats.
    """
    given, best = encoded.windows.labels, scores.argmax(axis=1)
    found = entity_metrics(entities_of(given, encoded, labels), entities_of(best, encoded, labels))
    loss = F.cross_entropy(torch.from_numpy(scores), torch.from_numpy(given))
    return {
        "f1": found["f1"],
        "precision": found["precision"],
        "recall": found["recall"],
        "accuracy": float((best == given).mean()),
        "loss": float(loss),
    }


def details(
    scores: np.ndarray, encoded: EncodedSentences, examples: TaggedTexts, labels: Labels
) -> dict[str, Any]:
    """Each type's precision, recall and F1, and which type was taken for which.

    Returns:
        ``classes``: a list of ``{"label", "precision", "recall", "f1", "examples"}``;
        ``confusion``: ``{"labels", "matrix"}``, right types in rows, answers in columns; see
        ``confusion_of_kinds``.
    """
    truth = entities_of(encoded.windows.labels, encoded, labels)
    predicted = entities_of(scores.argmax(axis=1), encoded, labels)
    return {
        "confusion": confusion_of_kinds(truth, predicted, kinds_of(labels)),
        "classes": metrics_by_kind(truth, predicted),
    }


def _tag_numbers(examples: TaggedTexts, names: Sequence[str]) -> np.ndarray | None:
    """The place of each word's tag in ``names``, int64 [R]; None where tags are unknown."""
    if any(sentence.tags is None for sentence in examples.sentences):
        return None
    places = {name: place for place, name in enumerate(names)}
    numbers = []
    for sentence in examples.sentences:
        for tag, line in zip(sentence.tags or (), sentence.word_lines, strict=True):
            if tag not in places:
                what = f"{examples.source}, line {line}: tag {tag!r}"
                raise unknown(what, names, "mend it, or train with examples of it")
            numbers.append(places[tag])
    return np.asarray(numbers, np.int64)
