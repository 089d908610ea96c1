"""Read tagged sentences from CoNLL columns: a word a line, a blank line after a sentence.

The word is in the first column, or in the second if the first one numbers the words. Its tag is in
the last one, or in the first of several last ones that hold tags.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from selfsup.corpus.readers import compression
from selfsup.corpus.readers.inputs import Input, opening
from selfsup.errors import UserError
from selfsup.tasks.notes import DataError, collect_errors
from selfsup.tasks.tables import Columns
from selfsup.tasks.token_classification.characters import (
    are_characters,
    characters_note,
    of_characters,
)
from selfsup.tasks.token_classification.spelling import (
    is_with_prefix,
    may_be_tag,
    with_usual_tags,
)
from selfsup.tasks.token_classification.tag_scheme import TaggedText, TaggedTexts

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
# How a file of another kind begins.
_OTHER_FORMS = {
    "brat": re.compile(r"T\d+\t\S+ \d+ \d+"),
    "WebAnno": re.compile("#FORMAT=WebAnno"),
}
_NEARLY_ALL = 0.9

_Row = tuple[int, list[str]]  # a line's number and its columns


class _Layout(NamedTuple):
    """The columns of words, of tags, and of the words' numbers if there is one, from 0."""

    word: int
    tag: int
    number: int | None = None


def read_lines(file: str) -> Iterator[tuple[int, str]]:
    """The lines of a text file with their numbers from 1, also of a compressed one.

    Raises:
        UserError: the file cannot be read, or is not UTF-8; the message names the line.
    """
    with opening(Input(file, file, "")) as raw:
        try:
            for number, line in enumerate(compression.decompressed(raw, file), 1):
                if number == 1:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                try:
                    yield number, line.decode().rstrip("\r\n")
                except UnicodeDecodeError as error:
                    raise UserError(
                        f"{file}, line {number}: byte {error.start + 1} is not UTF-8: "
                        "write the whole file as UTF-8 (iconv -f LATIN1 -t UTF-8)"
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
    """Read the sentences of a file of columns, with notes on which of them were taken.

    Columns are separated by tabs, or by spaces in lines without a tab. Lines that begin with
    ``-DOCSTART-`` end a sentence and hold no word. Before the first word of a sentence, a line of
    running text that begins with ``# `` is a comment. Where words are characters, an empty one is
    a space.

    Args:
        file: a path or URL.
        asked: the numbers of columns that the user named.
        labelled: whether tags are wanted; without them one column is enough.
        mistakes: collects the errors of lines, which are then left out; None to raise them.

    Raises:
        UserError: there is no sentence in it, or a line has other columns than it should.
    """
    lines = list(read_lines(file))
    if form := other_form(line for _, line in lines):
        raise UserError(
            f"{file}: a file of {form}, which is not read: export CoNLL columns, or JSON lines "
            'such as {"text": …, "entities": [{"start": 0, "end": 6, "label": "PER"}]}'
        )
    sentences = _sentences(lines)
    width = _width([columns for sentence in sentences for _, columns in sentence])
    usable = [[row for row in each if len(row[1]) == width] for each in sentences]
    usable = [sentence for sentence in usable if sentence]
    layout, notes = _Layout(0, width - 1), []
    if width > 1 or (width and (asked.text or asked.label)):
        layout, notes = _find_layout(file, usable, width, asked, labelled)
    by_character = are_characters(
        columns[layout.word] or " " for each in usable for _, columns in each
    )
    left_out, found = 0, []
    for sentence in sentences:
        rows: list[_Row] = []
        before = ""
        for number, columns in sentence:
            is_counted = layout.number is not None and len(columns) == width
            count = columns[layout.number or 0] if is_counted else ""
            if _NO_WORD.fullmatch(count):
                left_out += 1
                continue
            with collect_errors(mistakes):
                where = f"{file}, line {number}"
                _check(where, columns, width, layout, labelled, by_character)
                _check_count(where, before, count)
                rows.append((number, columns))
                before = count
        if rows:
            found.append(_tagged(rows, layout, labelled, by_character))
    if not found and not mistakes:
        raise UserError(f"{file}: holds no sentences: give a file with a word and its tag a line")
    if left_out:
        notes.append(f"{file}: lines with a number such as 1-2 or 1.1 left out: {left_out:,}")
    if by_character:
        notes.append(characters_note(file))
    found, of_spelling = with_usual_tags(file, found)
    return TaggedTexts(file, found, (*notes, *of_spelling), by_character)


def looks_like_conll(lines: Iterable[str], share: float = 1.0) -> bool:
    """Whether at least this share of the lines that hold a word end in a tag."""
    rows = [columns for each in _sentences(list(enumerate(lines))) for _, columns in each]
    last = [columns[-1] for columns in rows if len(columns) > 1]
    tags = [tag for tag in last if may_be_tag(tag)]
    return any(tag == "O" or is_with_prefix(tag) for tag in tags) and len(tags) >= share * len(rows)


def other_form(lines: Iterable[str]) -> str | None:
    """The kind of a file of tags that has no columns, such as that of another tool."""
    first = next((line for line in lines if line.strip()), "")
    return next((form for form, begin in _OTHER_FORMS.items() if begin.match(first)), None)


def _columns(line: str) -> list[str]:
    if "\t" in line:
        return [column.strip(" ") for column in line.split("\t")]
    return _SPACES.split(line.strip(" "))


def _width(rows: Iterable[Sequence[str]]) -> int:
    """How many columns most rows have."""
    counts = Counter(map(len, rows))
    return max(counts, key=lambda width: counts[width], default=0)


def _sentences(lines: list[tuple[int, str]]) -> list[list[_Row]]:
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
    if not _MAY_BE_COMMENT.match(line):
        return _COMMENT.match(line) is not None
    if _COMMENT.match(line):
        return True
    if columns[-1] in tags:  # a word, perhaps with a column too few
        return len(columns) != width and len(line.split()) > max(width, 2)
    has_text = any(" " in column for column in columns)
    return len(columns) != width or has_text or all(map(may_be_tag, tags))


def _find_layout(
    file: str, sentences: list[list[_Row]], width: int, asked: Columns, labelled: bool
) -> tuple[_Layout, list[str]]:
    """Which column holds what, and notes for the user on what was not asked for."""
    columns = [
        [row[place] for sentence in sentences for _, row in sentence] for place in range(width)
    ]
    number = next(
        (
            place
            for place in range(width - 1)
            if _number_words([[row[place] for _, row in each] for each in sentences])
            and all(map(_repeats, columns[:place]))
        ),
        None,
    )
    notes: list[str] = []
    word = 0 if number is None else number + 1
    if asked.text is not None:
        word = _asked("text", asked.text, width, file)
    elif number is not None and not (labelled and word == width - 1):
        notes.append(
            f"{file}: column {number + 1} numbers the words: the words are taken from column "
            f"{word + 1} (--text-column takes another)"
        )
    elif number is not None or (width > 2 and _hold_numbers(columns[0])):
        raise UserError(
            f"{file}: column {(number or 0) + 1} holds numbers and no words: name the column of "
            "the words, such as --text-column 2, or add it"
        )
    tag = width - 1
    if not labelled:
        return _Layout(word, tag, number), notes
    if asked.label is not None:
        tag = _asked("label", asked.label, width, file)
    else:
        tag, note = _tag_column(columns, word, number)
        notes += [f"{file}: {note}, --label-column takes others"] if note else []
    if tag == word:
        raise UserError(
            f"{file}: column {word + 1} would hold the words and the tags: name two columns with "
            "--text-column and --label-column"
        )
    return _Layout(word, tag, number), notes


def _asked(flag: str, value: str, width: int, file: str) -> int:
    if not value.isdecimal() or not 1 <= int(value) <= width:
        raise UserError(
            f"{file}: --{flag}-column {value}: its columns have no names: give a number from 1 to "
            f"{width}"
        )
    return int(value) - 1


def _number_words(column: list[list[str]]) -> bool:
    """Whether a column counts the words of each sentence, from 0 or 1, or all words."""
    count = right = follow = last = 0
    for sentence in column:
        for place, value in enumerate(each for each in sentence if not _NO_WORD.fullmatch(each)):
            number = int(value) if value.isdecimal() else -1
            follows = number > 0 and number == last + 1
            follow += follows and place > 0
            right += follows or (place == 0 and number in (0, 1))
            count, last = count + 1, number
    return follow > 0 and right >= _NEARLY_ALL * count


def _repeats(column: list[str]) -> bool:
    """Whether a column mostly says the same as in the line before, such as a document's name."""
    return sum(a == b for a, b in pairwise(column)) >= _NEARLY_ALL * (len(column) - 1)


def _hold_numbers(column: list[str]) -> bool:
    return len(column) > 1 and sum(map(str.isdecimal, column)) >= _NEARLY_ALL * len(column)


def _tag_column(columns: list[list[str]], word: int, number: int | None) -> tuple[int, str | None]:
    """The column of the tags, and what to say if it could be another."""
    last = len(columns) - 1
    tagged = [place for place in range(word + 1, len(columns)) if _hold_tags(columns[place])]
    if not tagged and number is not None and len(columns) == _CONLL_U_WIDTH:
        return _CONLL_U_POS, f"CoNLL-U: the tags are taken from column {_CONLL_U_POS + 1}"
    if tagged in ([], [last]):
        return last, None
    # Of tags beside tags, the first are those of the outer entities, or the right ones.
    beside = [place for place in tagged if tagged[-1] == last and last - place < len(tagged)]
    of_entities = [place for place in beside if not _hold_chunks(columns[place])]
    taken = (of_entities or [last])[0]
    names = " and ".join(str(place + 1) for place in tagged)
    verb = "columns {} hold" if len(tagged) > 1 else "column {} holds"
    return taken, f"{verb.format(names)} tags: those of column {taken + 1} are taken"


def _hold_tags(column: list[str]) -> bool:
    are_tags = sum(map(may_be_tag, column)) >= _NEARLY_ALL * len(column)
    return are_tags and any(tag in ("O", "o") or is_with_prefix(tag) for tag in set(column))


def _hold_chunks(column: list[str]) -> bool:
    kinds = {tag[2:] for tag in column if tag[1:2] == "-"}
    return bool(kinds) and kinds <= _CHUNKS


def _check(
    where: str, columns: list[str], width: int, layout: _Layout, labelled: bool, by_character: bool
) -> None:
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
    if not columns[layout.word] and not by_character:
        raise DataError(
            "lines without a word",
            f"{where}: no word in column {layout.word + 1}: add it, or make the line blank",
        )
    if labelled and not columns[layout.tag]:
        raise DataError(
            "lines without a tag", f"{where}: no tag in column {layout.tag + 1}: add it"
        )


def _check_count(where: str, before: str, count: str) -> None:
    """Refuse numbers of words that begin again without a blank line."""
    if count in ("0", "1") and before.isdecimal() and int(before) >= int(count):
        raise DataError(
            "sentences that begin without a blank line",
            f"{where}: the numbers of the words begin again: put a blank line before it",
        )


def _tagged(rows: list[_Row], layout: _Layout, labelled: bool, by_character: bool) -> TaggedText:
    lines = [number for number, _ in rows]
    words = [columns[layout.word] for _, columns in rows]
    tags = [columns[layout.tag] for _, columns in rows] if labelled else None
    if by_character:
        return of_characters(lines[0], [word or " " for word in words], tags, lines)
    return TaggedText.from_words(lines[0], words, tags, lines)
