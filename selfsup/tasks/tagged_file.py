"""Read sentences for token classification: from columns, from rows, or from running text."""

from itertools import islice

from selfsup.corpus.compression import format_suffix
from selfsup.errors import UserError
from selfsup.tasks.columns import Columns
from selfsup.tasks.conll_file import looks_like_conll, read_conll, read_lines
from selfsup.tasks.labelled_rows import read_rows
from selfsup.tasks.tag_scheme import scheme_notes
from selfsup.tasks.tagged_rows import read_tagged_rows
from selfsup.tasks.tagged_text import TaggedText, TaggedTexts
from selfsup.tasks.text_words import words_of_text

# Files of rows with named fields; any other holds lines.
ROWS = (".jsonl", ".ndjson", ".parquet")
_NOT_ONLY_COLUMNS = (".txt", ".csv", ".tsv")
# How many lines a file of text is judged by.
_LOOKED_AT = 50


def read_tagged_file(file: str, columns: Columns, *, labelled: bool) -> TaggedTexts:
    """Read sentences, and their tags if ``labelled``.

    JSON lines and Parquet hold a sentence a row; any other file holds CoNLL columns. Where no tags
    are wanted, ``.txt`` may also be running text with a sentence a line, and ``.csv`` and ``.tsv``
    a table with a column of texts.

    Args:
        file: a path or URL.
        columns: of rows, the fields of the words or the text, and of the tags or entities.
        labelled: whether tags are wanted.

    Raises:
        UserError: the file cannot be read; the message names file and line.
    """
    suffix = format_suffix(file)
    if suffix in ROWS or file.startswith("hf://"):
        return _of_rows(file, columns, labelled)
    if labelled:
        _refuse_names(file, columns)
        sentences = read_conll(file, labelled=True)
        return TaggedTexts(file, sentences, tuple(scheme_notes(file, sentences)))
    if suffix not in _NOT_ONLY_COLUMNS:
        _refuse_names(file, columns)
        return TaggedTexts(file, read_conll(file, labelled=False))
    if looks_like_conll(line for _, line in islice(read_lines(file), _LOOKED_AT)):
        note = f"{file}: its lines end in tags, so its first column is taken for the words"
        return TaggedTexts(file, read_conll(file, labelled=False), (note,))
    if suffix == ".txt":
        return TaggedTexts(file, _running_text(file))
    return _of_rows(file, columns, labelled)


def _refuse_names(file: str, columns: Columns) -> None:
    for flag, name in (("--text-column", columns.text), ("--label-column", columns.label)):
        if name is not None:
            raise UserError(
                f"{file}: {flag} {name}: its columns have no names, the word is the first and the "
                "tag the last: leave it out"
            )


def of_text(text: str, line: int) -> TaggedText:
    """A text without tags, its words found."""
    words = words_of_text(text)
    return TaggedText(line, text, words, None, [line] * len(words))


def _of_rows(file: str, columns: Columns, labelled: bool) -> TaggedTexts:
    sentences, notes = read_tagged_rows(read_rows(file), file, columns, labelled=labelled)
    if labelled:
        if not any(sentence.spans for sentence in sentences):
            raise UserError(f"{file}: no sentence has a word: give a file with words and tags")
        notes += scheme_notes(file, sentences)
    return TaggedTexts(file, sentences, tuple(notes))


def _running_text(file: str) -> list[TaggedText]:
    sentences = [of_text(line, number) for number, line in read_lines(file) if line.strip()]
    if not sentences:
        raise UserError(f"{file}: holds no text: give a file with a sentence a line")
    return sentences
