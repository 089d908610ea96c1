"""The images whose class a model was surest of, and wrong about."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from selfsup.report import numbers
from selfsup.report.markup import gallery, paragraph
from selfsup.report.mistakes import MOST, count_of_mistakes
from selfsup.report.pictures import read_picture, show_picture
from selfsup.report.run_folder import Record

_LONGEST = 96
_KEYS = {"image", "label", "prediction", "probabilities"}


def image_mistakes(records: Sequence[Record]) -> list[str]:
    """What is said of the mistakes, and the images; nothing of other tasks' predictions."""
    records = [record for record in records if record.keys() >= _KEYS]
    if not records:
        return []
    wrong = [record for record in records if record["label"] != record["prediction"]]
    wrong.sort(key=lambda record: -record["probabilities"][record["prediction"]])
    about = count_of_mistakes(len(wrong), len(records), "images", "are wrong", "the surest")
    cards = []
    lost = 0
    for record in wrong[:MOST]:
        picture = read_picture(Path(record["image"]), _LONGEST)
        lost += picture is None
        cards.append(_card(record, "" if picture is None else show_picture(picture, _name(record))))
    if lost:
        about += f" {lost} of these could not be read: the name stands in the place of the image."
    return [paragraph(about), gallery(cards)]


def _card(record: Record, picture: str) -> str:
    sure = numbers.percent(record["probabilities"][record["prediction"]])
    seen = f'<div class="seen">{picture or escape(_name(record))}</div>'
    taken = f"taken for {record['prediction']}"
    return f"{seen}<b>{escape(str(record['label']))}</b> {escape(taken)}<small>{sure}</small>"


def _name(record: Record) -> str:
    """The file's name, and that of the folder it lies in."""
    return "/".join(Path(record["image"]).parts[-2:])
