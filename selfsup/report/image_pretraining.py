"""What a report shows of pre-training on images: results, curves, and example pictures.

A run writes its pictures and a list of them, ``pictures.json``, to the folder ``pictures``. Runs
that were given the same pictures are compared side by side.
"""

import json
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

from selfsup.report import formatting
from selfsup.report.markup import (
    caption,
    figure,
    paragraph,
    picture_table,
    read_picture,
    show_picture,
)
from selfsup.report.training_curves import (
    NamedRuns,
)
from selfsup.runs.reading import Record, Run

_FOLDER, _CONTENTS = "pictures", "pictures.json"
_LONGEST = 256
_ABOUT_INPAINTING = (
    "Inpainting sees what is left visible and fills in the rest. The numbers are mean squared "
    "errors of the missing pixels, which are between 0 and 1; in brackets, the error of filling "
    "them with the mean colour of what is visible."
)
_ABOUT_JIGSAW = (
    "Jigsaw gets the tiles in random order and assigns each a position; a red frame marks those "
    "in a wrong position."
)


def filled_images(run: Run) -> list[str]:
    """An explanation and a table of the pictures, one image per row; empty if there are none."""
    records = picture_records(run)
    columns = [
        (name, key, note)
        for name, key, note in _COLUMNS
        if any(key in record for record in records)
        # Without inpainting there is no original, and the correct tiles are shown in its place.
        and not (key == "tiles" and any("original" in record for record in records))
    ]
    rows = [
        [picture_with_note(run, record, key, name, note(record)) for name, key, note in columns]
        for record in records
    ]
    if not any(any(row) for row in rows):
        return []
    keys = {key for _, key, _ in columns}
    about = [_ABOUT_INPAINTING] * ("visible" in keys) + [_ABOUT_JIGSAW] * ("shuffled" in keys)
    return [paragraph(" ".join(about)), picture_table([name for name, _, _ in columns], rows)]


def picture_records(run: Run) -> list[Record]:
    """The entries of ``pictures.json``; none if it is missing or broken."""
    try:
        records = json.loads((run.folder / _FOLDER / _CONTENTS).read_bytes())
    except (OSError, ValueError):
        return []
    if not isinstance(records, list):
        return []
    return [record for record in records if isinstance(record, dict)]


def picture_file(run: Run, record: Record, key: str) -> Path | None:
    """The file of one of an image's pictures; None if it has no such picture."""
    name = record.get(key)
    # The name alone, so that the list cannot refer to a file in another folder.
    return run.folder / _FOLDER / Path(name).name if isinstance(name, str) else None


def picture_with_note(run: Run, record: Record, key: str, name: str, note: str = "") -> str:
    """A picture in HTML with a note below it; empty if it cannot be read."""
    file = picture_file(run, record, key)
    picture = None if file is None else read_picture(file, _LONGEST)
    if picture is None:
        return ""
    return show_picture(picture, name) + (f"<small>{escape(note)}</small>" if note else "")


def reconstruction_error(record: Record) -> str:
    """The mean squared error of an image's reconstruction."""
    error = record.get("pixel_error")
    return f"{error:.4f}" if formatting.is_number(error) else ""


def _both_errors(record: Record) -> str:
    error, other = reconstruction_error(record), record.get("mean_colour_error")
    return f"{error} (mean colour {other:.4f})" if error and formatting.is_number(other) else error


def tiles_right(record: Record) -> str:
    """How many of an image's tiles are in their correct position."""
    right, tiles = record.get("tiles_right"), record.get("tile_count")
    if not (formatting.is_number(right) and formatting.is_number(tiles)):
        return ""
    return f"{right} of {tiles} right"


def _nothing(record: Record) -> str:
    return ""


# (the column's name, the key of its pictures, the note below each)
_COLUMNS: tuple[tuple[str, str, Callable[[Record], str]], ...] = (
    ("Original", "original", _nothing),
    ("Left visible", "visible", _nothing),
    ("Filled in", "reconstruction", _both_errors),
    ("Tiles", "tiles", _nothing),
    ("Shuffled", "shuffled", _nothing),
    ("Put in order", "restored", tiles_right),
)


_MOST_IMAGES = 4
# (column, key of the pictures)
_GIVEN_TO_FILL = (("Original", "original"), ("Left visible", "visible"))
_GIVEN_TO_ORDER = (("Tiles", "tiles"), ("Shuffled", "shuffled"))


def filled_images_comparison(runs: NamedRuns) -> list[str]:
    """A table of reconstructions and one of restored orders: a row per image, a column per run.

    Only runs that were given exactly the same pictures as the first such run are compared.
    """
    return [
        _comparison(runs, "Filled in", _GIVEN_TO_FILL, "reconstruction", reconstruction_error),
        _comparison(runs, "Put in order", _GIVEN_TO_ORDER, "restored", tiles_right),
    ]


def _comparison(
    runs: NamedRuns,
    title: str,
    given: Sequence[tuple[str, str]],
    answer: str,
    note: Callable[[Record], str],
) -> str:
    """A figure; empty if fewer than two runs were given the same pictures.

    Args:
        runs: with their names.
        title: of the figure.
        given: the pictures that the runs were given, as (column, key of the pictures).
        answer: the key of the pictures that the runs made from them.
        note: the text below each of these.
    """
    listed = [(name, run, picture_records(run)[:_MOST_IMAGES]) for name, run in runs]
    listed = [entry for entry in listed if any(answer in record for record in entry[2])]
    if not listed:
        return ""
    keys = [key for _, key in given]
    first = _pixels(listed[0][1], listed[0][2], keys)
    listed = [entry for entry in listed if _pixels(entry[1], entry[2], keys) == first]
    if len(listed) < 2:
        return ""
    rows = [
        [picture_with_note(listed[0][1], listed[0][2][row], key, name) for name, key in given]
        + [
            picture_with_note(run, records[row], answer, name, note(records[row]))
            for name, run, records in listed
        ]
        for row in range(len(listed[0][2]))
    ]
    head = [*(name for name, _ in given), *(name for name, _, _ in listed)]
    about = "with the mean squared error" if answer == "reconstruction" else ""
    return figure(caption(title, about), picture_table(head, rows))


def _pixels(run: Run, records: list[Record], keys: list[str]) -> list[bytes | None]:
    """The bytes of the pictures with these keys."""
    return [_bytes(run, record, key) for record in records for key in keys]


def _bytes(run: Run, record: Record, key: str) -> bytes | None:
    file = picture_file(run, record, key)
    return file.read_bytes() if file is not None and file.is_file() else None
