"""What all sections of the course page are written with: its words, and pieces of HTML."""

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from selfsup.corpus.tokenizer.wordpiece import vocabulary_size
from selfsup.explain.course import Course
from selfsup.explain.texts import WORDS
from selfsup.report.formatting import whole
from selfsup.report.markup import section, table


class CoursePage:
    """A course and the words to tell it with, by their keys.

    Attributes:
        course: what to tell.
        words: in the page's language.
        vocab: the size of the vocabulary, as it is written.
        model: the name of the model; empty if there is none.
    """

    def __init__(self, course: Course) -> None:
        self.course, self.words = course, WORDS[course.language]
        self.vocab = whole(vocabulary_size(course.tokenizer))
        self.model = course.settings.model or ""

    def plain(self, key: str, **values: Any) -> str:
        """The words of a key, filled in."""
        return self.words[key].format(**values)

    def text(self, key: str, **values: Any) -> str:
        """The same as HTML."""
        return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(self.plain(key, **values)))

    def paragraph(self, key: str, kind: str = "", **values: Any) -> str:
        """A paragraph; ``kind`` is its class in the style sheet."""
        mark = f' class="{kind}"' if kind else ""
        return f"<p{mark}>{self.text(key, **values)}</p>"

    def section(self, key: str, *parts: str) -> str:
        """A section; the key is that of its heading."""
        return section(self.words[key], *parts)

    def table(self, columns: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
        """A table; the columns are keys of their heads, without ``head_``."""
        return table([self.words[f"head_{name}"] for name in columns], rows)


def strip(tokens: Sequence[str], under: Iterable[object], kinds: Iterable[str]) -> str:
    """Tokens in a row, with a note under each; ``kinds`` are their classes in the style sheet."""
    items = ""
    for token, note, kind in zip(tokens, under, kinds, strict=False):
        small = f"<small>{escape(str(note))}</small>"
        items += f'<li class="{kind}"><b>{escape(token)}</b>{small}</li>'
    return f'<ol class="tokens">{items}</ol>'


def commands(*lines: str) -> str:
    """Commands to type, one a line."""
    return f'<pre class="wide">{escape(chr(10).join(lines))}</pre>'
