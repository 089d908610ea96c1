"""A sentence as token classification knows it: a text, its words' places in it, their tags."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class TaggedText:
    """A sentence, or any text that is tagged on its own.

    Attributes:
        line: where it begins in its file.
        text: as it was written, or its words with a space between where only words are known.
        spans: the first character of each word in ``text``, and the one after its last.
        tags: of each word, or None where they are unknown.
        word_lines: where each word's tag stands in the file.
    """

    line: int
    text: str
    spans: Sequence[tuple[int, int]]
    tags: Sequence[str] | None
    word_lines: Sequence[int]

    @property
    def words(self) -> list[str]:
        """The words as they stand in the text."""
        return [self.text[start:end] for start, end in self.spans]

    @classmethod
    def from_words(
        cls, words: Sequence[str], tags: Sequence[str] | None, lines: Sequence[int]
    ) -> "TaggedText":
        """Words of which it is not known what stood between them: take a space for it."""
        spans, start = [], 0
        for word in words:
            spans.append((start, start + len(word)))
            start += len(word) + 1
        return cls(lines[0], " ".join(words), spans, tags, lines)
