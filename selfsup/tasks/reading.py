"""How a labelled file or folder is to be read."""

from dataclasses import dataclass, field

from selfsup.tasks.columns import Columns


@dataclass(frozen=True)
class Reading:
    """What the user says of how to read it.

    Attributes:
        columns: of a file's rows.
        max_bad_fraction: the part of a folder's images that may be unreadable; these are left out.
            A row that cannot be read always ends the reading.
    """

    columns: Columns = field(default_factory=Columns)
    max_bad_fraction: float = 1.0
