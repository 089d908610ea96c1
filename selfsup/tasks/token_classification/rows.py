"""Read tagged sentences from the rows of a table: words with their tags, or a text with spans."""

from collections.abc import Iterable
from typing import Any

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
    """Turn rows into sentences, with notes for the user.

    A row is ``{"tokens": […], "tags": […]}``, or ``{"text": "…", "entities": [{"start": 0, "end":
    6, "label": "PER"}, …]}`` counted in characters; an entity may also be ``[0, 6, "PER"]``.
    Annotation tools write rows of other forms (``annotations.py``).

    Args:
        rows: of the file ``source``.
        asked: the fields that the user named.
        labelled: whether tags are wanted.
        mistakes: collects the errors of rows, which are then left out; None to raise them.

    Raises:
        UserError: a field is missing or cannot be guessed, or does not hold what it should.
    """
    rows, tool_notes = entities_of_tools(rows, source, labelled=labelled)
    words_field = _field(rows, source, asked.text, WORDS_NAMES, "the words or the text", "text")
    tags_field = None
    if labelled:
        names = tuple(name for name in TAGS_NAMES if name != words_field)
        tags_field = _field(rows, source, asked.label, names, "the tags", "label")
    lists = [row.fields.get(words_field) for row in rows]
    words = [word for words in lists if isinstance(words, list) for word in words]
    by_character = all(isinstance(word, str) for word in words) and are_characters(words)
    sentences, widened = [], []
    for row in rows:
        with collect_errors(mistakes):
            sentence, whole = _sentence(row, source, words_field, tags_field, by_character)
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
    notes += tool_notes
    notes += [f"{source}: {NOTE}"] if by_character else []
    return with_usual_tags(TaggedTexts(source, sentences, tuple(notes), by_character))


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


def _sentence(
    row: Row, source: str, words_field: str, tags_field: str | None, by_character: bool
) -> tuple[TaggedText, bool]:
    """The sentence of a row, and whether its entities begin and end where words do."""
    where = place_of(row, source)
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
