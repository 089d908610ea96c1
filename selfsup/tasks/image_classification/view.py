"""What a report shows of image classification: the surest wrong labels, beside their images."""

from collections.abc import Sequence
from typing import TypedDict

from selfsup.tasks.view import Record, Row, Share, View, of_kind, surest_first


class _Image(TypedDict):
    """The image of an example and its label."""

    image: str
    label: str
    prediction: str
    probabilities: dict[str, Share]


def view(summary: Record, records: Sequence[Record]) -> View:
    """The images with a wrong label."""
    found = of_kind(records, _Image)
    wrong: list[tuple[float, Row]] = []
    for record in found:
        label, predicted = record["label"], record["prediction"]
        if label != predicted:
            sure = record["probabilities"].get(predicted, 0.0)
            wrong.append((sure, (record["image"], str(label), str(predicted), sure)))
    mistakes = surest_first(wrong, (), len(found), "images", on_images=True) if found else None
    return View(mistakes, loss_unit="nats an image")
