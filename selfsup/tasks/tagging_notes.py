"""What the user should know of tagged sentences before a model learns from them."""

from collections import Counter

from selfsup.tasks.entity_metrics import find_entities
from selfsup.tasks.labels import Labels
from selfsup.tasks.reading_notes import (
    contradiction_notes,
    key_of,
    overlap_notes,
    repetition_notes,
    shown,
)
from selfsup.tasks.tag_scheme import read_tags
from selfsup.tasks.tagged_text import TaggedTexts
from selfsup.tasks.tagging_answers import kinds_of

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
