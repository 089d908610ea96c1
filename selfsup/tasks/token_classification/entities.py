"""Entities as spans of a text, and the tags that they give its words."""

import unicodedata
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from tokenizers import PreTokenizedString
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from selfsup.errors import UserError
from selfsup.tasks.json_files import other_unit

# The names that annotation tools give to the parts of an entity, the most specific first.
_START_NAMES, _END_NAMES = ("start", "start_offset"), ("end", "end_offset")
_KIND_NAMES = ("label", "labels", "type", "entity_group", "category", "tag")
_OWN_TEXT_NAMES = ("text", "word", "value", "surface", "mention")

# Case and accents stay, since they do not move the borders of words.
_CLEANING = BertNormalizer(lowercase=False, strip_accents=False)
_SPLITTING = BertPreTokenizer()


class Span(NamedTuple):
    """An entity in a text: its first character, the one after its last, its type."""

    start: int
    end: int
    kind: str


def words_of_text(text: str) -> Sequence[tuple[int, int]]:
    """Each word's first character and the one after its last, as BERT's tokenizer splits words.

    Words end at white space; punctuation marks and CJK ideographs are words of their own.
    """
    pieces = PreTokenizedString(text)
    pieces.normalize(_CLEANING.normalize)
    _SPLITTING.pre_tokenize(pieces)
    return [
        span
        for word, span, _ in pieces.get_splits(offset_referential="original", offset_type="char")
        if word
    ]


def spans_of(value: Any, text: str, where: str) -> list[Span]:
    """The entities of a text, in order of their start; one that is listed twice counts once.

    Raises:
        UserError: they are no list of entities, or lie elsewhere than they say, or overlap.
    """
    if not isinstance(value, list):
        raise UserError(f"{where} holds no list of entities: write [] where there are none")
    listed = [(_span(entry, where), _own_text(entry)) for entry in value]
    own = [(span, said) for span, said in listed if said is not None]
    for span, said in own:
        if _bare(text[max(span.start, 0) : max(span.end, 0)]) != _bare(said):
            raise _contradiction(own, span, said, text, where)
    spans = sorted({span for span, _ in listed})
    for span in spans:
        if not 0 <= span.start < span.end <= len(text):
            raise UserError(
                f"{where}: an entity from {span.start} to {span.end} does not lie in its text of "
                f"{len(text)} characters: fix its start and end"
            )
    for one, other in pairwise(spans):
        if other.start < one.end:
            raise UserError(
                f"{where}: entities {_shown(one, text)} and {_shown(other, text)} overlap: "
                "keep one of them"
            )
    return spans


def tags_of_spans(
    words: Iterable[tuple[int, int]], spans: list[Span], where: str
) -> tuple[list[str], bool]:
    """BIO tags, and whether every entity begins and ends where a word does."""
    tags, place, whole, begun = [], 0, True, None
    for start, end in words:
        while place < len(spans) and spans[place].end <= start:
            place += 1
        if place == len(spans) or spans[place].start >= end:
            tags.append("O")
            continue
        span = spans[place]
        whole = whole and span.start <= start and end <= span.end
        tags.append(f"{'I' if begun == place else 'B'}-{span.kind}")
        begun = place
    found = sum(tag[0] == "B" for tag in tags)
    if found < len(spans):  # white space, or two within one word
        raise UserError(
            f"{where}: {len(spans)} entities, of which only {found} have a word of their own: "
            "give each at least one word"
        )
    return tags, whole


def _span(entry: Any, where: str) -> Span:
    if isinstance(entry, dict):
        entry = [_first(entry, names) for names in (_START_NAMES, _END_NAMES, _KIND_NAMES)]
    match entry:
        case [int(start), int(end), str(kind) | [str(kind)]] if kind.strip():
            return Span(start, end, kind.strip())
    raise UserError(f'{where}: an entity needs {{"start": 0, "end": 6, "label": "PER"}}')


def _first(entry: dict[str, Any], names: Iterable[str]) -> Any:
    return next((entry[name] for name in names if name in entry), None)


def _own_text(entry: Any) -> str | None:
    """The text that an entity says it has."""
    said = _first(entry, _OWN_TEXT_NAMES) if isinstance(entry, dict) else None
    return said if isinstance(said, str) else None


def _bare(text: str) -> str:
    """A text without white space and case, which tools change."""
    return unicodedata.normalize("NFC", "".join(text.split()).casefold())


def _contradiction(
    own: list[tuple[Span, str]], span: Span, said: str, text: str, where: str
) -> UserError:
    """The error for an entity whose text stands elsewhere."""
    found = text.find(said)
    fix = f"it first occurs at {found}" if found >= 0 else "its text does not hold it at all"
    if unit := other_unit(text, [(each.start, words) for each, words in own]):
        fix += f", and start and end count {unit}, not characters"
    elif all(text[each.start : each.end + 1] == words for each, words in own):
        fix += ", and end is the last character, not the one after it"
    return UserError(
        f"{where}: the entity {said[:30]!r} does not stand from {span.start} to {span.end}, where "
        f"its text has {text[max(span.start, 0) : max(span.end, 0)][:30]!r}: {fix}; fix start and "
        "end"
    )


def _shown(span: Span, text: str) -> str:
    return f"{text[span.start : span.end][:30]!r} ({span.kind})"
