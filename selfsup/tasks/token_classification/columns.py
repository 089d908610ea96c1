"""Read tagged sentences from CoNLL columns: a word a line, a blank line after a sentence.

The word is in the first column, or in the second if the first one numbers the words. Its tag is in
the last one, or in the first of several last ones that hold tags.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import NamedTuple

from selfsup.corpus.readers import compression
from selfsup.corpus.readers.bounds import HeldMemory, shown_size
from selfsup.corpus.readers.documents import LONGEST_RECORD_BYTES
from selfsup.corpus.readers.encodings import utf8_text
from selfsup.corpus.readers.inputs import Input, opening
from selfsup.errors import UserError
from selfsup.tasks.notes import DataError, collect_errors
from selfsup.tasks.tables import Columns, in_blocks
from selfsup.tasks.token_classification.characters import NOTE, are_characters, of_characters
from selfsup.tasks.token_classification.spelling import is_with_prefix, may_be_tag
from selfsup.tasks.token_classification.tag_scheme import (
    TaggedText,
    TaggedTexts,
    with_usual_tags,
)

_DOCUMENT_BORDER = "-DOCSTART-"
_SPACES = re.compile("[ \t]+")
# Comments as CoNLL-U has them: "# sent_id = 3", "# newdoc", "# newpar id = 2".
_COMMENT = re.compile(r"# *(?:\S+ = |newdoc\b|newpar\b)")
# Comments as others have them: "# some words", "## klue-ner-v1_dev_00000\ta sentence".
_MAY_BE_COMMENT = re.compile(r"#+[ \t]+\S")
# CoNLL-U's words that several others make up, and words that are not in the text.
_NO_WORD = re.compile(r"\d+[-.]\d+")
_CONLL_U_WIDTH, _CONLL_U_POS = 10, 3
# The types of chunks in CoNLL's columns, which stand before the tags of entities.
_CHUNKS = {"NP", "VP", "PP", "ADVP", "ADJP", "SBAR", "PRT", "CONJP", "INTJ", "LST", "UCP"}
# How the files of other tools begin.
_OTHER_TOOL = re.compile(r"(?P<brat>T\d+\t\S+ \d+ \d+)|#FORMAT=(?P<WebAnno>WebAnno)")
_NEARLY_ALL = 0.9
# How many lines decide whether a file holds columns, and how long all of them may be.
_LOOKED_AT, _LOOKED_AT_CHARACTERS = 50, 1 << 20
# About what a line takes in memory until it is part of a sentence, and each of its columns.
_LINE_BYTES, _COLUMN_BYTES = 400, 70

_Row = tuple[int, list[str]]  # a line's number and its columns


def read_lines(file: str, encoding: str | None = None) -> Iterator[tuple[int, str]]:
    """The lines of a text file with their numbers from 1, also of a compressed one.

    Raises:
        UserError: the file cannot be read, is not UTF-8, or has an endless line; the message names
            the line.
    """
    with opening(Input(file, file, "")) as raw:
        try:
            read = partial(utf8_text(raw, file, encoding).readline, LONGEST_RECORD_BYTES)
            for number, line in enumerate(iter(read, b""), 1):
                if len(line) == LONGEST_RECORD_BYTES and not line.endswith(b"\n"):
                    raise UserError(
                        f"{file}, line {number}: longer than {shown_size(LONGEST_RECORD_BYTES)}: "
                        "give a file with a line break after each example"
                    )
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
    asked: Columns = Columns(),  # noqa: B008 - is frozen
    *,
    labelled: bool,
    mistakes: list[UserError] | None = None,
) -> TaggedTexts:
    """Read all sentences of a file of columns, with notes on which of them were taken.

    See ``read_conll_blocks``.
    """
    notes: list[str] = []
    read = list(read_conll_blocks(file, asked, notes.append, labelled=labelled, mistakes=mistakes))
    whole = read[0] if read else TaggedTexts(file, [])
    return with_usual_tags(replace(whole, notes=tuple(notes)))


def read_conll_blocks(
    file: str,
    asked: Columns,
    tell: Callable[[str], None],
    size: int | None = None,
    *,
    labelled: bool,
    mistakes: list[UserError] | None = None,
) -> Iterator[TaggedTexts]:
    """Read the sentences of a file of columns in blocks; what the columns hold the first tells.

    Columns are separated by tabs, or by spaces in lines without a tab. Lines that begin with
    ``-DOCSTART-`` end a sentence and hold no word. Before the first word of a sentence, a line of
    running text that begins with ``# `` is a comment. Where words are characters, an empty one is
    a space.

    Args:
        file: a path or URL.
        asked: the numbers of columns that the user named, and the encoding.
        tell: takes notes on how the file is read.
        size: most sentences in a block; None for all in one.
        labelled: whether tags are wanted; without them one column is enough.
        mistakes: collects the errors of lines, which are then left out; None to raise them.

    Raises:
        UserError: there is no sentence in it, or a line has other columns than it should.
    """
    asked.file_format.refuse_for(file)
    form, left_out, is_empty = None, 0, True
    parts = _parts(file, asked.file_format.encoding, are_held=size is None)
    for block in in_blocks(parts, size, lambda part: sum(len(line) for _, line in part)):
        sentences = _sentences([line for part in block for line in part])
        if not sentences:
            continue
        form = form or _find_form(file, sentences, asked, labelled, tell)
        found = []
        for sentence in sentences:
            rows = [row for row in sentence if not form.leaves_out(row)]
            left_out += len(sentence) - len(rows)
            if tagged := _tagged(file, rows, form, labelled, mistakes):
                found.append(tagged)
        if found:
            is_empty = False
            yield TaggedTexts(file, found, (), form.by_character)
    if is_empty and not mistakes:
        raise UserError(f"{file}: holds no sentences: give a file with a word and its tag a line")
    if left_out:
        tell(f"{file}: lines with a number such as 1-2 or 1.1 left out: {left_out:,}")


class _Form(NamedTuple):
    """What the columns of a file hold.

    Attributes:
        width: how many there are.
        word, tag: the columns of words and tags, from 0.
        numbered: whether the first numbers the words.
        by_character: whether the words are characters.
    """

    width: int
    word: int
    tag: int
    numbered: bool
    by_character: bool

    def leaves_out(self, row: _Row) -> bool:
        """Whether a line holds no word of its own."""
        return self.numbered and _NO_WORD.fullmatch(row[1][0]) is not None


def _find_form(
    file: str,
    sentences: list[list[_Row]],
    asked: Columns,
    labelled: bool,
    tell: Callable[[str], None],
) -> _Form:
    rows = [columns for sentence in sentences for _, columns in sentence]
    if tool := _OTHER_TOOL.match("\t".join(rows[0])):
        raise UserError(
            f"{file}: a file of {tool.lastgroup}, which is not read: export CoNLL columns, or JSON "
            'lines such as {"text": …, "entities": [{"start": 0, "end": 6, "label": "PER"}]}'
        )
    width = _width(rows)
    word, tag, numbered, notes = 0, width - 1, False, []
    if width > 1 or asked.text or asked.label:
        usual = [[columns for _, columns in each if len(columns) == width] for each in sentences]
        word, tag, numbered, notes = _find_columns(file, usual, width, asked, labelled)
    by_character = are_characters(each[word] or " " for each in rows if len(each) == width)
    for note in [*notes, NOTE] if by_character else notes:
        tell(f"{file}: {note}")
    return _Form(width, word, tag, numbered, by_character)


def _tagged(
    file: str,
    rows: list[_Row],
    form: _Form,
    labelled: bool,
    mistakes: list[UserError] | None,
) -> TaggedText | None:
    """The sentence of these rows; None if none of them can be used."""
    lines, words, tags = [], [], []
    for number, columns in rows:
        with collect_errors(mistakes):
            where = f"{file}, line {number}"
            _check(where, columns, form.width, labelled)
            if not columns[form.word] and not form.by_character:
                raise _lacking(where, "word", form.word, ", or leave a blank line")
            if labelled and not columns[form.tag]:
                raise _lacking(where, "tag", form.tag)
            lines.append(number)
            words.append(columns[form.word] or " ")
            tags.append(columns[form.tag])
    if not lines:
        return None
    make = of_characters if form.by_character else TaggedText.from_words
    return make(lines[0], words, tags if labelled else None, lines)


def _parts(file: str, encoding: str | None, *, are_held: bool) -> Iterator[list[tuple[int, str]]]:
    """The lines up to each border between sentences.

    Raises:
        UserError: those of a sentence, or of all if they ``are_held``, take more than
            ``bounds.MOST_HELD_BYTES``.
    """
    memory, part = HeldMemory(file), []
    for number, line in read_lines(file, encoding):
        columns = line.count("\t") + line.count(" ") + 1
        memory.add(_LINE_BYTES + 2 * len(line) + _COLUMN_BYTES * columns, number)
        part.append((number, line))
        if not line.strip():
            yield part
            part = []
            memory = memory if are_held else HeldMemory(file)
    if part:
        yield part


def first_lines(file: str, encoding: str | None) -> list[str]:
    """The lines that tell whether a file holds columns: 50, or fewer where they are long.

    Raises:
        UserError: as ``read_lines``.
    """
    taken, size = [], 0
    for _, line in islice(read_lines(file, encoding), _LOOKED_AT):
        taken.append(line)
        size += len(line)
        if size > _LOOKED_AT_CHARACTERS:
            break
    return taken


def looks_like_conll(lines: Iterable[str], share: float = 1.0) -> bool:
    """Whether at least this share of the lines that hold a word end in a tag."""
    rows = [columns for each in _sentences(enumerate(lines)) for _, columns in each]
    tags = [columns[-1] for columns in rows if len(columns) > 1 and may_be_tag(columns[-1])]
    return any(tag == "O" or is_with_prefix(tag) for tag in tags) and len(tags) >= share * len(rows)


def _columns(line: str) -> list[str]:
    if "\t" in line:
        return [column.strip(" ") for column in line.split("\t")]
    return _SPACES.split(line.strip(" "))


def _width(rows: list[list[str]]) -> int:
    """How many columns most rows have."""
    return Counter(map(len, rows)).most_common(1)[0][0] if rows else 0


def _sentences(lines: Iterable[tuple[int, str]]) -> list[list[_Row]]:
    """The rows of each sentence, without comments."""
    rows = [(number, line, _columns(line)) for number, line in lines]
    words = [columns for _, line, columns in rows if line.strip() and line[0] != "#"]
    width, tags = _width(words), {columns[-1] for columns in words}
    sentences: list[list[_Row]] = [[]]
    for number, line, columns in rows:
        if not line.strip() or columns[0] == _DOCUMENT_BORDER:
            sentences.append([])
        elif sentences[-1] or not _is_comment(line, columns, width, tags):
            sentences[-1].append((number, columns))
    return [sentence for sentence in sentences if sentence]


def _is_comment(line: str, columns: list[str], width: int, tags: set[str]) -> bool:
    """``# sent_id = 3`` or ``# some more words``, but no line with a word's columns."""
    if _COMMENT.match(line) or not _MAY_BE_COMMENT.match(line):
        return _COMMENT.match(line) is not None
    if columns[-1] in tags:  # a word, perhaps with a column too few
        return len(columns) != width and len(line.split()) > max(width, 2)
    has_text = any(" " in column for column in columns)
    return len(columns) != width or has_text or all(map(may_be_tag, tags))


def _find_columns(
    file: str, sentences: list[list[list[str]]], width: int, asked: Columns, labelled: bool
) -> tuple[int, int, bool, list[str]]:
    """The columns of words and of tags, whether the first numbers words, notes on guesses."""
    columns = [[row[place] for each in sentences for row in each] for place in range(width)]
    numbered = _count_words([[row[0] for row in each] for each in sentences])
    word, tag, notes = 0, width - 1, []
    if asked.text is not None:
        word = _asked("text", asked.text, width, file)
    elif numbered and width > 1 + labelled:
        word, another = 1, "(--text-column takes another)"
        notes.append(f"column 1 numbers the words: the words are taken from column 2 {another}")
    elif width > 1 and (numbered or (width > 2 and _are_numbers(columns[0]))):
        raise UserError(
            f"{file}: column 1 holds numbers and no words: name the column of the words, such as "
            "--text-column 2, or add it"
        )
    if labelled and asked.label is not None:
        tag = _asked("label", asked.label, width, file)
    elif labelled:
        tag, note = _tag_column(columns, word, numbered)
        notes += [f"{note}, --label-column takes others"] if note else []
    if labelled and tag == word:
        raise UserError(f"{file}: words and tags in column {tag + 1}: name another --label-column")
    return word, tag, numbered, notes


def _asked(flag: str, value: str, width: int, file: str) -> int:
    if value.isdecimal() and len(value) < 10 and 1 <= int(value) <= width:
        return int(value) - 1
    raise UserError(
        f"{file}: --{flag}-column {value}: its columns have no names: give a number from 1 to "
        f"{width}"
    )


def _count_words(column: list[list[str]]) -> bool:
    """Whether a column counts the words of each sentence, from 0 or 1, or all words."""
    rows = right = follow = last = 0
    for sentence in column:
        for place, value in enumerate(each for each in sentence if not _NO_WORD.fullmatch(each)):
            number = int(value) if value.isdecimal() and len(value) < 10 else -1
            follows = number > 0 and number == last + 1
            follow += follows and place > 0
            right += follows or (place == 0 and number in (0, 1))
            rows, last = rows + 1, number
    return follow > 0 and right >= _NEARLY_ALL * rows


def _are_numbers(column: list[str]) -> bool:
    return len(column) > 1 and sum(map(str.isdecimal, column)) >= _NEARLY_ALL * len(column)


def _tag_column(columns: list[list[str]], word: int, numbered: bool) -> tuple[int, str | None]:
    """The column of the tags, and what to say if it could be another."""
    last = len(columns) - 1
    tagged = [place for place in range(word + 1, last + 1) if _are_tags(columns[place])]
    if not tagged and numbered and len(columns) == _CONLL_U_WIDTH:
        return _CONLL_U_POS, f"CoNLL-U: the tags are taken from column {_CONLL_U_POS + 1}"
    if tagged in ([], [last]):
        return last, None
    # Of the last ones, the first are the tags of the outer entities, or the right tags.
    beside = [place for place in tagged if tagged[-1] == last and last - place < len(tagged)]
    kinds = {place: {tag[2:] for tag in columns[place]} - {""} for place in beside}
    taken = next((each for each in beside if not kinds[each] or kinds[each] - _CHUNKS), last)
    names = " and ".join(str(place + 1) for place in tagged)
    verb = "columns {} hold" if len(tagged) > 1 else "column {} holds"
    return taken, f"{verb.format(names)} tags: those of column {taken + 1} are taken"


def _are_tags(column: list[str]) -> bool:
    are_tags = sum(map(may_be_tag, column)) >= _NEARLY_ALL * len(column)
    return are_tags and any(tag in ("O", "o") or is_with_prefix(tag) for tag in set(column))


def _check(where: str, columns: list[str], width: int, labelled: bool) -> None:
    if labelled and len(columns) == 1:
        word = columns[0] if len(columns[0]) <= 30 else columns[0][:29] + "…"
        raise DataError(
            "lines of one column",
            f"{where}: one column, {word!r}, where a word and its tag should stand: add the tag",
        )
    if len(columns) != width:
        raise DataError(
            "lines with more or fewer columns than others",
            f"{where}: {len(columns)} columns where most lines have {width}: "
            "give every word the same columns",
        )


def _lacking(where: str, what: str, place: int, fix: str = "") -> DataError:
    message = f"{where}: no {what} in column {place + 1}: add it{fix}"
    return DataError(f"lines without a {what}", message)
