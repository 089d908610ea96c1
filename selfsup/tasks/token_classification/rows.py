"""Read tagged sentences from the rows of a table: words with their tags, or a text with spans."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from tokenizers import PreTokenizedString
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from selfsup.errors import UserError
from selfsup.tasks.notes import collect_errors
from selfsup.tasks.tables import TEXT_NAMES, Columns, Row, column_names
from selfsup.tasks.token_classification.tag_scheme import TaggedText

# The field names of public data, the most specific first.
WORDS_NAMES = ("tokens", "words", "token", *TEXT_NAMES)
TAGS_NAMES = ("tags", "ner_tags", "labels", "ner", "entities", "spans", "label", "pos_tags")
_KIND_NAMES = ("label", "type", "entity_group")

# Case and accents stay, since they do not move the borders of words.
_CLEANING = BertNormalizer(lowercase=False, strip_accents=False)
_SPLITTING = BertPreTokenizer()


class Span(NamedTuple):
    """An entity in a text: its first character, the one after its last, its type."""

    start: int
    end: int
    kind: str


def read_tagged_rows(
    rows: list[Row],
    source: str,
    asked: Columns,
    *,
    labelled: bool,
    mistakes: list[UserError] | None = None,
) -> tuple[list[TaggedText], list[str]]:
    """Turn rows into sentences, and make notes for the user.

    A row is ``{"tokens": […], "tags": […]}``, or ``{"text": "…", "entities": [{"start": 0, "end":
    6, "label": "PER"}, …]}`` counted in characters; an entity may also be ``[0, 6, "PER"]``.

    Args:
        rows: of the file ``source``.
        asked: the fields that the user named.
        labelled: whether tags are wanted.
        mistakes: collects the errors of rows, which are then left out; None to raise them.

    Raises:
        UserError: a field is missing or cannot be guessed, or does not hold what it should.
    """
    words_field = _field(rows, source, asked.text, WORDS_NAMES, "the words or the text", "text")
    tags_field = None
    if labelled:
        names = tuple(name for name in TAGS_NAMES if name != words_field)
        tags_field = _field(rows, source, asked.label, names, "the tags", "label")
    sentences, widened = [], []
    for row in rows:
        with collect_errors(mistakes):
            sentence, whole = _sentence(row, source, words_field, tags_field)
            sentences.append(sentence)
            widened += [] if whole else [row.line]
    guessed = [f'the words from field "{words_field}"'] if asked.text is None else []
    if tags_field is not None and asked.label is None:
        guessed.append(f'the tags from field "{tags_field}"')
    notes = [f"{source}: taking {' and '.join(guessed)}"] if guessed else []
    if widened:
        notes.append(
            f"{source}: texts whose entities begin or end inside a word: {len(widened):,} "
            f"(the first in line {widened[0]}); the whole word is taken"
        )
    return sentences, notes


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


def holds_tags(rows: Iterable[Row]) -> bool:
    """Whether some row has words and their tags, or a text and its entities."""
    return any(_holds_tags(row.fields) for row in rows)


def _holds_tags(fields: dict[str, Any]) -> bool:
    lists = [fields[name] for name in TAGS_NAMES if isinstance(fields.get(name), list)]
    if any(isinstance(fields.get(name), list) for name in WORDS_NAMES if name not in TAGS_NAMES):
        return bool(lists)
    is_text = any(isinstance(fields.get(name), str) for name in WORDS_NAMES)
    return is_text and any(isinstance(entry, dict | list) for value in lists for entry in value)


def _sentence(
    row: Row, source: str, words_field: str, tags_field: str | None
) -> tuple[TaggedText, bool]:
    """The sentence of a row, and whether its entities begin and end where words do."""
    where = f"{source}, line {row.line}"
    value = row.fields.get(words_field)
    tags = None if tags_field is None else row.fields.get(tags_field)
    names, whole = None, True
    if isinstance(value, str):
        words = words_of_text(value)
        if tags_field is not None:
            entities = _spans(tags, value, f'{where}: "{tags_field}"')
            names, whole = _tags_of_spans(words, entities, where)
        return TaggedText(row.line, value, words, names, [row.line] * len(words)), whole
    texts = _texts(value, f'{where}: "{words_field}"', "words")
    if not all(texts):
        raise UserError(f"{where}: word {texts.index('') + 1} is empty: take it out")
    if tags_field is not None:
        names = _texts(tags, f'{where}: "{tags_field}"', "tags")
        if len(texts) != len(names):
            counts = f"{len(texts)} words and {len(names)} tags"
            raise UserError(f"{where}: {counts}: give each word one tag")
        if not all(names):
            raise UserError(f"{where}: the tag of word {names.index('') + 1} is empty: add it")
    return TaggedText.from_words(row.line, texts, names, [row.line] * len(texts)), whole


def _field(
    rows: list[Row], source: str, asked: str | None, usual: Iterable[str], what: str, flag: str
) -> str:
    names = column_names(rows)
    if asked is not None:
        if asked not in names:
            raise UserError(
                f"{source}: --{flag}-column {asked}: no such field (it has: {', '.join(names)})"
            )
        return asked
    found = next((name for name in usual if name in names), None)
    if found is None:
        raise UserError(
            f"{source}: which field holds {what}? It has: {', '.join(names)}; name it with "
            f"--{flag}-column"
        )
    return found


def _texts(value: Any, where: str, what: str) -> list[str]:
    """A list of texts; numbers become texts, such as a year in a list of words."""
    if not isinstance(value, list):
        raise UserError(f"{where} holds no list of {what}: write it as a list")
    for entry in value:
        if isinstance(entry, bool) or not isinstance(entry, str | int | float):
            raise UserError(f"{where}: {str(entry)[:30]!r} is none of {what}: write it as a text")
    return [str(entry) for entry in value]


def _spans(value: Any, text: str, where: str) -> list[Span]:
    """The entities of a text, in order of their start."""
    if not isinstance(value, list):
        raise UserError(f"{where} holds no list of entities: write [] where there are none")
    spans = sorted(_span(entry, where) for entry in value)
    for span in spans:
        if not 0 <= span.start < span.end <= len(text):
            raise UserError(
                f"{where}: an entity from {span.start} to {span.end} does not lie in its text of "
                f"{len(text)} characters: fix its start and end"
            )
    for one, other in pairwise(spans):
        if other.start < one.end:
            raise UserError(
                f"{where}: entities {text[one.start : one.end][:30]!r} and "
                f"{text[other.start : other.end][:30]!r} overlap: keep one of them"
            )
    return spans


def _span(entry: Any, where: str) -> Span:
    if isinstance(entry, dict):
        kind = next((entry[name] for name in _KIND_NAMES if name in entry), None)
        entry = [entry.get("start"), entry.get("end"), kind]
    match entry:
        case [int(start), int(end), str(kind)] if kind.strip():
            return Span(start, end, kind.strip())
    raise UserError(f'{where}: an entity needs {{"start": 0, "end": 6, "label": "PER"}}')


def _tags_of_spans(
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
