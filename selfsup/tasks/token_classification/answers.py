"""What the user should know of tagged sentences before a model learns from them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from selfsup.tasks.base import Prediction
from selfsup.tasks.classification.metrics import softmax
from selfsup.tasks.labels import Labels
from selfsup.tasks.notes import contradiction_notes, key_of, overlap_notes, repetition_notes, shown
from selfsup.tasks.token_classification.metrics import Entity, find_entities
from selfsup.tasks.token_classification.tag_scheme import TaggedText, TaggedTexts, read_tags
from selfsup.tasks.token_classification.windows import EncodedSentences

# A type with fewer entities is hardly learnt.
_FEWEST_ENTITIES = 8


def reading_notes(train: TaggedTexts, validation: TaggedTexts, labels: Labels) -> list[str]:
    """Types with few entities or none, repeated sentences, sentences in both files."""
    learnt, measured = count_entities(train), count_entities(validation)
    kinds = kinds_of(labels)
    notes = []
    rare = [f'"{kind}" ({learnt[kind]})' for kind in kinds if learnt[kind] < _FEWEST_ENTITIES]
    if rare:
        notes.append(
            f"{train.source}: types with fewer than {_FEWEST_ENTITIES} entities: {shown(rare)}"
        )
    absent = [f'"{kind}"' for kind in kinds if not measured[kind]]
    if absent:
        notes.append(f"{validation.source}: no entity of the type {shown(absent)}")
    keys = [keys_of(part) for part in (train, validation)]
    lines = [[sentence.line for sentence in part.sentences] for part in (train, validation)]
    for part, of_part, its_lines in zip((train, validation), keys, lines, strict=True):
        tags = [tuple(sentence.tags or ()) for sentence in part.sentences]
        notes += repetition_notes(part.source, of_part, its_lines)
        notes += contradiction_notes(part.source, of_part, tags, its_lines)
    return notes + overlap_notes(train.source, keys[0], validation.source, keys[1], lines[1])


def keys_of(examples: TaggedTexts) -> list[tuple[str, ...]]:
    """What tells each sentence from others."""
    return [key_of(*sentence.words) for sentence in examples.sentences]


def count_entities(examples: TaggedTexts) -> Counter[str]:
    """How many entities there are of each type, by whatever scheme."""
    names = sorted({tag for sentence in examples.sentences for tag in sentence.tags or ()})
    readings = dict(zip(names, read_tags(names), strict=True))
    return Counter(
        entity.kind
        for sentence in examples.sentences
        for entity in find_entities(readings[tag] for tag in sentence.tags or ())
    )


# Scores of token classification to tags and entities.
#
# Shapes: N sentences, R words in all of them (rows), C tags.


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
    """Scores, float [R, C], to answers.

    Returns:
        for each sentence ``{"entities": [{"text", "label", "start", "end", "probability"}],
        "words", "tags", "tag_probabilities"}``. ``start`` and ``end`` are places in the sentence's
        text in characters; an entity's probability is the mean of those of its tags.
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

    Where the right tags are known they are ``tags``, and what was predicted is ``prediction``.
    """
    for sentence, prediction in zip(examples.sentences, predictions, strict=True):
        record = {"text": sentence.text, **prediction}
        if sentence.tags is not None:
            record |= {"tags": list(sentence.tags), "prediction": prediction["tags"]}
        yield record


def tally(predictions: Sequence[Prediction], labels: Labels) -> dict[str, Any]:
    """How many entities of each type were found."""
    counts = Counter(
        entity["label"] for prediction in predictions for entity in prediction["entities"]
    )
    return {"entities": {kind: counts[kind] for kind in kinds_of(labels)}}


def kinds_of(labels: Labels) -> list[str]:
    """The types of entities that the tags tell, in the order of the alphabet."""
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
