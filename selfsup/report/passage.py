"""Texts as a table has room for them."""

from typing import NamedTuple

_LONGEST = 240
_AROUND = 100


class Passage(NamedTuple):
    """A text, or a part of one.

    Attributes:
        before: what comes before the marked part, or all of it.
        marked: the part in question, if there is one.
        after: what follows.
    """

    before: str
    marked: str = ""
    after: str = ""


def shortened(text: str, longest: int = _LONGEST) -> str:
    """The text in one line of at most so many characters: its beginning and its end."""
    words = " ".join(text.split())
    if len(words) <= longest:
        return words
    end = longest // 3
    return f"{words[: longest - end - 3].rstrip()} … {words[-end:].lstrip()}"


def whole(text: str, longest: int = _LONGEST) -> Passage:
    """A text in which nothing is marked."""
    return Passage(shortened(text, longest))


def around(text: str, start: int, end: int) -> Passage:
    """What stands from ``start`` up to ``end``, marked, and some of what is around it."""
    first, last = max(0, start - _AROUND), min(len(text), end + _AROUND)
    return Passage(
        ("…" if first else "") + text[first:start],
        shortened(text[start:end]),
        text[end:last] + ("…" if last < len(text) else ""),
    )
