"""Read tables of labelled examples, and find which column holds what.

A table is CSV, TSV, Excel, JSON lines, Parquet or ``hf://``. Columns are those that the user
names, or are found by their usual names.
"""

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from itertools import islice
from sys import getsizeof
from typing import Any, NamedTuple, TypeVar

from selfsup.corpus.readers import compression
from selfsup.corpus.readers.bounds import HeldMemory, memory_of
from selfsup.corpus.readers.documents import (
    BadRecord,
    composed,
    field_names,
    is_encodable,
    refuse_repeated_names,
    with_paths,
)
from selfsup.corpus.readers.inputs import find_inputs, opening
from selfsup.corpus.readers.table_format import LABEL_NAMES, PAIR_NAMES, TEXT_NAMES
from selfsup.corpus.readers.tables import (
    JSON_LINES,
    WITH_HEADER,
    hub_rows,
    named_rows,
    parquet_rows,
)
from selfsup.errors import UserError
from selfsup.settings.reading import FileFormat

ENDINGS = ".csv, .tsv, .jsonl or .parquet (also with .gz, .xz, .zst, .bz2), .xlsx or hf://NAME"
_ROWS_LOOKED_AT = 1000  # many, since a stray quotation mark may damage several rows
_ROW_BYTES = 150  # of a row itself and its place in a list
_LONGEST_USUAL_NAME = 100

# A block of examples ends before it has this many characters more than its last example.
_CHARACTERS_IN_BLOCK = 1 << 22

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Row(NamedTuple):
    """One row.

    Attributes:
        line: the line where it begins, from 1 (in Parquet, the row's number from 1).
        fields: column names to values.
    """

    line: int
    fields: dict[str, Any]


@dataclass(frozen=True)
class Columns:
    """What the user says of a table; None where a column is to be guessed.

    Attributes:
        text: of the text, or of the first text of a pair.
        label: of the label.
        text_pair: of the second text of a pair.
        label_separator: the separator of several labels in one field, if any.
        missing_labels: what is done with rows without a label: "drop", "keep", or None to refuse
            them.
        file_format: its encoding and delimiter, and whether it has a header.
    """

    text: str | None = None
    label: str | None = None
    text_pair: str | None = None
    label_separator: str | None = None
    missing_labels: str | None = None
    file_format: FileFormat = field(default_factory=FileFormat)

    def composed(self) -> "Columns":
        """The same with names in Unicode's composed form, as those of rows are."""
        names = (self.text, self.label, self.text_pair)
        text, label, text_pair = (name and composed(name) for name in names)
        return replace(self, text=text, label=label, text_pair=text_pair)


def read_rows(
    file: str,
    asked: Columns = Columns(),
    tell: Callable[[str], None] = _log.warning,
) -> list[Row]:
    """Read a whole table; see ``read_row_blocks``."""
    (rows,) = read_row_blocks(file, asked, tell)
    return rows


def read_row_blocks(
    file: str,
    asked: Columns = Columns(),
    tell: Callable[[str], None] = _log.warning,
    size: int | None = None,
) -> Iterator[list[Row]]:
    """Read a table in blocks of at most ``size`` rows, or as one. No row with a mistake is skipped.

    ``tell`` takes sentences for the user on how the file is read.

    Raises:
        UserError: the file is missing, empty, of another kind, too large to be held, or one of its
            rows is damaged (the message names its line).
    """
    is_empty = True
    records = read_records(file, asked, tell=tell)
    rows = map(_checked, held(records, file) if size is None else records)
    for block in in_blocks(rows, size, lambda row: sum(map(_characters, row.fields.values()))):
        is_empty = False
        yield block
    if is_empty:
        raise UserError(f"{file}: holds no rows: give a file with at least one example")


def in_blocks(
    items: Iterable[T], size: int | None, characters_of: Callable[[T], int]
) -> Iterator[list[T]]:
    """Yield the items in lists of at most ``size``, and fewer where they are long; all if None."""
    if size is None:
        if whole := list(items):
            yield whole
        return
    block, characters = [], 0
    for item in items:
        block.append(item)
        characters += characters_of(item)
        if len(block) == size or characters >= _CHARACTERS_IN_BLOCK:
            yield block
            block, characters = [], 0
    if block:
        yield block


def _characters(value: Any) -> int:
    """About how long a field is."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list | dict):
        return sum(map(_characters, value.values() if isinstance(value, dict) else value))
    return 1


def is_table(file: str) -> bool:
    """Whether this is one file of rows with named fields.

    Raises:
        UserError: the file does not exist.
    """
    found = find_inputs([file])
    return len(found) == 1 and found[0].suffix in (*WITH_HEADER, *JSON_LINES, ".parquet", "hub")


def read_records(
    file: str,
    asked: Columns = Columns(),
    at_most: int | None = None,
    tell: Callable[[str], None] = _log.warning,
) -> Iterator[Row | BadRecord]:
    """Yield the rows of a table, or its first ``at_most``, including unreadable ones.

    Raises:
        UserError: the file is missing or of another kind.
    """
    if not is_table(file):
        raise UserError(f"{file}: not a table that can be read: give one file, {ENDINGS}")
    (found,) = find_inputs([file])
    if found.suffix not in WITH_HEADER:
        asked.file_format.refuse_for(file)
    if found.suffix == "hub":
        yield from (_row(row, file) for row in islice(hub_rows(found.url), at_most))
        return
    asked = asked.composed()
    known = {name for name in (asked.text, asked.label, asked.text_pair) if name is not None}
    with opening(found) as raw:
        try:
            if found.suffix == ".parquet":
                whole = compression.seekable(raw, found.name)
                records = parquet_rows(whole, file, partial(_all_columns, file))
            else:
                records = named_rows(raw, found, asked.file_format, known, tell)
            for record in islice(records, at_most):
                yield record if isinstance(record, BadRecord) else _row(record, file)
        except compression.DAMAGED as error:
            raise UserError(f"{file}: damaged or cut short ({error}): copy it again") from None


def held(records: Iterable[Row | BadRecord], file: str) -> Iterator[Row | BadRecord]:
    """The records of a file, for a reader that keeps all of them.

    Raises:
        UserError: together they take more than ``bounds.MOST_HELD_BYTES``.
    """
    memory = HeldMemory(file)
    for record in records:
        if isinstance(record, Row):
            fields = record.fields
            size = _ROW_BYTES + getsizeof(fields) + sum(map(memory_of, fields.values()))
        else:
            size = _ROW_BYTES + getsizeof(record.reason)
        memory.add(size, record.line or 0)
        yield record


def first_columns(file: str, asked: Columns = Columns()) -> list[str]:
    """The column names in the first rows of a table.

    Raises:
        UserError: as ``read_records``.
    """
    records = held(read_records(file, asked, _ROWS_LOOKED_AT, tell=lambda note: None), file)
    return column_names([record for record in records if isinstance(record, Row)])


def column_names(rows: list[Row]) -> list[str]:
    """All column names, in the order of their first appearance; nested fields have paths."""
    return field_names(row.fields for row in rows)


def _row(record: tuple[int, dict[str, Any]], file: str) -> Row | BadRecord:
    """The row, unless a text in it cannot be encoded: JSON can hold half of a character."""
    line, fields = record
    broken = next((name for name, value in fields.items() if not _is_whole(value)), None)
    if broken is None:
        if any(isinstance(value, dict) for value in fields.values()):
            fields = with_paths(fields)
        return Row(line, {_name(name): value for name, value in fields.items()})
    return BadRecord(file, line, f'"{broken}" holds half a character (a lone surrogate)')


def _name(name: str) -> str:
    """A column's name in composed form, as one object for all rows."""
    return _usual_name(name) if len(name) <= _LONGEST_USUAL_NAME else composed(name)


@lru_cache(4096)
def _usual_name(name: str) -> str:
    return composed(name)


def _is_whole(value: Any) -> bool:
    if isinstance(value, list | dict):
        return all(map(_is_whole, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, str) or is_encodable(value)


def _checked(record: Row | BadRecord) -> Row:
    if isinstance(record, BadRecord):
        fix = "fix the row or remove it"
        if "UTF-8" in record.reason:
            fix += ", or say with --encoding in what the whole file is written"
        raise UserError(f"{record}: {fix}")
    return record


def _all_columns(file: str, schema: Any) -> None:
    refuse_repeated_names(schema.names, file)


# How many rows decide whether a column holds running text.
_COLUMNS_LOOKED_AT = 50


def find_columns(
    rows: list[Row], source: str, asked: Columns, *, labelled: bool, paired: bool = False
) -> tuple[Columns, str | None]:
    """Find the columns, and a sentence for the user on those that were guessed, if any.

    A column that the user does not name is found by its usual names. Otherwise the text is the only
    column of running text (for a pair: the two such columns), and the label the only other column.

    Raises:
        UserError: a column is missing or cannot be guessed.
    """
    asked = asked.composed()
    names = column_names(rows)
    _check_named(names, source, asked, labelled)
    label = asked.label if labelled else None
    if labelled and label is None:
        label = _by_name(names, LABEL_NAMES, {asked.text, asked.text_pair})
    text, text_pair = asked.text, None
    if paired:
        text, text_pair = _find_pair(rows, source, asked, names, label)
    if text is None:
        text = _by_name(names, TEXT_NAMES, {label}) or _running_text(rows, label)
    if text is None:
        raise _cannot_guess(source, "the text", "--text-column", names)
    if labelled and label is None:
        others = [name for name in names if name not in (text, text_pair)]
        if len(others) != 1:
            raise _cannot_guess(source, "the label", "--label-column", names)
        label = others[0]
    found = replace(asked, text=text, label=label, text_pair=text_pair)
    return found, _note(source, asked, found)


def holds_pairs(names: list[str]) -> bool:
    """Whether two of the columns have usual names for the texts of pairs."""
    lowered = {name.strip().lower() for name in names}
    return any({first, second} <= lowered for first, second in PAIR_NAMES)


def _check_named(names: list[str], source: str, asked: Columns, labelled: bool) -> None:
    given = {"--text-column": asked.text, "--text-pair-column": asked.text_pair}
    if labelled:
        given["--label-column"] = asked.label
    for flag, name in given.items():
        if name is not None and name not in names:
            raise UserError(f"{source}: {flag} {name}: no such column (it has: {', '.join(names)})")
    for (flag, name), (other, same) in itertools.combinations(given.items(), 2):
        if name is not None and name == same:
            raise UserError(f"{source}: {flag} and {other} are both {name}: name two columns")


def _find_pair(
    rows: list[Row], source: str, asked: Columns, names: list[str], label: str | None
) -> tuple[str, str]:
    """Both columns of a pair."""
    if asked.text is not None and asked.text_pair is not None:
        return asked.text, asked.text_pair
    free = {name.strip().lower(): name for name in reversed(names) if name != label}
    for first, second in PAIR_NAMES:
        pair = free.get(first), free.get(second)
        agrees = asked.text in (None, pair[0]) and asked.text_pair in (None, pair[1])
        if None not in pair and agrees:
            return pair[0], pair[1]  # pyright: ignore[reportReturnType]
    running = [name for name in _running_texts(rows) if name != label]
    if asked.text is None and asked.text_pair is None and len(running) == 2:
        return running[0], running[1]
    named = asked.text or asked.text_pair
    others = [name for name in running if name != named]
    if named is not None and len(others) == 1:
        return (named, others[0]) if asked.text else (others[0], named)
    raise UserError(
        f"{source}: which columns hold the two texts of a pair? It has: {', '.join(names)}; "
        "name them with --text-column and --text-pair-column"
    )


def _by_name(names: list[str], usual: tuple[str, ...], taken: set[str | None]) -> str | None:
    free = {name.strip().lower(): name for name in reversed(names) if name not in taken}
    return next((free[name] for name in usual if name in free), None)


def _running_text(rows: list[Row], label: str | None) -> str | None:
    """The only column whose fields mostly have several words."""
    candidates = [name for name in _running_texts(rows) if name != label]
    return candidates[0] if len(candidates) == 1 else None


def _running_texts(rows: list[Row]) -> list[str]:
    first = rows[:_COLUMNS_LOOKED_AT]
    return [
        name
        for name in column_names(first)
        if sum(len(str(row.fields.get(name) or "").split()) > 1 for row in first) * 2 > len(first)
    ]


def _cannot_guess(source: str, what: str, flag: str, names: list[str]) -> UserError:
    return UserError(
        f"{source}: which column holds {what}? It has: {', '.join(names)}; name it with {flag}"
    )


def _note(source: str, asked: Columns, found: Columns) -> str | None:
    guessed = []
    if asked.text is None:
        what = "the text" if found.text_pair is None else "the first text"
        guessed.append(f'{what} from column "{found.text}"')
    if found.text_pair is not None and asked.text_pair is None:
        guessed.append(f'the second text from column "{found.text_pair}"')
    if found.label is not None and asked.label is None:
        guessed.append(f'the label from column "{found.label}"')
    if not guessed:
        return None
    start, last = ", ".join(guessed[:-1]), guessed[-1]
    return f"{source}: taking {f'{start} and {last}' if start else last}"
