"""What the doctor finds: facts to compare with what should be there, and problems."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from selfsup.errors import UserError
from selfsup.tasks.notes import DataError


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


@dataclass(frozen=True)
class Fact:
    """Something counted or guessed: a number, a text, or a number for each of some names."""

    name: str
    value: Any


Finding = Problem | Fact


def collect(findings: Iterable[Finding]) -> Iterator[Finding]:
    """The findings, and the error that ends them as the last one."""
    try:
        yield from findings
    except UserError as error:
        yield Problem.of(error)


def mistake_problems(mistakes: Iterable[UserError], records: str) -> Iterator[Problem]:
    """One problem for each kind of mistake: how many there are, and the first of them.

    Args:
        mistakes: in the order of the file.
        records: what those are that share a mistake of no known kind, such as "rows".
    """
    by_kind: defaultdict[str, list[UserError]] = defaultdict(list)
    for mistake in mistakes:
        known = isinstance(mistake, DataError)
        by_kind[mistake.kind if known else f"{records} that cannot be used"].append(mistake)
    for kind, alike in by_kind.items():
        first = Problem.of(alike[0])
        yield Problem(f"{kind}: {len(alike):,}; the first: {first.what}", first.mend)
