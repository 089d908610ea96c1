"""What a report shows of image classification: the surest wrong labels, beside their images."""

from collections.abc import Sequence

from selfsup.tasks.view import Record, Row, View, having, surest_first


def view(summary: Record, records: Sequence[Record]) -> View:
    """The images with a wrong label."""
    found = having(records, "image", "label", "prediction", "probabilities")
    wrong: list[tuple[float, Row]] = []
    for record in found:
        label, predicted = record["label"], record["prediction"]
        if label != predicted:
            sure = record["probabilities"][predicted]
            wrong.append((sure, (record["image"], str(label), str(predicted), sure)))
    mistakes = surest_first(wrong, (), len(found), "images", on_images=True) if found else None
    return View(mistakes, loss_unit="nats an image")
