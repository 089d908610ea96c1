"""What the doctor finds in data and runs: facts to compare with expectations, and problems."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from selfsup.errors import UserError
from selfsup.tasks.notes import DataError


@dataclass(frozen=True)
class Problem:
    """Something that is wrong, and how to fix it."""

    what: str
    fix: str

    @classmethod
    def from_error(cls, error: UserError) -> "Problem":
        """Split an error's message; its part after the last colon says how to fix it."""
        what, _, fix = str(error).rpartition(": ")
        return cls(what, fix) if what else cls(fix, "")


@dataclass(frozen=True)
class Fact:
    """Something counted or detected: a number, a text, or a number for each of several names."""

    name: str
    value: Any


Finding = Problem | Fact


def collect(findings: Iterable[Finding]) -> Iterator[Finding]:
    """The findings; a ``UserError`` that ends them becomes the last one."""
    try:
        yield from findings
    except UserError as error:
        yield Problem.from_error(error)


def mistake_problems(mistakes: Iterable[UserError], records: str) -> Iterator[Problem]:
    """One problem for each kind of mistake: how many there are, and the first of them.

    Args:
        mistakes: in the order of the file.
        records: the name of the records, such as "rows", for mistakes of no known kind.
    """
    by_kind: defaultdict[str, list[UserError]] = defaultdict(list)
    for mistake in mistakes:
        known = isinstance(mistake, DataError)
        by_kind[mistake.kind if known else f"{records} that cannot be used"].append(mistake)
    for kind, alike in by_kind.items():
        first = Problem.from_error(alike[0])
        yield Problem(f"{kind}: {len(alike):,}; the first: {first.what}", first.fix)
