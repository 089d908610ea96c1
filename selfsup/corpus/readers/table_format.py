"""Find out from its first rows how a table is written: its delimiter, and whether it has a header.

What is taken is said where it is not usual, and what cannot be settled is refused.
"""

import contextlib
import csv
import io
import re
from collections.abc import Callable, Collection, Sequence
from itertools import islice
from typing import NamedTuple

from selfsup.corpus.readers.documents import composed
from selfsup.errors import UserError
from selfsup.settings.reading import FileFormat

SAMPLED_ROWS = 50
# A delimiter under which fewer rows than this share have the columns of the first is not found.
_LEAST_AGREEMENT = 0.5
_DELIMITERS = (",", ";", "\t", "|")

# The usual names of columns, the most specific first.
TEXT_NAMES = (
    "text", "sentence", "document", "review", "content", "comment", "tweet", "utterance",
    "question", "description", "body", "message", "sentence1", "title",
    "텍스트", "본문", "리뷰", "문장", "내용", "本文", "テキスト", "文本", "内容",
)  # fmt: skip
LABEL_NAMES = (
    "label", "labels", "class", "category", "sentiment", "target", "gold_label", "intent", "topic",
    "rating", "stars", "score", "similarity", "y",
    "라벨", "레이블", "분류", "감정", "평점", "ラベル", "分類", "标签", "类别",
)  # fmt: skip
# The names of the two columns of pairs.
PAIR_NAMES = (
    ("premise", "hypothesis"), ("sentence1", "sentence2"), ("text_a", "text_b"),
    ("sentence_a", "sentence_b"), ("text1", "text2"), ("question1", "question2"),
    ("question", "answer"), ("question", "sentence"), ("question", "passage"),
    ("query", "passage"), ("query", "document"), ("query", "text"), ("text", "text_pair"),
    ("a", "b"),
)  # fmt: skip
_OTHER_NAMES = ("id", "index", "idx", "name", "date", "tokens", "words", "tags", "summary", "url")
_PAIRED = (name for pair in PAIR_NAMES for name in pair if len(name) > 1)  # "a" may be a label
_USUAL = {*TEXT_NAMES, *LABEL_NAMES, *_OTHER_NAMES, *_PAIRED}

_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?(?=[\r\n]|$)', re.IGNORECASE)  # Excel's
_ENDS_AS_SENTENCE = re.compile(r"\s\S+[.!?…]$|[。！？]$")
_MANY_WORDS, _MANY_CHARACTERS = 4, 40
_NUMBER = re.compile(r"[-+]?\d[\d.,:/%eE+-]*")


class TableFormat(NamedTuple):
    """How a text table is written.

    Attributes:
        delimiter: one character.
        quoting: ``csv.QUOTE_NONE`` where quotation marks are ordinary characters.
        skipped: rows before the header: 1 where the first is ``sep=;``.
        names: of the columns; None if they are in the first row.
    """

    delimiter: str
    quoting: int
    skipped: int
    names: list[str] | None


def find_format(
    sample: str,
    source: str,
    asked: FileFormat,
    known: Collection[str],
    tell: Callable[[str], None],
) -> TableFormat:
    """Find the format of a text table.

    Args:
        sample: its beginning, without a row that is cut off.
        source: the file's name. In .tsv a tab is usual and quotation marks are ordinary.
        asked: what the user says of it.
        known: names that the user gives for columns.
        tell: takes a sentence for the user on what was taken.

    Raises:
        UserError: it cannot be told how the table is written.
    """
    usual = "\t" if ".tsv" in source.lower() else ","
    skipped = 0
    named = asked.delimiter
    if line := _SEPARATOR_LINE.match(sample):
        skipped, named = 1, named or line[1]
        sample = sample[line.end() :].lstrip("\r\n")
    delimiter = named or _find_delimiter(sample, source, usual)
    if named is None and delimiter != usual:
        shown = "tabs" if delimiter == "\t" else f"'{delimiter}'"
        tell(f"{source}: columns are separated by {shown} (--delimiter changes it)")
    quoting = csv.QUOTE_NONE if delimiter == usual == "\t" else csv.QUOTE_MINIMAL
    rows = _rows(sample, delimiter, quoting)
    return TableFormat(delimiter, quoting, skipped, find_names(rows, source, asked, known, tell))


def _rows(sample: str, delimiter: str, quoting: int) -> list[list[str]]:
    """The first rows of a sample in which something stands."""
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter, quoting=quoting)  # type: ignore[arg-type]
    rows: list[list[str]] = []
    with contextlib.suppress(csv.Error):  # reported where the rows are read
        rows.extend(islice(reader, SAMPLED_ROWS))
    return [row for row in rows if any(map(str.strip, row))]


def _find_delimiter(sample: str, source: str, usual: str) -> str:
    """The delimiter under which most rows have as many columns as the first, above one."""
    agreement = {}
    for delimiter in _DELIMITERS:
        quoting = csv.QUOTE_NONE if delimiter == usual == "\t" else csv.QUOTE_MINIMAL
        rows = _rows(sample, delimiter, quoting)
        if rows and len(rows[0]) > 1:
            agreement[delimiter] = sum(len(row) == len(rows[0]) for row in rows) / len(rows)
    if usual == "\t":  # a text in a file of one column may hold commas
        agreement = agreement if usual not in agreement else {usual: 1.0}
        agreement = {one: share for one, share in agreement.items() if share == 1}
    most = max(agreement.values(), default=0.0)
    best = [delimiter for delimiter, share in agreement.items() if share == most]
    if "," in best and len(best) > 1 and not re.search(r"(?<!\d),|,(?!\d)", sample):
        best.remove(",")  # it stands in numbers only, as in 1,5
    if most < _LEAST_AGREEMENT:
        return usual
    if len(best) > 1:
        shown = " or ".join("a tab" if one == "\t" else f"'{one}'" for one in best)
        raise UserError(f"{source}: columns may be separated by {shown}: say which by --delimiter")
    return best[0]


def find_names(
    rows: Sequence[list[str]],
    source: str,
    asked: FileFormat,
    known: Collection[str],
    tell: Callable[[str], None],
) -> list[str] | None:
    """The names of the columns, or None if they are in the first row.

    Arguments are those of ``find_format``, but for the first rows of the table.

    Raises:
        UserError: the first row looks like an example, or --columns has another number of names.
    """
    if not rows:
        return None
    first = [composed(cell.strip()) for cell in rows[0]]
    shown = ", ".join(f'"{cell[:20]}…"' if len(cell) > 20 else f'"{cell}"' for cell in first[:5])
    names = list(map(composed, asked.columns or ()))
    if names and names == first:
        return None
    is_header = _is_header(first, rows[1:], known)
    if names or not asked.header:
        if names and len(names) != len(first):
            raise UserError(
                f"{source}: --columns has {len(names)} names, and the first row {len(first)} "
                f"columns ({shown}): name each column"
            )
        if is_header:
            flag = "--columns" if names else "--no-header"
            tell(f"{source}: line 1 is read as an example, as {flag} says: {shown}")
        return names or [str(number) for number in range(1, len(first) + 1)]
    if is_header is False:
        raise UserError(
            f"{source}: line 1 looks like an example, not like column names ({shown}): add "
            "--no-header, or name the columns, as in --columns label,text"
        )
    if is_header is None:
        tell(f"{source}: line 1 is taken for the column names, {shown} (--no-header changes it)")
    return None


def _is_header(first: list[str], rows: Sequence[list[str]], known: Collection[str]) -> bool | None:
    """Whether the first row holds the names of columns; None if nothing tells."""
    others = [row for row in rows if [composed(cell.strip()) for cell in row] != first]
    recurring, is_example = set(), False
    for place, cell in enumerate(first):
        column = [row[place].strip() for row in others if place < len(row)]
        if cell and cell in map(composed, column):
            recurring.add(cell)
        # Only an index, the first column, goes without a name; else this is the table's title.
        is_example |= not cell and place > 0 and any(column)
        is_example |= _is_running_text(cell) or (
            _NUMBER.fullmatch(cell) is not None
            and bool(column)
            and all(_NUMBER.fullmatch(value) for value in column)
        )
    if any(cell in known or cell.lower() in _USUAL for cell in first if cell not in recurring):
        return True
    return False if recurring or is_example else None


def _is_running_text(cell: str) -> bool:
    return (
        len(cell.split()) >= _MANY_WORDS
        or len(cell) > _MANY_CHARACTERS
        or _ENDS_AS_SENTENCE.search(cell) is not None
    )
