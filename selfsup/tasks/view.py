"""What a report shows of a task's models, as data that the report draws. No torch is needed.

Each task has a module ``view`` in its folder, with a function ``view(summary, records)`` of a
run's ``summary.json`` and of its predictions for the validation examples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

from msgspec import Meta

from selfsup.structured_files import fits

MOST = 20  # mistakes that are shown

Record = Mapping[str, Any]
Share = Annotated[float, Meta(ge=0, le=1)]
Number = Annotated[float, Meta(ge=-1e100, le=1e100)]


class Marked(NamedTuple):
    """The characters of a text from ``start`` up to ``end``, to be marked in it."""

    text: str
    start: int
    end: int


# A text, several short ones (answers), a part of a text, or a share. None: a share not known.
Cell = str | list[str] | Marked | float | None
Row = tuple[Any, ...]  # of cells


@dataclass(frozen=True)
class Mistakes:
    """The answers that are most wrong.

    Attributes:
        about: how many mistakes there are, and how they are sorted.
        head: the columns' names.
        rows: at most ``MOST``.
        title: of the section.
        on_images: a row is a file, its label, the one predicted and its probability; no head.
    """

    about: str
    head: tuple[str, ...]
    rows: list[Row]
    title: str = "Surest and wrong"
    on_images: bool = False


@dataclass(frozen=True)
class View:
    """What is particular to a task on the page of one of its runs.

    Attributes:
        mistakes: None if the run keeps no predictions.
        loss_unit: of the training loss.
        label: what the summary's ``classes`` and ``confusion`` are of.
        confusion: what the rows and columns of ``confusion`` are.
        points: (given, predicted) numbers.
        groups: scores of groups of examples, each a name, a count and shares.
        group_title: of their table.
        group_head: the names of its columns.
    """

    mistakes: Mistakes | None = None
    loss_unit: str = "nats an example"
    label: str = "label"
    confusion: str = "rows: true label, columns: predicted"
    points: Sequence[tuple[float, float]] = ()
    groups: Sequence[tuple[str, int, list[float]]] = ()
    group_title: str = ""
    group_head: tuple[str, ...] = ()


def of_kind(records: Sequence[Record], kind: Any) -> list[Record]:
    """The records that are of a type, such as a ``TypedDict``."""
    return [record for record in records if fits(record, kind)]


def surest_first(
    wrong: Sequence[tuple[float, Row]],
    head: tuple[str, ...],
    total: int,
    things: str = "examples",
    are_wrong: str = "are wrong",
    first: str = "the surest",
    on_images: bool = False,
) -> Mistakes:
    """Mistakes, each with how sure the model is of it, the surest first.

    The other arguments make a sentence on how many of the ``total`` answers they are: what is
    counted, the verb, and which come first.
    """
    about = f"All {total:,} {things} are right."
    if wrong:
        order = f"{MOST} of them, {first} first." if len(wrong) > MOST else f"{first} first."
        about = f"{len(wrong):,} of the {total:,} {things} {are_wrong}. "
        about += order[0].upper() + order[1:]
    rows = [row for _, row in sorted(wrong, key=lambda mistake: -mistake[0])]
    return Mistakes(about, head, rows[:MOST], on_images=on_images)
