"""Read tagged sentences from a file of CoNLL columns, of rows, or of running text."""

from dataclasses import replace
from itertools import islice

from selfsup.corpus.readers.compression import format_suffix
from selfsup.errors import UserError
from selfsup.tasks.json_files import has_rows
from selfsup.tasks.tables import Columns, Row, read_rows
from selfsup.tasks.token_classification.annotations import read_json_rows
from selfsup.tasks.token_classification.columns import looks_like_conll, read_conll, read_lines
from selfsup.tasks.token_classification.entities import words_of_text
from selfsup.tasks.token_classification.rows import read_tagged_rows
from selfsup.tasks.token_classification.tag_scheme import TaggedText, TaggedTexts, scheme_notes

_NOT_ONLY_COLUMNS = (".txt", ".csv", ".tsv")
# How many lines decide whether a text file holds columns.
_LOOKED_AT = 50


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
    if suffix == ".json" or has_rows(file):
        rows = read_json_rows(file) if suffix == ".json" else read_rows(file)
        return _of_rows(rows, file, columns, labelled)
    if labelled or suffix not in _NOT_ONLY_COLUMNS:
        found = read_conll(file, columns, labelled=labelled)
        notes = scheme_notes(file, found.sentences) if labelled else []
        return replace(found, notes=(*found.notes, *notes))
    if looks_like_conll(line for _, line in islice(read_lines(file), _LOOKED_AT)):
        found = read_conll(file, columns, labelled=False)
        note = f"{file}: its lines end in tags, so it is read as columns of words and tags"
        return replace(found, notes=(note, *found.notes))
    if suffix == ".txt":
        return TaggedTexts(file, _running_text(file))
    return _of_rows(read_rows(file), file, columns, labelled)


def of_text(text: str, line: int) -> TaggedText:
    """A text without tags, split into words."""
    words = words_of_text(text)
    return TaggedText(line, text, words, None, [line] * len(words))


def _of_rows(rows: list[Row], file: str, columns: Columns, labelled: bool) -> TaggedTexts:
    found = read_tagged_rows(rows, file, columns, labelled=labelled)
    if not labelled:
        return found
    if not any(sentence.spans for sentence in found.sentences):
        raise UserError(f"{file}: no sentence has a word: give a file with words and tags")
    return replace(found, notes=(*found.notes, *scheme_notes(file, found.sentences)))


def _running_text(file: str) -> list[TaggedText]:
    sentences = [of_text(line, number) for number, line in read_lines(file) if line.strip()]
    if not sentences:
        raise UserError(f"{file}: holds no text: give a file with a sentence a line")
    return sentences
