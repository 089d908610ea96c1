"""Tagged sentences, and the tagging scheme that marks where entities begin and end.

A tag is a prefix and a type, ``B-PER``, or ``O`` outside of entities.

| scheme | one word | several words |
|---|---|---|
| BIO (IOB2) | B | B I I |
| IOB1 | I | I I I; B I I directly after an entity of the same type |
| BIOES | S | B I E |
| BILOU | U | B I L |
| BMES | S | B M E |
| plain | X | X X X: neighbours with the same tag are one entity |
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from selfsup.errors import UserError
from selfsup.tasks.notes import key_of, listed
from selfsup.tasks.token_classification.spelling import usual_tags


@dataclass(frozen=True)
class TaggedText:
    """A sentence, or any text that is tagged on its own.

    Attributes:
        line: the line where it begins in its file.
        text: as in the file, or its words joined by spaces if the file has only words.
        spans: the first character of each word in ``text``, and the one after its last.
        tags: of each word, or None where they are unknown.
        word_lines: the line of each word's tag in the file.
    """

    line: int
    text: str
    spans: Sequence[tuple[int, int]]
    tags: Sequence[str] | None
    word_lines: Sequence[int]

    @property
    def words(self) -> list[str]:
        """The words as written in the text."""
        return [self.text[start:end] for start, end in self.spans]

    @classmethod
    def from_words(
        cls, line: int, words: Sequence[str], tags: Sequence[str] | None, lines: Sequence[int]
    ) -> "TaggedText":
        """Join words by spaces; the sentence begins in ``line``, and its words in ``lines``."""
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
        notes: sentences for the user on how the file was read.
        by_character: whether its words are characters, with spaces only between some of them.
    """

    source: str
    sentences: list[TaggedText]
    notes: tuple[str, ...] = ()
    by_character: bool = False

    def __len__(self) -> int:
        return len(self.sentences)

    def keys(self) -> list[tuple[str, ...]]:
        """The key of each sentence: equal for sentences of the same words."""
        return [key_of(*sentence.words) for sentence in self.sentences]

    def texts(self) -> list[str]:
        """The sentences as texts."""
        return [sentence.text for sentence in self.sentences]

    def without(self, indices: Collection[int], *notes: str) -> "TaggedTexts":
        """The others, with notes on why these are left out."""
        kept = sorted(set(range(len(self))).difference(indices))
        sentences = [self.sentences[index] for index in kept]
        return replace(self, sentences=sentences, notes=(*self.notes, *notes))

    def drop_empty(self) -> "TaggedTexts":
        """A copy without sentences that have no words."""
        empty = [index for index, sentence in enumerate(self.sentences) if not sentence.spans]
        if not empty:
            return self
        note = (
            f"{self.source}: sentences without words left out: {len(empty):,} "
            f"(the first in line {self.sentences[empty[0]].line})"
        )
        return self.without(empty, note)


# Each prefix as a prefix of BIOES: all tags are read as BIOES.
_MEANING = {"B": "B", "I": "I", "E": "E", "S": "S", "L": "E", "U": "S", "M": "I"}
_PREFIXES = {"BIO": "BI", "IOB1": "IB", "BIOES": "BIES", "BILOU": "BILU", "BMES": "BMES"}
# The type of entities whose tags are a prefix alone.
_ONLY_KIND = "_"
_SHOWN = 3


class Tag(NamedTuple):
    """A tag taken apart.

    Attributes:
        prefix: "B", "I", "E", "S", or "O" outside of entities.
        kind: the type of entity, "" outside.
    """

    prefix: str
    kind: str


OUTSIDE = Tag("O", "")


class InvalidTransition(NamedTuple):
    """A tag that the scheme does not allow at its position.

    Attributes:
        line: of its word.
        what: in a few words.
    """

    line: int
    what: str


def with_usual_tags(examples: TaggedTexts) -> TaggedTexts:
    """The sentences with their tags in the usual spelling, and a note if it is another one."""
    usual = usual_tags({tag for each in examples.sentences for tag in each.tags or ()})
    changed = {tag: name for tag, name in usual.items() if tag != name}
    if not changed:
        return examples
    sentences = [
        replace(each, tags=None if each.tags is None else [usual[tag] for tag in each.tags])
        for each in examples.sentences
    ]
    shown = listed(f"{tag} as {name}" for tag, name in sorted(changed.items()))
    note = f"{examples.source}: tags in another spelling are read in the usual one: {shown}"
    return replace(examples, sentences=sentences, notes=(*examples.notes, note))


def read_tags(names: Sequence[str]) -> tuple[Tag, ...]:
    """Split a model's tags into prefix and type; tags without a prefix are plain."""
    usual = usual_tags(names)
    names = [usual[name] for name in names]
    alone = _are_prefixes_alone(names)
    return tuple(_tag(name, alone) for name in names)


def entities_in_a_pipeline(names: Sequence[str]) -> bool:
    """Whether the pipeline of transformers, too, makes the right entities of a model's tags.

    It knows the prefixes ``B-`` and ``I-``, and takes neighbours with equal tags for one entity.
    """
    if _are_prefixes_alone(names):
        return False
    return all(name[0] in "BI" for name in names if _has_prefix(name))


def find_scheme(source: str, sentences: Sequence[TaggedText]) -> str:
    """The scheme that the tags of a file follow.

    Raises:
        UserError: some tags have a prefix and some have none, or all are numbers; the message
            names a line.
    """
    tags = {tag for sentence in sentences for tag in sentence.tags or ()}
    alone = _are_prefixes_alone(tags)
    inside = tags - {"O"}
    used = {tag[0] for tag in inside if alone or _has_prefix(tag)}
    if not used:
        if inside and all(tag.lstrip("-").isdecimal() for tag in inside):
            raise UserError(
                f"{source}, line {sentences[0].line}: the tags are numbers: "
                "write their names, such as B-PER and O"
            )
        return "plain" if inside else "BIO"
    if not alone:
        _refuse_unlike(source, sentences)
    if used <= set("BI"):
        invalid = {name: len(find_invalid_transitions(sentences, name)) for name in ("BIO", "IOB1")}
        return min(invalid, key=lambda name: invalid[name])
    return next((name for name, prefixes in _PREFIXES.items() if used <= set(prefixes)), "BIOES")


def find_invalid_transitions(
    sentences: Sequence[TaggedText], scheme: str
) -> list[InvalidTransition]:
    """The tags that the scheme does not allow at their positions, in order."""
    if scheme == "plain":
        return []
    invalid = []
    names = list({tag for sentence in sentences for tag in sentence.tags or ()})
    readings = dict(zip(names, read_tags(names), strict=True))
    for sentence in sentences:
        previous, before = OUTSIDE, "O"
        for place, name in enumerate(sentence.tags or ()):
            tag = readings[name]
            if not _may_follow(previous, tag, scheme):
                where = f"after {before}" if place else "at the beginning"
                invalid.append(InvalidTransition(sentence.word_lines[place], f"{name} {where}"))
            previous, before = tag, name
        if not _may_follow(previous, OUTSIDE, scheme):
            invalid.append(InvalidTransition(sentence.word_lines[-1], f"{before} at the end"))
    return invalid


def scheme_notes(source: str, sentences: Sequence[TaggedText]) -> list[str]:
    """Sentences for the user on a file's tags.

    Raises:
        UserError: see ``find_scheme``.
    """
    scheme = find_scheme(source, sentences)
    if scheme == "plain":
        return [
            f"{source}: the tags have no prefix (B-, I-): "
            "neighbouring words with the same tag are taken for one entity"
        ]
    notes = [] if scheme == "BIO" else [f"{source}: the tags are read as {scheme}"]
    invalid = find_invalid_transitions(sentences, scheme)
    if invalid:
        shown = "; ".join(f"line {each.line}: {each.what}" for each in invalid[:_SHOWN])
        more = "; …" if len(invalid) > _SHOWN else ""
        count = "1 tag breaks" if len(invalid) == 1 else f"{len(invalid):,} tags break"
        notes.append(
            f"{source}: {count} the {scheme} scheme ({shown}{more}); a tag that continues nothing "
            "is taken to begin an entity"
        )
    return notes


def complete_tags(tags: Iterable[str], scheme: str) -> tuple[str, ...]:
    """All tags that the scheme has for the types that occur: O first, then type by type.

    So a type that has only single words in training can have several words in prediction.
    """
    names = set(tags)
    if scheme == "plain":
        return (*(["O"] if "O" in names else []), *sorted(names - {"O"}))
    prefixes = _PREFIXES["BIO" if scheme == "IOB1" else scheme]
    if _are_prefixes_alone(names):
        complete = ["O", *prefixes]
    else:
        kinds = sorted({name[2:] for name in names - {"O"}})
        complete = ["O", *(f"{prefix}-{kind}" for kind in kinds for prefix in prefixes)]
    return (*complete, *sorted(names - set(complete)))


def _may_follow(previous: Tag, tag: Tag, scheme: str) -> bool:
    same = previous.kind == tag.kind
    if scheme == "IOB1":
        return tag.prefix != "B" or (previous.prefix in "BI" and same)
    continues = tag.prefix in "IE"
    if scheme == "BIO":
        return not continues or (previous.prefix in "BI" and same)
    return (continues and same) if previous.prefix in "BI" else not continues


def _has_prefix(tag: str) -> bool:
    return tag[1:2] == "-" and tag[0] in _MEANING and len(tag) > 2


def _are_prefixes_alone(names: Iterable[str]) -> bool:
    """Whether the tags are B, I and O and the like, without a type."""
    inside = set(names) - {"O"}
    return bool(inside & {"B", "I"}) and inside <= set(_MEANING)


def _tag(name: str, alone: bool) -> Tag:
    if name == "O":
        return OUTSIDE
    if alone:
        return Tag(_MEANING[name], _ONLY_KIND)
    if _has_prefix(name):
        return Tag(_MEANING[name[0]], name[2:])
    return Tag("I", name)


def _refuse_unlike(source: str, sentences: Sequence[TaggedText]) -> None:
    for sentence in sentences:
        for tag, line in zip(sentence.tags or (), sentence.word_lines, strict=True):
            if tag != "O" and not _has_prefix(tag):
                raise UserError(
                    f"{source}, line {line}: tag {tag!r} is neither O nor a type with a prefix, "
                    "such as B-PER, as other tags of this file are: fix it"
                )
