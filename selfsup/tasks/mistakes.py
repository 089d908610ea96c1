"""Mistakes in a labelled file: raised one by one, or gathered by whoever wants to see them all."""

from collections.abc import Iterator
from contextlib import contextmanager

from selfsup.errors import UserError


class Mistake(UserError):
    """Something that is wrong with one record of a file, of a kind that may occur often.

    Attributes:
        kind: what the records are that share this mistake, such as ``lines without a tag``.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@contextmanager
def noting(mistakes: list[UserError] | None) -> Iterator[None]:
    """Add what is raised to ``mistakes``, and go on after the block; None lets it pass."""
    try:
        yield
    except UserError as error:
        if mistakes is None:
            raise
        mistakes.append(error)
