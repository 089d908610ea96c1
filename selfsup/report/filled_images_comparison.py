"""The same held-out images as several runs fill them in and put them in order."""

from collections.abc import Callable, Sequence

from selfsup.report.filled_images import (
    error_of_reconstruction,
    picture_file,
    picture_records,
    shown_picture,
    tiles_right,
)
from selfsup.report.markup import caption, figure, picture_table
from selfsup.report.run_folder import Record, Run

_MOST_IMAGES = 4
# (column, key of the pictures)
_GIVEN_TO_FILL = (("Original", "original"), ("Left visible", "visible"))
_GIVEN_TO_ORDER = (("Tiles", "tiles"), ("Shuffled", "shuffled"))


def filled_images_side_by_side(runs: list[tuple[str, Run]]) -> list[str]:
    """A table of reconstructions and one of restored orders: an image a row, a run a column.

    Only runs that were given the very same puzzle stand beside each other: of the first such run
    and all that match it.
    """
    return [
        _side_by_side(runs, "Filled in", _GIVEN_TO_FILL, "reconstruction", error_of_reconstruction),
        _side_by_side(runs, "Put in order", _GIVEN_TO_ORDER, "restored", tiles_right),
    ]


def _side_by_side(
    runs: Sequence[tuple[str, Run]],
    title: str,
    given: Sequence[tuple[str, str]],
    answer: str,
    note: Callable[[Record], str],
) -> str:
    """A figure; nothing where fewer than two runs had the same puzzle.

    Args:
        runs: with their names.
        title: of the figure.
        given: what each image's runs were given, as (column, key of the pictures).
        answer: the key of the pictures that the runs made of it.
        note: what is said of each of these.
    """
    listed = [(name, run, picture_records(run)[:_MOST_IMAGES]) for name, run in runs]
    listed = [entry for entry in listed if any(answer in record for record in entry[2])]
    if not listed:
        return ""
    keys = [key for _, key in given]
    puzzle = _pixels(listed[0][1], listed[0][2], keys)
    listed = [entry for entry in listed if _pixels(entry[1], entry[2], keys) == puzzle]
    if len(listed) < 2:
        return ""
    rows = [
        [shown_picture(listed[0][1], listed[0][2][row], key, name) for name, key in given]
        + [
            shown_picture(run, records[row], answer, name, note(records[row]))
            for name, run, records in listed
        ]
        for row in range(len(listed[0][2]))
    ]
    head = [*(name for name, _ in given), *(name for name, _, _ in listed)]
    about = "with the mean squared error" if answer == "reconstruction" else ""
    return figure(caption(title, about), picture_table(head, rows))


def _pixels(run: Run, records: list[Record], keys: list[str]) -> list[bytes | None]:
    """The bytes of the pictures that a run was given."""
    return [_bytes(run, record, key) for record in records for key in keys]


def _bytes(run: Run, record: Record, key: str) -> bytes | None:
    file = picture_file(run, record, key)
    return file.read_bytes() if file is not None and file.is_file() else None
