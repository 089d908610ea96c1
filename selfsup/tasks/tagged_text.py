"""A sentence as token classification knows it: a text, its words' places in it, their tags."""

from collections.abc import Sequence
from dataclasses import dataclass, replace


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
        cls, line: int, words: Sequence[str], tags: Sequence[str] | None, lines: Sequence[int]
    ) -> "TaggedText":
        """Words of which it is not known what stood between them: take a space for it.

        Args:
            line: where the sentence begins.
            words, tags: as many of each.
            lines: of the words.
        """
        spans, start = [], 0
        for word in words:
            spans.append((start, start + len(word)))
            start += len(word) + 1
        return cls(line, " ".join(words), spans, tags, lines)


@dataclass(frozen=True)
class TaggedTexts:
    """N sentences from a file.

    Attributes:
        source: the file.
        sentences: all with tags, or all without.
        notes: what the user should know of how the file was read, a sentence each.
    """

    source: str
    sentences: list[TaggedText]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """N."""
        return len(self.sentences)

    def texts(self) -> list[str]:
        """The sentences as texts."""
        return [sentence.text for sentence in self.sentences]

    def without_empty(self) -> "TaggedTexts":
        """The same without sentences of no words, from which nothing can be learnt."""
        kept = [sentence for sentence in self.sentences if sentence.spans]
        if len(kept) == len(self):
            return self
        first = next(sentence.line for sentence in self.sentences if not sentence.spans)
        note = (
            f"{self.source}: sentences without words left out: {len(self) - len(kept):,} "
            f"(the first in line {first})"
        )
        return replace(self, sentences=kept, notes=(*self.notes, note))
