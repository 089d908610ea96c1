"""The pictures that pre-training on images leaves in its run folder."""

import json
from collections.abc import Callable
from html import escape
from pathlib import Path

from selfsup.report import numbers
from selfsup.report.markup import paragraph, picture_table
from selfsup.report.pictures import read_picture, show_picture
from selfsup.report.run_folder import Record, Run

_FOLDER, _CONTENTS = "pictures", "pictures.json"
_LONGEST = 256
_ABOUT_INPAINTING = (
    "Inpainting sees what is left visible and fills in the rest; the numbers are mean squared "
    "errors of the missing pixels, from 0 to 1, in brackets those of the mean colour of what is "
    "visible."
)
_ABOUT_JIGSAW = (
    "Jigsaw gets the tiles in random order and gives each a place of its own; a red frame is "
    "around those in a wrong one."
)


def filled_images(run: Run) -> list[str]:
    """What is said of the pictures, and a table of them, one image a row; nothing without them."""
    records = picture_records(run)
    columns = [
        (name, key, note)
        for name, key, note in _COLUMNS
        if any(key in record for record in records)
        # Images that are only put in order are shown as the tiles they should become.
        and not (key == "tiles" and any("original" in record for record in records))
    ]
    rows = [
        [shown_picture(run, record, key, name, note(record)) for name, key, note in columns]
        for record in records
    ]
    if not any(any(row) for row in rows):
        return []
    keys = {key for _, key, _ in columns}
    about = [_ABOUT_INPAINTING] * ("visible" in keys) + [_ABOUT_JIGSAW] * ("shuffled" in keys)
    return [paragraph(" ".join(about)), picture_table([name for name, _, _ in columns], rows)]


def picture_records(run: Run) -> list[Record]:
    """What ``pictures.json`` lists, nothing where there is none or it is broken."""
    try:
        records = json.loads((run.folder / _FOLDER / _CONTENTS).read_bytes())
    except (OSError, ValueError):
        return []
    if not isinstance(records, list):
        return []
    return [record for record in records if isinstance(record, dict)]


def picture_file(run: Run, record: Record, key: str) -> Path | None:
    """The file of one of an image's pictures."""
    name = record.get(key)
    # Only what lies in that folder, whatever the list says.
    return run.folder / _FOLDER / Path(name).name if isinstance(name, str) else None


def shown_picture(run: Run, record: Record, key: str, name: str, note: str = "") -> str:
    """A picture in HTML with a note below it, nothing where it cannot be read."""
    file = picture_file(run, record, key)
    picture = None if file is None else read_picture(file, _LONGEST)
    if picture is None:
        return ""
    return show_picture(picture, name) + (f"<small>{escape(note)}</small>" if note else "")


def error_of_reconstruction(record: Record) -> str:
    """The error of an image's reconstruction."""
    error = record.get("pixel_error")
    return f"{error:.4f}" if numbers.is_number(error) else ""


def _both_errors(record: Record) -> str:
    error, other = error_of_reconstruction(record), record.get("mean_colour_error")
    return f"{error} (mean colour {other:.4f})" if error and numbers.is_number(other) else error


def tiles_right(record: Record) -> str:
    """How many of an image's tiles were put right."""
    right, tiles = record.get("tiles_right"), record.get("tile_count")
    if not (numbers.is_number(right) and numbers.is_number(tiles)):
        return ""
    return f"{right} of {tiles} right"


def _nothing(record: Record) -> str:
    return ""


# (the column's name, the key of its pictures, what is said of each)
_COLUMNS: tuple[tuple[str, str, Callable[[Record], str]], ...] = (
    ("Original", "original", _nothing),
    ("Left visible", "visible", _nothing),
    ("Filled in", "reconstruction", _both_errors),
    ("Tiles", "tiles", _nothing),
    ("Shuffled", "shuffled", _nothing),
    ("Put in order", "restored", tiles_right),
)
