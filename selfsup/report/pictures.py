"""What pre-training makes of images that it never saw, of one run and of several side by side.

A run writes these pictures, and a list of them, ``pictures.json``, to the folder ``pictures``.
"""

from collections.abc import Callable
from html import escape
from pathlib import Path

from selfsup.errors import UserError
from selfsup.report import formatting
from selfsup.report.markup import (
    figure,
    paragraph,
    picture_table,
    read_picture,
    show_picture,
)
from selfsup.report.training_curves import NamedRuns
from selfsup.runs.reading import Record, Run
from selfsup.structured_files import decode_json

_FOLDER, _CONTENTS = "pictures", "pictures.json"
_LONGEST = 256
_LARGEST_BYTES = 16 << 20  # of a picture, or of their list
_MOST_COMPARED = 4  # images
_ABOUT_INPAINTING = (
    "Inpainting sees what is left visible and fills in the rest. The numbers are mean squared "
    "errors of the missing pixels, which are between 0 and 1; in brackets, the error of filling "
    "them with the mean colour of what is visible."
)
_ABOUT_JIGSAW = (
    "Jigsaw gets the tiles in random order and assigns each a position; a red frame marks those "
    "in a wrong position."
)


def _error(record: Record) -> str:
    """The mean squared error of an image's reconstruction."""
    error = record.get("pixel_error")
    return f"{error:.4f}" if formatting.is_number(error) else ""


def _both_errors(record: Record) -> str:
    error, other = _error(record), record.get("mean_colour_error")
    return f"{error} (mean colour {other:.4f})" if error and formatting.is_number(other) else error


def _tiles_right(record: Record) -> str:
    right, tiles = record.get("tiles_right"), record.get("tile_count")
    known = formatting.is_number(right) and formatting.is_number(tiles)
    return f"{right} of {tiles} right" if known else ""


# (the column's name, the key of its pictures, the note below each)
_Column = tuple[str, str, Callable[[Record], str] | None]
_FILL: tuple[_Column, ...] = (
    ("Original", "original", None),
    ("Left visible", "visible", None),
    ("Filled in", "reconstruction", _both_errors),
)
_ORDER: tuple[_Column, ...] = (
    ("Tiles", "tiles", None),
    ("Shuffled", "shuffled", None),
    ("Put in order", "restored", _tiles_right),
)


def filled_images(run: Run) -> list[str]:
    """An explanation and a table of the pictures, one image per row; empty if there are none."""
    records = _listed(run)
    keys = {key for record in records for key in record}
    # Without inpainting there is no original, and the correct tiles are shown in its place.
    keys -= {"tiles"} if "original" in keys else set()
    columns = [column for column in (*_FILL, *_ORDER) if column[1] in keys]
    rows = [[_picture(run, record, *column) for column in columns] for record in records]
    if not any(any(row) for row in rows):
        return []
    about = [_ABOUT_INPAINTING] * ("visible" in keys) + [_ABOUT_JIGSAW] * ("shuffled" in keys)
    return [paragraph(" ".join(about)), picture_table([name for name, _, _ in columns], rows)]


def filled_images_comparison(runs: NamedRuns) -> list[str]:
    """A table of reconstructions and one of restored orders: a row per image, a column per run.

    Only runs that were given exactly the same pictures as the first such run are compared.
    """
    return [
        _comparison(runs, _FILL, _error, "with the mean squared error"),
        _comparison(runs, _ORDER, _tiles_right),
    ]


def _comparison(
    runs: NamedRuns, columns: tuple[_Column, ...], note: Callable[[Record], str], about: str = ""
) -> str:
    """A figure; empty if fewer than two runs were given the same pictures.

    The last column is what the runs made of the pictures in the others, with a note below each.
    """
    *given, (title, answer, _) = columns
    listed = [(name, run, _listed(run)[:_MOST_COMPARED]) for name, run in runs]
    listed = [entry for entry in listed if any(answer in record for record in entry[2])]

    def pixels(run: Run, records: list[Record]) -> list[bytes | None]:
        files = [_file(run, record, key) for record in records for _, key, _ in given]
        return [_content(file) if file else None for file in files]

    of_first = pixels(*listed[0][1:]) if listed else []
    listed = [entry for entry in listed if pixels(*entry[1:]) == of_first]
    if len(listed) < 2:
        return ""
    _, first, first_records = listed[0]
    rows = [
        [_picture(first, record, *column) for column in given]
        + [_picture(run, records[row], name, answer, note) for name, run, records in listed]
        for row, record in enumerate(first_records)
    ]
    head = [*(name for name, _, _ in given), *(name for name, _, _ in listed)]
    return figure(title, picture_table(head, rows), about)


def _listed(run: Run) -> list[Record]:
    """The entries of ``pictures.json``; none if it is missing or broken."""
    try:
        content = _content(run.folder / _FOLDER / _CONTENTS) or b""
        return decode_json(content, list[Record], _CONTENTS)
    except UserError:
        return []


def _file(run: Run, record: Record, key: str) -> Path | None:
    """The file of one of an image's pictures; None if it has no such picture."""
    name = record.get(key)
    if not isinstance(name, str):
        return None
    # The name alone, so that the list cannot refer to a file in another folder; nor can a link.
    file = run.folder / _FOLDER / Path(name).name
    return file if file.resolve().is_relative_to(run.folder.resolve()) else None


def _content(file: Path) -> bytes | None:
    """What a file holds; None if it is none that a run writes here."""
    try:
        is_usual = file.is_file() and file.stat().st_size <= _LARGEST_BYTES
        return file.read_bytes() if is_usual else None
    except OSError:
        return None


def _picture(
    run: Run, record: Record, name: str, key: str, note: Callable[[Record], str] | None
) -> str:
    """A picture in HTML with a note below it; empty if it cannot be read."""
    file = _file(run, record, key)
    picture = read_picture(file, _LONGEST) if file else None
    if picture is None:
        return ""
    below = note(record) if note else ""
    return show_picture(picture, name) + (f"<small>{escape(below)}</small>" if below else "")
