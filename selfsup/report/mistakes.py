"""Examples that a fine-tuned model got wrong, the most confident errors first.

They come from the predictions on validation examples that a run keeps. The keys of a record tell
which task it belongs to.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple

from selfsup.report import formatting
from selfsup.report.markup import Passage, around, whole_passage
from selfsup.runs.reading import Record
from selfsup.tasks.question_answering.squad_metrics import question_scores
from selfsup.tasks.token_classification.metrics import Entity, find_entities
from selfsup.tasks.token_classification.tag_scheme import read_tags

_OUTSIDE = "O"


class TagMistake(NamedTuple):
    """An entity that was found but is not one, or that was missed.

    Attributes:
        passage: the entity, marked, with the words around it.
        given: its correct type, with the correct words if they differ; "O" if it is no entity.
        found: the predicted type; "O" if it was missed.
        probability: the mean probability of its words' tags.
    """

    passage: Passage
    given: str
    found: str
    probability: float


def tag_mistakes(records: Sequence[Record]) -> tuple[list[TagMistake], int]:
    """The mistakes in sentences with given and predicted tags, and the number of given entities."""
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
    """The start and end, in characters, of the text's words, given in their order."""
    spans, place = [], 0
    for word in words:
        place = text.index(word, place)
        spans.append((place, place + len(word)))
        place += len(word)
    return spans


MOST = 20
_ANSWER = 120  # characters of an answer that are shown
SUREST = "Surest and wrong"

Cells = tuple[Sequence[Passage], ...]


@dataclass(frozen=True)
class Mistakes:
    """A table of mistakes.

    Attributes:
        title: of the table.
        about: how many mistakes there are, and how they are sorted.
        head: the columns' names.
        rows: at most ``MOST``; a cell is a list of passages.
    """

    title: str
    about: str
    head: tuple[str, ...]
    rows: list[Cells]


def find_mistakes(records: Sequence[Record]) -> Mistakes | None:
    """The mistakes in a run's predictions of any task; None if the run keeps no predictions."""
    for keys, find in _KINDS:
        fitting = [record for record in records if keys <= record.keys()]
        if fitting:
            return find(fitting)
    return None


def _of_labels(records: Sequence[Record]) -> Mistakes:
    """One label per example: sorted by the probability of the predicted label."""
    wrong = [record for record in records if record["label"] != record["prediction"]]
    wrong.sort(key=lambda record: -record["probabilities"][record["prediction"]])
    return Mistakes(
        SUREST,
        count_of_mistakes(len(wrong), len(records), "examples", "are wrong", "the surest"),
        (*_text_heads(records), "Label", "Predicted", "Probability", "Of the label"),
        [
            (
                *_texts(record),
                [whole_passage(str(record["label"]))],
                [whole_passage(str(record["prediction"]))],
                _share(record["probabilities"][record["prediction"]]),
                _share(record["probabilities"].get(record["label"])),
            )
            for record in wrong[:MOST]
        ],
    )


def _of_several_labels(records: Sequence[Record]) -> Mistakes:
    """Several labels per example: sorted by the most probable wrong decision about one label."""
    wrong = []
    for record in records:
        decisions = [
            (p, name) if name in record["prediction"] else (1 - p, f"not {name}")
            for name, p in record["probabilities"].items()
            if (name in record["prediction"]) != (name in record["labels"])
        ]
        if decisions:
            wrong.append((*max(decisions), record))
    wrong.sort(key=lambda entry: -entry[0])
    return Mistakes(
        SUREST,
        count_of_mistakes(len(wrong), len(records), "examples", "have a wrong label", "the surest"),
        (*_text_heads(records), "Labels", "Predicted", "Surest and wrong", "Probability"),
        [
            (
                *_texts(record),
                [whole_passage(", ".join(record["labels"]) or "none")],
                [whole_passage(", ".join(record["prediction"]) or "none")],
                [whole_passage(decision)],
                _share(probability),
            )
            for probability, decision, record in wrong[:MOST]
        ],
    )


def _of_numbers(records: Sequence[Record]) -> Mistakes:
    """Numbers: sorted by the error, since a number has no probability."""
    far = sorted(records, key=lambda record: -abs(record["prediction"] - record["value"]))
    return Mistakes(
        "Farthest off",
        f"Of {len(records):,} numbers those farthest from the ones given.",
        (*_text_heads(records), "Given", "Predicted", "Off by"),
        [
            (
                *_texts(record),
                [whole_passage(f"{record['value']:.4g}")],
                [whole_passage(f"{record['prediction']:.4g}")],
                [whole_passage(f"{record['prediction'] - record['value']:+.4g}")],
            )
            for record in far[:MOST]
        ],
    )


def _of_answers(records: Sequence[Record]) -> Mistakes:
    """Answers that match none of those expected: sorted by probability × (1 − F1)."""
    may_be_unanswerable = any(not record["answers"] for record in records)
    wrong = []
    for record in records:
        exact, f1 = question_scores(
            record["answer"], record["answers"], may_be_unanswerable=may_be_unanswerable
        )
        if not exact:
            wrong.append((record["probability"] * (1 - f1), f1, record))
    wrong.sort(key=lambda entry: -entry[0])
    return Mistakes(
        SUREST,
        count_of_mistakes(
            len(wrong),
            len(records),
            "answers",
            "match none of those expected",
            "those that are sure and share few words with them",
        ),
        ("Question", "Expected", "Answered", "F1", "Probability"),
        [
            (
                [whole_passage(record["question"])],
                [whole_passage(text, _ANSWER) for text in dict.fromkeys(record["answers"])]
                or [whole_passage("no answer")],
                [whole_passage(record["answer"] or "no answer", _ANSWER)],
                _share(f1),
                _share(record["probability"]),
            )
            for _, f1, record in wrong[:MOST]
        ],
    )


def _of_tags(records: Sequence[Record]) -> Mistakes:
    """Entities made up, missed, or of wrong type or borders: sorted by their tags' probability."""
    wrong, entities = tag_mistakes(records)
    wrong.sort(key=lambda mistake: -mistake.probability)
    about = f"Mistakes about the {entities:,} entities: {len(wrong):,}"
    kinds = "missed, made up, or found with another type or other borders"
    return Mistakes(
        SUREST,
        f"{about}, {kinds}. The surest first; O is no entity." if wrong else f"{about}.",
        ("Text", "Type", "Found", "Probability"),
        [
            (
                [mistake.passage],
                [whole_passage(mistake.given, _ANSWER)],
                [whole_passage(mistake.found)],
                _share(mistake.probability),
            )
            for mistake in wrong[:MOST]
        ],
    )


# The first entry whose keys a record has applies to it.
_KINDS: tuple[tuple[set[str], Callable[[Sequence[Record]], Mistakes]], ...] = (
    ({"id", "question", "answers", "answer", "probability"}, _of_answers),
    ({"text", "words", "tags", "prediction", "tag_probabilities"}, _of_tags),
    ({"text", "labels", "prediction", "probabilities"}, _of_several_labels),
    ({"text", "label", "prediction", "probabilities"}, _of_labels),
    ({"text", "value", "prediction"}, _of_numbers),
)


def _text_heads(records: Sequence[Record]) -> tuple[str, ...]:
    return ("Text", "Second text") if "text_pair" in records[0] else ("Text",)


def _texts(record: Record) -> Cells:
    return tuple([whole_passage(record[key])] for key in ("text", "text_pair") if key in record)


def _share(value: float | None) -> list[Passage]:
    return [Passage(formatting.percent(value) if formatting.is_number(value) else "–")]


def count_of_mistakes(wrong: int, total: int, things: str, are_wrong: str, first: str) -> str:
    """A sentence on how many are wrong, and one on which of them are shown.

    Args:
        wrong: how many are wrong.
        total: how many there are.
        things: what is counted, in the plural.
        are_wrong: the verb, such as ``"are wrong"``.
        first: which of them come first.
    """
    if not wrong:
        return f"All {total:,} {things} are right."
    order = f"{MOST} of them, {first} first." if wrong > MOST else f"{first} first."
    return f"{wrong:,} of the {total:,} {things} {are_wrong}. {order[0].upper()}{order[1:]}"
