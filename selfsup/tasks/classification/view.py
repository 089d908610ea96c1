"""What a report shows of text classification: the surest wrong labels, or the farthest numbers."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

from selfsup.tasks.view import (
    MOST,
    Mistakes,
    Number,
    Record,
    Row,
    Share,
    View,
    of_kind,
    surest_first,
)


class _Texts(TypedDict):
    """The texts of an example."""

    text: str
    text_pair: NotRequired[str]


class _Several(_Texts):
    """An example with any number of labels."""

    labels: list[str]
    prediction: list[str]
    probabilities: dict[str, Share]


class _One(_Texts):
    """An example with one label."""

    label: str
    prediction: str
    probabilities: dict[str, Share]


class _Value(_Texts):
    """An example with a number."""

    value: Number
    prediction: Number


def view(summary: Record, records: Sequence[Record]) -> View:
    """One label, several, or a number for each text; the keys of the records tell which."""
    if found := of_kind(records, _Several):
        return View(_of_several_labels(found))
    if found := of_kind(records, _One):
        return View(_of_labels(found))
    found = of_kind(records, _Value)
    of_numbers = "spearman" in (summary.get("metrics") or {})
    return View(
        _of_numbers(found) if found else None,
        loss_unit="squared error, in standard deviations" if of_numbers else View.loss_unit,
        points=[(record["value"], record["prediction"]) for record in found],
    )


def _of_labels(records: Sequence[Record]) -> Mistakes:
    wrong: list[tuple[float, Row]] = []
    for record in records:
        label, predicted = record["label"], record["prediction"]
        if label != predicted:
            sure = record["probabilities"].get(predicted, 0.0)
            of_label = record["probabilities"].get(label)
            wrong.append((sure, (*_texts(record), str(label), str(predicted), sure, of_label)))
    head = (*_text_heads(records), "Label", "Predicted", "Probability", "Of the label")
    return surest_first(wrong, head, len(records))


def _of_several_labels(records: Sequence[Record]) -> Mistakes:
    """Sorted by the most probable wrong decision about one label."""
    wrong: list[tuple[float, Row]] = []
    for record in records:
        given, predicted = record["labels"], record["prediction"]
        decisions = [
            (p, name) if name in predicted else (1 - p, f"not {name}")
            for name, p in record["probabilities"].items()
            if (name in predicted) != (name in given)
        ]
        if decisions:
            sure, decision = max(decisions)
            both = (", ".join(given) or "none", ", ".join(predicted) or "none")
            wrong.append((sure, (*_texts(record), *both, decision, sure)))
    head = (*_text_heads(records), "Labels", "Predicted", "Surest and wrong", "Probability")
    return surest_first(wrong, head, len(records), are_wrong="have a wrong label")


def _of_numbers(records: Sequence[Record]) -> Mistakes:
    """Sorted by the error, since a number has no probability."""
    far = sorted(records, key=lambda record: -abs(record["prediction"] - record["value"]))
    rows: list[Row] = [
        (
            *_texts(record),
            f"{record['value']:.4g}",
            f"{record['prediction']:.4g}",
            f"{record['prediction'] - record['value']:+.4g}",
        )
        for record in far[:MOST]
    ]
    about = f"Of {len(records):,} numbers those farthest from the ones given."
    return Mistakes(
        about, (*_text_heads(records), "Given", "Predicted", "Off by"), rows, "Farthest off"
    )


def _text_heads(records: Sequence[Record]) -> tuple[str, ...]:
    return ("Text", "Second text") if "text_pair" in records[0] else ("Text",)


def _texts(record: Record) -> tuple[str, ...]:
    return tuple(record[key] for key in ("text", "text_pair") if key in record)
