"""What a report shows of tagging: entities made up, missed, or of wrong type or borders."""

from collections.abc import Sequence
from statistics import fmean
from typing import TypedDict

from selfsup.tasks.token_classification.metrics import Entity, find_entities
from selfsup.tasks.token_classification.tag_scheme import read_tags
from selfsup.tasks.view import MOST, Marked, Mistakes, Record, Row, Share, View, of_kind

_OUTSIDE = "O"


class _Sentence(TypedDict):
    """A sentence; of each word the tag, the one predicted, and its probability."""

    text: str
    words: list[str]
    tags: list[str]
    prediction: list[str]
    tag_probabilities: list[Share]


def view(summary: Record, records: Sequence[Record]) -> View:
    """Mistakes are sorted by the mean probability of their words' tags."""
    found = [record for record in of_kind(records, _Sentence) if _is_consistent(record)]
    return View(
        _mistakes(found) if found else None,
        loss_unit="nats a word",
        label="type",
        confusion="rows: true type, columns: found; O: nothing with just these borders",
    )


def _is_consistent(record: Record) -> bool:
    """Whether the words are in the text, and all lists are of the same length."""
    lists = (record[name] for name in ("words", "tags", "prediction", "tag_probabilities"))
    spans = _word_spans(record["text"], record["words"])
    return len(set(map(len, lists))) == 1 and spans is not None


def _mistakes(records: Sequence[Record]) -> Mistakes:
    names = sorted({tag for record in records for tag in (*record["tags"], *record["prediction"])})
    readings = dict(zip(names, read_tags(names), strict=True))
    wrong: list[tuple[float, Row]] = []
    entities = 0
    for record in records:
        right = find_entities(readings[tag] for tag in record["tags"])
        found = find_entities(readings[tag] for tag in record["prediction"])
        entities += len(right)
        if right != found:
            wrong += _of_sentence(record, right, found)
    wrong.sort(key=lambda mistake: -mistake[0])
    about = f"Mistakes about the {entities:,} entities: {len(wrong):,}"
    kinds = "missed, made up, or found with another type or other borders"
    return Mistakes(
        f"{about}, {kinds}. The surest first; O is no entity." if wrong else f"{about}.",
        ("Text", "Type", "Found", "Probability"),
        [row for _, row in wrong[:MOST]],
    )


def _of_sentence(
    record: Record, right: list[Entity], found: list[Entity]
) -> list[tuple[float, Row]]:
    """(mean probability, (the entity in its text, its correct type, the type found, the mean)).

    The correct type comes with its words where the borders differ.
    """
    text, spans = record["text"], _word_spans(record["text"], record["words"])
    assert spans is not None

    def mistake(entity: Entity, given: str, said: str) -> tuple[float, Row]:
        sure = fmean(record["tag_probabilities"][entity.first : entity.last + 1])
        marked = Marked(text, spans[entity.first][0], spans[entity.last][1])
        return sure, (marked, [given], said, sure)

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


def _word_spans(text: str, words: Sequence[str]) -> list[tuple[int, int]] | None:
    """The start and end, in characters, of the text's words; None if one is not there."""
    spans, start = [], 0
    for word in words:
        start = text.find(word, start)
        if start < 0:
            return None
        spans.append((start, start + len(word)))
        start += len(word)
    return spans
