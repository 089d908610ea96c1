"""What the user should know of tagged sentences before a model learns from them."""

from collections import Counter

from selfsup.tasks.entity_metrics import find_entities
from selfsup.tasks.labels import Labels
from selfsup.tasks.tag_scheme import read_tags
from selfsup.tasks.tagged_text import TaggedTexts
from selfsup.tasks.tagging_answers import kinds_of

# Fewer entities of a type than this are hardly enough to learn it.
_FEW = 10


def reading_notes(train: TaggedTexts, validation: TaggedTexts, labels: Labels) -> list[str]:
    """Types with few entities or none, repeated sentences, sentences in both files."""
    learnt, measured = _count_entities(train), _count_entities(validation)
    kinds = kinds_of(labels)
    notes = []
    few = [f"{kind} ({learnt[kind]})" for kind in kinds if learnt[kind] < _FEW]
    if few:
        notes.append(f"{train.source}: few entities to learn from: {', '.join(few)}")
    absent = [kind for kind in kinds if not measured[kind]]
    if absent:
        notes.append(f"{validation.source}: no entity to measure by: {', '.join(absent)}")
    seen = Counter(tuple(sentence.words) for sentence in train.sentences)
    repeated = len(train) - len(seen)
    if repeated:
        notes.append(
            f"{train.source}: {repeated:,} of {len(train):,} sentences are repetitions of others"
        )
    in_both = sum(tuple(sentence.words) in seen for sentence in validation.sentences)
    if in_both:
        notes.append(
            f"{validation.source}: {in_both:,} of {len(validation):,} sentences are also in "
            f"{train.source}, which makes the measurement too kind"
        )
    return notes


def _count_entities(examples: TaggedTexts) -> Counter[str]:
    names = sorted({tag for sentence in examples.sentences for tag in sentence.tags or ()})
    readings = dict(zip(names, read_tags(names), strict=True))
    return Counter(
        entity.kind
        for sentence in examples.sentences
        for entity in find_entities(readings[tag] for tag in sentence.tags or ())
    )
