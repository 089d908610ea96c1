"""Sentences in which each character has a tag, as in KLUE, the Korean benchmark of NER.

Korean particles are written together with the word before them, so entities end inside words. A
character is then a word of its own, and spaces are not tagged.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from selfsup.tasks.token_classification.entities import words_of_text
from selfsup.tasks.token_classification.tag_scheme import TaggedText, TaggedTexts

NOTE = (
    "its words are characters, some of them spaces: the characters between spaces make a word, and "
    "the model tags each character"
)
# The share of one-character words; a few characters have several code points, such as emoji.
_SHARE = 0.95


def are_characters(words: Iterable[str]) -> bool:
    """Whether the words of a file are characters, some of them spaces."""
    lengths = [0 if word.isspace() else len(word) for word in words]
    return 0 in lengths and sum(length <= 1 for length in lengths) >= _SHARE * len(lengths)


def of_characters(
    line: int, characters: Sequence[str], tags: Sequence[str] | None, lines: Sequence[int]
) -> TaggedText:
    """The sentence of these characters, with the tags of those that are no space."""
    ends = [0]
    for character in characters:
        ends.append(ends[-1] + len(character))
    kept = [place for place, character in enumerate(characters) if not character.isspace()]
    return TaggedText(
        line,
        "".join(characters),
        [(ends[place], ends[place + 1]) for place in kept],
        None if tags is None else [tags[place] for place in kept],
        [lines[place] for place in kept],
    )


def in_characters(examples: TaggedTexts) -> TaggedTexts:
    """Sentences without tags, with each of their characters as a word."""
    sentences = [
        of_characters(each.line, each.text, None, [each.line] * len(each.text))
        for each in examples.sentences
    ]
    return replace(examples, sentences=sentences, by_character=True)


def characters_inside(sentence: TaggedText) -> list[bool]:
    """Whether each character of a sentence continues a word, as BERT's tokenizer splits words."""
    starts = {start for start, _ in words_of_text(sentence.text)}
    return [start not in starts for start, _ in sentence.spans]
