"""Read tagged sentences from a file of CoNLL columns, of rows, or of running text."""

from dataclasses import replace

from selfsup.corpus.readers.bounds import HeldMemory
from selfsup.corpus.readers.compression import format_suffix
from selfsup.errors import UserError
from selfsup.tasks.json_files import has_rows
from selfsup.tasks.tables import Columns, Row, read_rows
from selfsup.tasks.token_classification.annotations import read_json_rows
from selfsup.tasks.token_classification.columns import (
    first_lines,
    looks_like_conll,
    read_conll,
    read_lines,
)
from selfsup.tasks.token_classification.entities import words_of_text
from selfsup.tasks.token_classification.rows import read_tagged_rows
from selfsup.tasks.token_classification.tag_scheme import TaggedText, TaggedTexts, scheme_notes

# About what a text takes in memory, and each of its words.
_TEXT_BYTES, _WORD_BYTES = 300, 140
_NOT_ONLY_COLUMNS = (".txt", ".csv", ".tsv")


def read_tagged_file(file: str, columns: Columns, *, labelled: bool) -> TaggedTexts:
    """Read sentences, and their tags if ``labelled``.

    JSON, JSON lines and Parquet hold a sentence a row; any other file holds CoNLL columns. Where no
    tags are wanted, ``.txt`` may also be running text with a sentence a line, and ``.csv`` and
    ``.tsv`` a table with a column of texts. ``columns`` names the fields of rows: of the words or
    the text, and of the tags or entities; or the numbers of CoNLL columns.

    Raises:
        UserError: the file cannot be read; the message names file and line.
    """
    suffix = format_suffix(file)
    encoding = columns.file_format.encoding
    if suffix == ".json":
        return _of_rows(read_json_rows(file, encoding), [], file, columns, labelled)
    notes: list[str] = []
    if has_rows(file):
        rows = read_rows(file, columns, notes.append)
        return _of_rows(rows, notes, file, columns, labelled)
    if labelled or suffix not in _NOT_ONLY_COLUMNS:
        found = read_conll(file, columns, labelled=labelled)
        of_scheme = scheme_notes(file, found.sentences) if labelled else []
        return replace(found, notes=(*found.notes, *of_scheme))
    if looks_like_conll(first_lines(file, encoding)):
        found = read_conll(file, columns, labelled=False)
        note = f"{file}: its lines end in tags, so it is read as columns of words and tags"
        return replace(found, notes=(note, *found.notes))
    if suffix == ".txt":
        return TaggedTexts(file, _running_text(file, encoding))
    rows = read_rows(file, columns, notes.append)
    return _of_rows(rows, notes, file, columns, labelled)


def of_text(text: str, line: int) -> TaggedText:
    """A text without tags, split into words."""
    words = words_of_text(text)
    return TaggedText(line, text, words, None, [line] * len(words))


def _of_rows(
    rows: list[Row], notes: list[str], file: str, columns: Columns, labelled: bool
) -> TaggedTexts:
    """The sentences of the rows, with ``notes`` on how these were read."""
    found = read_tagged_rows(rows, file, columns, labelled=labelled)
    if labelled and not any(sentence.spans for sentence in found.sentences):
        raise UserError(f"{file}: no sentence has a word: give a file with words and tags")
    of_scheme = scheme_notes(file, found.sentences) if labelled else []
    return replace(found, notes=(*notes, *found.notes, *of_scheme))


def _running_text(file: str, encoding: str | None) -> list[TaggedText]:
    sentences, memory = [], HeldMemory(file)
    for number, line in read_lines(file, encoding):
        if line.strip():
            sentences.append(of_text(line, number))
            memory.add(_TEXT_BYTES + _WORD_BYTES * len(sentences[-1].spans) + len(line), number)
    if not sentences:
        raise UserError(f"{file}: holds no text: give a file with a sentence a line")
    return sentences
