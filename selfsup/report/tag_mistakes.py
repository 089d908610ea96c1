"""Where the entities that were found in sentences are not those that are in them."""

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from selfsup.report.passage import Passage, around
from selfsup.report.run_folder import Record
from selfsup.tasks.entity_metrics import Entity, find_entities
from selfsup.tasks.tag_scheme import read_tags

_OUTSIDE = "O"


class TagMistake(NamedTuple):
    """An entity that was found and is none, or is one and was not found.

    Attributes:
        passage: it and the words around it.
        given: its right type, with its words where its borders are others; "O" for none.
        found: the type it was taken for; "O" for none.
        probability: the mean of those of its words' tags.
    """

    passage: Passage
    given: str
    found: str
    probability: float


def tag_mistakes(records: Sequence[Record]) -> tuple[list[TagMistake], int]:
    """The mistakes in sentences with right and predicted tags, and how many entities there are."""
    names = sorted({tag for record in records for tag in (*record["tags"], *record["prediction"])})
    readings = dict(zip(names, read_tags(names), strict=True))
    mistakes: list[TagMistake] = []
    entities = 0
    for record in records:
        right = find_entities(readings[tag] for tag in record["tags"])
        found = find_entities(readings[tag] for tag in record["prediction"])
        entities += len(right)
        if right != found:
            mistakes += _of_sentence(record, right, found)
    return mistakes, entities


def _of_sentence(record: Record, right: list[Entity], found: list[Entity]) -> list[TagMistake]:
    text, spans = record["text"], _word_spans(record["text"], record["words"])

    def mistake(entity: Entity, given: str, said: str) -> TagMistake:
        start, end = spans[entity.first][0], spans[entity.last][1]
        sure = fmean(record["tag_probabilities"][entity.first : entity.last + 1])
        return TagMistake(around(text, start, end), given, said, sure)

    mistakes = []
    for entity in found:
        if entity in right:
            continue
        meant = [
            other.kind
            if other[:2] == entity[:2]
            else f"{other.kind}: {text[spans[other.first][0] : spans[other.last][1]]}"
            for other in right
            if _overlap(entity, other)
        ]
        mistakes.append(mistake(entity, ", ".join(meant) or _OUTSIDE, entity.kind))
    mistakes += [
        mistake(entity, entity.kind, _OUTSIDE)
        for entity in right
        if not any(_overlap(entity, other) for other in found)
    ]
    return mistakes


def _overlap(a: Entity, b: Entity) -> bool:
    return a.first <= b.last and b.first <= a.last


def _word_spans(text: str, words: Sequence[str]) -> list[tuple[int, int]]:
    """Where words that follow each other in a text begin and end."""
    spans, place = [], 0
    for word in words:
        place = text.index(word, place)
        spans.append((place, place + len(word)))
        place += len(word)
    return spans
