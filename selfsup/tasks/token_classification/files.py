"""Read tagged sentences from a file of CoNLL columns, of rows, or of running text."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from selfsup.corpus.readers.bounds import HeldMemory
from selfsup.corpus.readers.compression import format_suffix
from selfsup.errors import UserError
from selfsup.tasks.json_files import has_rows
from selfsup.tasks.tables import Columns, Row, in_blocks, read_row_blocks
from selfsup.tasks.token_classification.annotations import read_json_rows
from selfsup.tasks.token_classification.columns import (
    first_lines,
    looks_like_conll,
    read_conll,
    read_conll_blocks,
    read_lines,
)
from selfsup.tasks.token_classification.entities import words_of_text
from selfsup.tasks.token_classification.rows import read_tagged_rows, tagged_row_blocks
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
    notes: list[str] = []
    if not labelled:
        (whole,) = read_sentence_blocks(file, columns, notes.append)
        return replace(whole, notes=tuple(notes))
    if format_suffix(file) == ".json" or has_rows(file):
        (rows,) = _row_blocks(file, columns, notes.append)
        found = read_tagged_rows(rows, file, columns, labelled=True)
        if not any(sentence.spans for sentence in found.sentences):
            raise UserError(f"{file}: no sentence has a word: give a file with words and tags")
    else:
        found = read_conll(file, columns, labelled=True)
    return replace(found, notes=(*notes, *found.notes, *scheme_notes(file, found.sentences)))


def read_sentence_blocks(
    file: str, columns: Columns, tell: Callable[[str], None], size: int | None = None
) -> Iterator[TaggedTexts]:
    """Read sentences without tags in blocks of at most ``size``; ``tell`` takes the notes.

    Raises:
        UserError: as ``read_tagged_file``.
    """
    suffix = format_suffix(file)
    encoding = columns.file_format.encoding
    if suffix == ".json" or has_rows(file):
        blocks = _row_blocks(file, columns, tell, size)
        yield from tagged_row_blocks(blocks, file, columns, tell, labelled=False)
    elif suffix not in _NOT_ONLY_COLUMNS:
        yield from read_conll_blocks(file, columns, tell, size, labelled=False)
    elif looks_like_conll(first_lines(file, encoding)):
        tell(f"{file}: its lines end in tags, so it is read as columns of words and tags")
        yield from read_conll_blocks(file, columns, tell, size, labelled=False)
    elif suffix == ".txt":
        yield from _running_text(file, encoding, size)
    else:
        rows = read_row_blocks(file, columns, tell, size)
        yield from tagged_row_blocks(rows, file, columns, tell, labelled=False)


def of_text(text: str, line: int) -> TaggedText:
    """A text without tags, split into words."""
    words = words_of_text(text)
    return TaggedText(line, text, words, None, [line] * len(words))


def _row_blocks(
    file: str, columns: Columns, tell: Callable[[str], None], size: int | None = None
) -> Iterator[list[Row]]:
    """The rows of a file; one of JSON is read at once."""
    if format_suffix(file) != ".json":
        return read_row_blocks(file, columns, tell, size)
    rows = read_json_rows(file, columns.file_format.encoding)
    return in_blocks(rows, size, lambda row: 1)


def _running_text(file: str, encoding: str | None, size: int | None) -> Iterator[TaggedTexts]:
    def lines() -> Iterator[tuple[int, str]]:
        memory = HeldMemory(file)
        for number, line in read_lines(file, encoding):
            if line.strip():
                if size is None:
                    words = line.count(" ") + 1
                    memory.add(_TEXT_BYTES + _WORD_BYTES * words + len(line), number)
                yield number, line

    is_empty = True
    for block in in_blocks(lines(), size, lambda line: len(line[1])):
        is_empty = False
        yield TaggedTexts(file, [of_text(line, number) for number, line in block])
    if is_empty:
        raise UserError(f"{file}: holds no text: give a file with a sentence a line")
