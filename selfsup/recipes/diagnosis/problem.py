"""What the doctor finds."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from selfsup.errors import UserError


@dataclass(frozen=True)
class Problem:
    """Something that is wrong, and what to do about it."""

    what: str
    mend: str

    @classmethod
    def of(cls, error: UserError) -> "Problem":
        """From the one line of an error, whose last part is the mend."""
        what, _, mend = str(error).rpartition(": ")
        return cls(what, mend) if what else cls(mend, "")


def collect(problems: Iterable[Problem]) -> Iterator[Problem]:
    """The problems, and the error that ends them as the last one."""
    try:
        yield from problems
    except UserError as error:
        yield Problem.of(error)
