"""Scores → tags and entities, and how good these are.

Shapes: N sentences, R words in all of them (rows), C tags.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from selfsup.tasks.base import Prediction
from selfsup.tasks.classification.metrics import softmax
from selfsup.tasks.labels import Labels
from selfsup.tasks.notes import key_of
from selfsup.tasks.token_classification.metrics import (
    Entity,
    confusion_of_kinds,
    entity_metrics,
    find_entities,
    metrics_by_kind,
)
from selfsup.tasks.token_classification.tag_scheme import TaggedText, TaggedTexts, read_tags
from selfsup.tasks.token_classification.windows import EncodedSentences


def keys_of(examples: TaggedTexts) -> list[tuple[str, ...]]:
    """The key of each sentence: equal for sentences of the same words."""
    return [key_of(*sentence.words) for sentence in examples.sentences]


def count_entities(examples: TaggedTexts) -> Counter[str]:
    """How many entities there are of each type, whatever the tagging scheme."""
    names = sorted({tag for sentence in examples.sentences for tag in sentence.tags or ()})
    readings = dict(zip(names, read_tags(names), strict=True))
    return Counter(
        entity.kind
        for sentence in examples.sentences
        for entity in find_entities(readings[tag] for tag in sentence.tags or ())
    )


def entities_of(tags: np.ndarray, encoded: EncodedSentences, labels: Labels) -> list[list[Entity]]:
    """The entities in each sentence's tags, int64 [R], read leniently."""
    readings = read_tags(labels.names)
    ends = np.cumsum(encoded.word_counts)
    return [
        find_entities(readings[tag] for tag in part.tolist()) for part in np.split(tags, ends[:-1])
    ]


def decode(
    scores: np.ndarray, encoded: EncodedSentences, examples: TaggedTexts, labels: Labels
) -> list[Prediction]:
    """Turn scores, float [R, C], into answers.

    Returns:
        for each sentence ``{"entities": [{"text", "label", "start", "end", "probability"}],
        "words", "tags", "tag_probabilities"}``. ``start`` and ``end`` count characters of the
        sentence's text; an entity's probability is the mean over its tags.
    """
    best = scores.argmax(axis=1)
    of_best = softmax(scores.astype(np.float64))[np.arange(len(scores)), best]
    first_words = np.cumsum(encoded.word_counts) - encoded.word_counts
    found = entities_of(best, encoded, labels)
    answers = []
    for sentence, first, entities in zip(examples.sentences, first_words, found, strict=True):
        words = slice(first, first + len(sentence.spans))
        answers.append(
            {
                "entities": [_answer(sentence, entity, of_best[words]) for entity in entities],
                "words": sentence.words,
                "tags": [labels.names[tag] for tag in best[words].tolist()],
                "tag_probabilities": of_best[words].tolist(),
            }
        )
    return answers


def records(examples: TaggedTexts, predictions: Sequence[Prediction]) -> Iterator[dict[str, Any]]:
    """Lines of a predictions file, in the order of the examples.

    With known tags, the line has them as ``tags``, and the predicted ones as ``prediction``.
    """
    for sentence, prediction in zip(examples.sentences, predictions, strict=True):
        record = {"text": sentence.text, **prediction}
        if sentence.tags is not None:
            record |= {"tags": list(sentence.tags), "prediction": prediction["tags"]}
        yield record


def count_predictions(predictions: Sequence[Prediction], labels: Labels) -> dict[str, Any]:
    """How many entities of each type were predicted."""
    counts = Counter(
        entity["label"] for prediction in predictions for entity in prediction["entities"]
    )
    return {"entities": {kind: counts[kind] for kind in kinds_of(labels)}}


def measure(scores: np.ndarray, encoded: EncodedSentences, labels: Labels) -> dict[str, float]:
    """The metrics of scores, float [R, C].

    ``f1``, ``precision`` and ``recall`` are of entities, as ``seqeval`` counts BIO and BIOES;
    ``accuracy`` is of words; ``loss`` is the mean cross-entropy of words in nats.
    """
    true, best = encoded.windows.labels, scores.argmax(axis=1)
    found = entity_metrics(entities_of(true, encoded, labels), entities_of(best, encoded, labels))
    loss = F.cross_entropy(torch.from_numpy(scores), torch.from_numpy(true))
    return {
        "f1": found["f1"],
        "precision": found["precision"],
        "recall": found["recall"],
        "accuracy": float((best == true).mean()),
        "loss": float(loss),
    }


def details(scores: np.ndarray, encoded: EncodedSentences, labels: Labels) -> dict[str, Any]:
    """Each type's precision, recall and F1, and the confusion of the types.

    Returns:
        ``classes``: a list of ``{"label", "precision", "recall", "f1", "examples"}``;
        ``confusion``: ``{"labels", "matrix"}``, true types in rows, predicted ones in columns; see
        ``confusion_of_kinds``.
    """
    truth = entities_of(encoded.windows.labels, encoded, labels)
    predicted = entities_of(scores.argmax(axis=1), encoded, labels)
    return {
        "confusion": confusion_of_kinds(truth, predicted, kinds_of(labels)),
        "classes": metrics_by_kind(truth, predicted),
    }


def kinds_of(labels: Labels) -> list[str]:
    """The types of entities among the tags, in alphabetical order."""
    return sorted({tag.kind for tag in read_tags(labels.names) if tag.prefix != "O"})


def _answer(sentence: TaggedText, entity: Entity, probabilities: np.ndarray) -> dict[str, Any]:
    start, end = sentence.spans[entity.first][0], sentence.spans[entity.last][1]
    return {
        "text": sentence.text[start:end],
        "label": entity.kind,
        "start": start,
        "end": end,
        "probability": float(probabilities[entity.first : entity.last + 1].mean()),
    }
