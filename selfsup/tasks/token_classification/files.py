"""Read tagged sentences from a file of CoNLL columns, of rows, or of running text.

CoNLL columns: a word a line, its tag in the last column, a blank line after a sentence.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import islice

from selfsup.corpus.readers import compression
from selfsup.corpus.readers.compression import format_suffix
from selfsup.corpus.readers.encodings import utf8_text
from selfsup.corpus.readers.inputs import Input, opening
from selfsup.errors import UserError
from selfsup.tasks.notes import DataError, collect_errors
from selfsup.tasks.tables import Columns, read_rows
from selfsup.tasks.token_classification.rows import read_tagged_rows, words_of_text
from selfsup.tasks.token_classification.tag_scheme import TaggedText, TaggedTexts, scheme_notes

_DOCUMENT_BORDER = "-DOCSTART-"
_SPACES = re.compile("[ \t]+")
_TAG = re.compile(r"O|[BIESLUM]-\S+")
# Comments as CoNLL-U has them: "# sent_id = 3", "# newdoc", "# newpar id = 2".
_COMMENT = re.compile(r"# *(?:\S+ = |newdoc\b|newpar\b)")


def read_lines(file: str, encoding: str | None = None) -> Iterator[tuple[int, str]]:
    """The lines of a text file with their numbers from 1, also of a compressed one.

    Raises:
        UserError: the file cannot be read, or is not UTF-8; the message names the line.
    """
    with opening(Input(file, file, "")) as raw:
        try:
            for number, line in enumerate(utf8_text(raw, file, encoding), 1):
                if number == 1:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                try:
                    yield number, line.decode().rstrip("\r\n")
                except UnicodeDecodeError as error:
                    raise UserError(
                        f"{file}, line {number}: byte {error.start + 1} is not UTF-8: "
                        "fix the line, or say with --encoding in what the whole file is written"
                    ) from None
        except compression.DAMAGED as error:
            raise UserError(f"{file}: damaged or cut short ({error}): copy it again") from None


def read_conll(
    file: str,
    *,
    labelled: bool,
    encoding: str | None = None,
    mistakes: list[UserError] | None = None,
) -> list[TaggedText]:
    """Read the sentences of a file of columns, the word first and the tag last.

    Columns are separated by tabs, or by spaces in lines without a tab. Lines that begin with
    ``-DOCSTART-`` end a sentence and hold no word. Before the first word of a sentence, a line of
    running text that begins with ``# `` is a comment.

    Args:
        file: a path or URL.
        labelled: whether tags are wanted; without them one column is enough.
        encoding: of the file; None for UTF-8.
        mistakes: collects the errors of lines, which are then left out; None to raise them.

    Raises:
        UserError: there is no sentence in it, or a line has other columns than it should.
    """
    sentences: list[TaggedText] = []
    rows: list[tuple[int, list[str]]] = []
    width = None
    for number, line in read_lines(file, encoding):
        columns = _columns(line)
        if not line.strip() or columns[0] == _DOCUMENT_BORDER:
            sentences += _sentence(rows, labelled)
            rows = []
            continue
        if not rows and _is_comment(line, width):
            continue
        with collect_errors(mistakes):
            _check(f"{file}, line {number}", columns, width, labelled)
            width = len(columns)
            rows.append((number, columns))
    sentences += _sentence(rows, labelled)
    if not sentences and not mistakes:
        raise UserError(f"{file}: holds no sentences: give a file with a word and its tag a line")
    return sentences


def looks_like_conll(lines: Iterable[str], share: float = 1.0) -> bool:
    """Whether at least this share of the lines that hold a word end in a tag."""
    rows = [_columns(line) for line in lines if line.strip() and not _is_comment(line)]
    rows = [columns for columns in rows if columns[0] != _DOCUMENT_BORDER]
    tagged = sum(len(row) > 1 and _TAG.fullmatch(row[-1]) is not None for row in rows)
    return tagged > 0 and tagged >= share * len(rows)


def _columns(line: str) -> list[str]:
    if "\t" in line:
        return [column.strip(" ") for column in line.split("\t")]
    return _SPACES.split(line.strip(" "))


def _is_comment(line: str, width: int | None = None) -> bool:
    """``# sent_id = 3`` or ``# some more words``, but no line with a word's columns, ``width``."""
    if _COMMENT.match(line):
        return True
    columns = _columns(line)
    is_running_text = line.startswith("# ") and len(line.split()) > 2
    return is_running_text and len(columns) != width and not _TAG.fullmatch(columns[-1])


def _check(where: str, columns: list[str], width: int | None, labelled: bool) -> None:
    if labelled and len(columns) == 1:
        word = columns[0] if len(columns[0]) <= 30 else columns[0][:29] + "…"
        raise DataError(
            "lines of one column",
            f"{where}: one column, {word!r}, where a word and its tag should stand: add the tag",
        )
    if width is not None and len(columns) != width:
        raise DataError(
            "lines with more or fewer columns than those before",
            f"{where}: {len(columns)} columns where the lines before have {width}: "
            "give every word the same columns",
        )
    if not columns[0]:
        raise DataError(
            "lines without a word",
            f"{where}: no word in the first column: add it, or make the line blank",
        )
    if labelled and not columns[-1]:
        raise DataError("lines without a tag", f"{where}: no tag in the last column: add it")


def _sentence(rows: list[tuple[int, list[str]]], labelled: bool) -> list[TaggedText]:
    """The sentence of the rows, or nothing if there are no rows."""
    if not rows:
        return []
    lines = [number for number, _ in rows]
    words = [columns[0] for _, columns in rows]
    tags = [columns[-1] for _, columns in rows] if labelled else None
    return [TaggedText.from_words(lines[0], words, tags, lines)]


# Files of rows with named fields; any other holds lines.
ROWS = (".jsonl", ".ndjson", ".parquet")
_NOT_ONLY_COLUMNS = (".txt", ".csv", ".tsv")
# How many lines decide whether a text file holds columns.
_LOOKED_AT = 50


def read_tagged_file(file: str, columns: Columns, *, labelled: bool) -> TaggedTexts:
    """Read sentences, and their tags if ``labelled``.

    JSON lines and Parquet hold a sentence a row; any other file holds CoNLL columns. Where no tags
    are wanted, ``.txt`` may also be running text with a sentence a line, and ``.csv`` and ``.tsv``
    a table with a column of texts. ``columns`` names the fields of rows: of the words or the text,
    and of the tags or entities.

    Raises:
        UserError: the file cannot be read; the message names file and line.
    """
    suffix = format_suffix(file)
    if suffix in ROWS or file.startswith("hf://"):
        return _of_rows(file, columns, labelled)
    encoding = columns.file_format.encoding
    if labelled:
        _refuse_names(file, columns)
        sentences = read_conll(file, labelled=True, encoding=encoding)
        return TaggedTexts(file, sentences, tuple(scheme_notes(file, sentences)))
    if suffix not in _NOT_ONLY_COLUMNS:
        _refuse_names(file, columns)
        return TaggedTexts(file, read_conll(file, labelled=False, encoding=encoding))
    if looks_like_conll(line for _, line in islice(read_lines(file, encoding), _LOOKED_AT)):
        note = f"{file}: its lines end in tags, so its first column is taken for the words"
        return TaggedTexts(file, read_conll(file, labelled=False, encoding=encoding), (note,))
    if suffix == ".txt":
        return TaggedTexts(file, _running_text(file, encoding))
    return _of_rows(file, columns, labelled)


def _refuse_names(file: str, columns: Columns) -> None:
    columns.file_format.refuse_for(file)
    for flag, name in (("--text-column", columns.text), ("--label-column", columns.label)):
        if name is not None:
            raise UserError(
                f"{file}: {flag} {name}: its columns have no names, the word is the first and the "
                "tag the last: leave it out"
            )


def of_text(text: str, line: int) -> TaggedText:
    """A text without tags, split into words."""
    words = words_of_text(text)
    return TaggedText(line, text, words, None, [line] * len(words))


def _of_rows(file: str, columns: Columns, labelled: bool) -> TaggedTexts:
    read_notes: list[str] = []
    rows = read_rows(file, columns, read_notes.append)
    sentences, notes = read_tagged_rows(rows, file, columns, labelled=labelled)
    notes = read_notes + notes
    if labelled:
        if not any(sentence.spans for sentence in sentences):
            raise UserError(f"{file}: no sentence has a word: give a file with words and tags")
        notes += scheme_notes(file, sentences)
    return TaggedTexts(file, sentences, tuple(notes))


def _running_text(file: str, encoding: str | None) -> list[TaggedText]:
    sentences = [
        of_text(line, number) for number, line in read_lines(file, encoding) if line.strip()
    ]
    if not sentences:
        raise UserError(f"{file}: holds no text: give a file with a sentence a line")
    return sentences
