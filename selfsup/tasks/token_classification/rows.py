"""Read tagged sentences from the rows of a table: words with their tags, or a text with spans."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from selfsup.errors import UserError
from selfsup.tasks.notes import collect_errors
from selfsup.tasks.tables import TEXT_NAMES, Columns, Row, column_names
from selfsup.tasks.token_classification.annotations import entities_of_tools, place_of
from selfsup.tasks.token_classification.characters import NOTE, are_characters, of_characters
from selfsup.tasks.token_classification.entities import spans_of, tags_of_spans, words_of_text
from selfsup.tasks.token_classification.tag_scheme import (
    TaggedText,
    TaggedTexts,
    with_usual_tags,
)

# The field names of public data, the most specific first.
WORDS_NAMES = ("tokens", "words", "token", *TEXT_NAMES)
TAGS_NAMES = ("tags", "ner_tags", "labels", "ner", "entities", "spans", "label", "pos_tags")


def read_tagged_rows(
    rows: list[Row],
    source: str,
    asked: Columns,
    *,
    labelled: bool,
    mistakes: list[UserError] | None = None,
) -> TaggedTexts:
    """Turn all rows of a file into sentences, with notes; see ``tagged_row_blocks``."""
    notes: list[str] = []
    blocks = tagged_row_blocks(
        [rows], source, asked, notes.append, labelled=labelled, mistakes=mistakes
    )
    (whole,) = blocks
    return with_usual_tags(replace(whole, notes=tuple(notes)))


def tagged_row_blocks(
    blocks: Iterable[list[Row]],
    source: str,
    asked: Columns,
    tell: Callable[[str], None],
    *,
    labelled: bool,
    mistakes: list[UserError] | None = None,
) -> Iterator[TaggedTexts]:
    """Turn blocks of rows into blocks of sentences; what the fields hold the first block tells.

    A row is ``{"tokens": […], "tags": […]}``, or ``{"text": "…", "entities": [{"start": 0, "end":
    6, "label": "PER"}, …]}`` counted in characters; an entity may also be ``[0, 6, "PER"]``.
    Annotation tools write rows of other forms (``annotations.py``).

    Args:
        blocks: rows of the file ``source``.
        asked: the fields that the user named.
        tell: takes notes on how the rows are read.
        labelled: whether tags are wanted; all rows must then be in one block.
        mistakes: collects the errors of rows, which are then left out; None to raise them.

    Raises:
        UserError: a field is missing or cannot be guessed, or does not hold what it should.
    """
    form = None
    for block in blocks:
        rows, tool_notes = entities_of_tools(block, source, labelled=labelled)
        form = form or _find_form(rows, source, asked, labelled, tell)
        sentences, widened = [], []
        for row in rows:
            with collect_errors(mistakes):
                sentence, whole = _sentence(row, source, form)
                sentences.append(sentence)
                widened += [] if whole else [row.line]
        if widened:
            tell(
                f"{source}: texts whose entities begin or end inside a word: {len(widened):,} "
                f"(the first in line {widened[0]}); the whole word is taken"
            )
        for note in tool_notes:
            tell(note)
        yield TaggedTexts(source, sentences, (), form.by_character)


class _Form(NamedTuple):
    """The fields of the words or the text, and of the tags; whether the words are characters."""

    words: str
    tags: str | None
    by_character: bool


def _find_form(
    rows: list[Row], source: str, asked: Columns, labelled: bool, tell: Callable[[str], None]
) -> _Form:
    words_field = _field(rows, source, asked.text, WORDS_NAMES, "the words or the text", "text")
    tags_field = None
    if labelled:
        names = tuple(name for name in TAGS_NAMES if name != words_field)
        tags_field = _field(rows, source, asked.label, names, "the tags", "label")
    lists = [row.fields.get(words_field) for row in rows]
    words = [word for words in lists if isinstance(words, list) for word in words]
    by_character = all(isinstance(word, str) for word in words) and are_characters(words)
    guessed = [f'the words from field "{words_field}"'] if asked.text is None else []
    if tags_field is not None and asked.label is None:
        guessed.append(f'the tags from field "{tags_field}"')
    if guessed:
        tell(f"{source}: taking {' and '.join(guessed)}")
    if by_character:
        tell(f"{source}: {NOTE}")
    return _Form(words_field, tags_field, by_character)


def holds_tags(rows: Iterable[Row]) -> bool:
    """Whether some row has words and their tags, or a text and its entities."""
    return any(
        _holds_tags(row.fields) for row in entities_of_tools(list(rows), "", labelled=False)[0]
    )


def _holds_tags(fields: dict[str, Any]) -> bool:
    lists = [fields[name] for name in TAGS_NAMES if isinstance(fields.get(name), list)]
    if any(isinstance(fields.get(name), list) for name in WORDS_NAMES if name not in TAGS_NAMES):
        return bool(lists)
    is_text = any(isinstance(fields.get(name), str) for name in WORDS_NAMES)
    return is_text and any(isinstance(entry, dict | list) for value in lists for entry in value)


def _sentence(row: Row, source: str, form: _Form) -> tuple[TaggedText, bool]:
    """The sentence of a row, and whether its entities begin and end where words do."""
    where, (words_field, tags_field, by_character) = place_of(row, source), form
    value = row.fields.get(words_field)
    tags = None if tags_field is None else row.fields.get(tags_field)
    names, whole = None, True
    if isinstance(value, str):
        words = words_of_text(value)
        if tags_field is not None:
            entities = spans_of(tags, value, f'{where}: "{tags_field}"')
            names, whole = tags_of_spans(words, entities, where)
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
    make = of_characters if by_character else TaggedText.from_words
    return make(row.line, texts, names, [row.line] * len(texts)), whole


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
