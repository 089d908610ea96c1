"""The answers that a model was surest of, and that are wrong, among those that a run keeps."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from selfsup.report import numbers
from selfsup.report.passage import Passage, whole
from selfsup.report.run_folder import Record
from selfsup.report.tag_mistakes import tag_mistakes
from selfsup.tasks.squad_metrics import question_scores

MOST = 20
_ANSWER = 120  # characters of an answer that are shown
SUREST = "Surest and wrong"

Cells = tuple[Sequence[Passage], ...]


@dataclass(frozen=True)
class Mistakes:
    """What a table of mistakes holds.

    Attributes:
        title: of the table.
        about: how many there are, and which come first.
        head: the columns' names.
        rows: at most ``MOST``; a cell is a list of passages.
    """

    title: str
    about: str
    head: tuple[str, ...]
    rows: list[Cells]


def find_mistakes(records: Sequence[Record]) -> Mistakes | None:
    """The mistakes in a run's predictions, whatever its task; None where it keeps none."""
    for keys, find in _KINDS:
        fitting = [record for record in records if keys <= record.keys()]
        if fitting:
            return find(fitting)
    return None


def _of_labels(records: Sequence[Record]) -> Mistakes:
    """One label each: by the probability of the label that was predicted."""
    wrong = [record for record in records if record["label"] != record["prediction"]]
    wrong.sort(key=lambda record: -record["probabilities"][record["prediction"]])
    return Mistakes(
        SUREST,
        count_of_mistakes(len(wrong), len(records), "examples", "are wrong", "the surest"),
        (*_text_heads(records), "Label", "Predicted", "Probability", "Of the label"),
        [
            (
                *_texts(record),
                [whole(str(record["label"]))],
                [whole(str(record["prediction"]))],
                _share(record["probabilities"][record["prediction"]]),
                _share(record["probabilities"].get(record["label"])),
            )
            for record in wrong[:MOST]
        ],
    )


def _of_several_labels(records: Sequence[Record]) -> Mistakes:
    """Several labels: by the probability of the wrongest decision on one of them."""
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
                [whole(", ".join(record["labels"]) or "none")],
                [whole(", ".join(record["prediction"]) or "none")],
                [whole(decision)],
                _share(probability),
            )
            for probability, decision, record in wrong[:MOST]
        ],
    )


def _of_numbers(records: Sequence[Record]) -> Mistakes:
    """Numbers: by how far off they are; a number has no probability."""
    far = sorted(records, key=lambda record: -abs(record["prediction"] - record["value"]))
    return Mistakes(
        "Farthest off",
        f"Of {len(records):,} numbers those farthest from the ones given.",
        (*_text_heads(records), "Given", "Predicted", "Off by"),
        [
            (
                *_texts(record),
                [whole(f"{record['value']:.4g}")],
                [whole(f"{record['prediction']:.4g}")],
                [whole(f"{record['prediction'] - record['value']:+.4g}")],
            )
            for record in far[:MOST]
        ],
    )


def _of_answers(records: Sequence[Record]) -> Mistakes:
    """Answers that match none of those expected: by probability, times what F1 lacks."""
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
                [whole(record["question"])],
                [whole(text, _ANSWER) for text in dict.fromkeys(record["answers"])]
                or [whole("no answer")],
                [whole(record["answer"] or "no answer", _ANSWER)],
                _share(f1),
                _share(record["probability"]),
            )
            for _, f1, record in wrong[:MOST]
        ],
    )


def _of_tags(records: Sequence[Record]) -> Mistakes:
    """Entities made up, of a wrong type or borders, or missed: by their tags' probability."""
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
                [whole(mistake.given, _ANSWER)],
                [whole(mistake.found)],
                _share(mistake.probability),
            )
            for mistake in wrong[:MOST]
        ],
    )


# The first whose keys a record has is its kind.
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
    return tuple([whole(record[key])] for key in ("text", "text_pair") if key in record)


def _share(value: float | None) -> list[Passage]:
    return [Passage(numbers.percent(value) if numbers.is_number(value) else "–")]


def count_of_mistakes(wrong: int, total: int, things: str, are_wrong: str, first: str) -> str:
    """A sentence on how many are wrong and one on which are shown.

    Args:
        wrong: how many.
        total: of how many.
        things: what they are, in the plural.
        are_wrong: what is the matter with them, such as ``"are wrong"``.
        first: which come first.
    """
    if not wrong:
        return f"All {total:,} {things} are right."
    order = f"{MOST} of them, {first} first." if wrong > MOST else f"{first} first."
    return f"{wrong:,} of the {total:,} {things} {are_wrong}. {order[0].upper()}{order[1:]}"
