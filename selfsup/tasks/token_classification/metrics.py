"""Entities in sequences of tags, and how well one set of them agrees with another.

Tags are read as ``seqeval`` reads them by default, and as CoNLL's own script did: leniently. An
``I-`` or ``E-`` that continues nothing begins an entity.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from selfsup.tasks.token_classification.tag_scheme import OUTSIDE, Tag, TaggedTexts, read_tags


class Entity(NamedTuple):
    """A run of words.

    Attributes:
        first, last: its first and its last word.
        kind: its type.
    """

    first: int
    last: int
    kind: str


def count_entities(examples: TaggedTexts) -> Counter[str]:
    """How many entities there are of each type, whatever the tagging scheme."""
    names = sorted({tag for sentence in examples.sentences for tag in sentence.tags or ()})
    readings = dict(zip(names, read_tags(names), strict=True))
    return Counter(
        entity.kind
        for sentence in examples.sentences
        for entity in find_entities(readings[tag] for tag in sentence.tags or ())
    )


def find_entities(tags: Iterable[Tag]) -> list[Entity]:
    """The entities in the tags of one sentence, in order."""
    entities: list[Entity] = []
    previous = OUTSIDE
    for place, tag in enumerate(tags):
        if tag.prefix != "O":
            if _begins(previous, tag):
                entities.append(Entity(place, place, tag.kind))
            else:
                entities[-1] = entities[-1]._replace(last=place)
        previous = tag
    return entities


def entity_metrics(
    truth: Sequence[Sequence[Entity]], predicted: Sequence[Sequence[Entity]]
) -> dict[str, float]:
    """Precision, recall and F1 over all entities of all sentences (micro averages).

    An entity is found if its type, its first and its last word are right. A ratio over nothing
    is 0.
    """
    right = sum(len(set(a) & set(b)) for a, b in zip(truth, predicted, strict=True))
    return _scores(right, sum(map(len, truth)), sum(map(len, predicted)))


def metrics_by_kind(
    truth: Sequence[Sequence[Entity]], predicted: Sequence[Sequence[Entity]]
) -> list[dict[str, Any]]:
    """``{"label", "precision", "recall", "f1", "examples"}`` for each type that occurs."""
    right = Counter(
        entity.kind for a, b in zip(truth, predicted, strict=True) for entity in set(a) & set(b)
    )
    true = Counter(entity.kind for entities in truth for entity in entities)
    said = Counter(entity.kind for entities in predicted for entity in entities)
    return [
        {"label": kind, **_scores(right[kind], true[kind], said[kind]), "examples": true[kind]}
        for kind in sorted(true | said)
    ]


def confusion_of_kinds(
    truth: Sequence[Sequence[Entity]],
    predicted: Sequence[Sequence[Entity]],
    kinds: Sequence[str],
    outside: str = "O",
) -> dict[str, Any]:
    """How often an entity of one type (a row) was taken for another (a column).

    Two entities are compared where both their borders agree; what stands alone is in the column
    (missed) or the row (made up) of ``outside``, which is the last.
    """
    names = [*kinds, outside]
    place = {kind: number for number, kind in enumerate(names)}
    matrix = [[0] * len(names) for _ in names]
    for a, b in zip(truth, predicted, strict=True):
        true = {entity[:2]: entity.kind for entity in a}
        said = {entity[:2]: entity.kind for entity in b}
        for borders in true.keys() | said.keys():
            row, column = true.get(borders, outside), said.get(borders, outside)
            matrix[place[row]][place[column]] += 1
    return {"labels": names, "matrix": matrix}


def _begins(previous: Tag, tag: Tag) -> bool:
    """Whether a tag inside an entity is the first one of it."""
    return tag.prefix in "BS" or previous.prefix in "OES" or previous.kind != tag.kind


def _scores(right: int, true: int, said: int) -> dict[str, float]:
    precision = right / said if said else 0.0
    recall = right / true if true else 0.0
    total = precision + recall
    f1 = 2 * precision * recall / total if total else 0.0
    return {"precision": precision, "recall": recall, "f1": f1}
