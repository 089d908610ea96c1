"""Read tables of labelled examples, and find which column holds what.

A table is CSV, TSV, JSON lines, Parquet or ``hf://``. Columns are those that the user names, or are
found by their usual names.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any, NamedTuple

from selfsup.corpus.readers import compression
from selfsup.corpus.readers.documents import BadRecord, is_encodable, refuse_repeated_names
from selfsup.corpus.readers.inputs import find_inputs, opening
from selfsup.corpus.readers.tables import csv_rows, hub_rows, json_objects, tsv_rows
from selfsup.errors import UserError

ENDINGS = ".csv, .tsv, .jsonl or .parquet (also with .gz, .xz, .zst, .bz2), or hf://NAME"
_ROWS_LOOKED_AT = 1000  # many, since a stray quotation mark may damage several rows
_READERS = {".csv": csv_rows, ".tsv": tsv_rows, ".jsonl": json_objects, ".ndjson": json_objects}


class Row(NamedTuple):
    """One row.

    Attributes:
        line: the line where it begins, from 1 (in Parquet, the row's number from 1).
        fields: column names to values.
    """

    line: int
    fields: dict[str, Any]


def read_rows(file: str) -> list[Row]:
    """Read a whole table. No row is skipped, since labelled files are small.

    Raises:
        UserError: the file is missing, empty, of another kind, or one of its rows is damaged (the
            message names its line).
    """
    rows = [_checked(record) for record in read_records(file)]
    if not rows:
        raise UserError(f"{file}: holds no rows: give a file with at least one example")
    return rows


def is_table(file: str) -> bool:
    """Whether this is one file of rows with named fields.

    Raises:
        UserError: the file does not exist.
    """
    found = find_inputs([file])
    return len(found) == 1 and found[0].suffix in (*_READERS, ".parquet", "hub")


def read_records(file: str, at_most: int | None = None) -> Iterator[Row | BadRecord]:
    """Yield the rows of a table, or its first ``at_most``, including unreadable ones.

    Raises:
        UserError: the file is missing or of another kind.
    """
    if not is_table(file):
        raise UserError(f"{file}: not a table that can be read: give one file, {ENDINGS}")
    (found,) = find_inputs([file])
    if found.suffix == "hub":
        yield from (_row(row, file) for row in islice(hub_rows(found.url), at_most))
        return
    with opening(found) as raw:
        try:
            if found.suffix == ".parquet":
                whole = compression.seekable(raw, found.name)
                yield from islice(_parquet_rows(whole, file), at_most)
                return
            records = _READERS[found.suffix](compression.decompressed(raw, found.name), file)
            for record in islice(records, at_most):
                yield record if isinstance(record, BadRecord) else _row(record, file)
        except compression.DAMAGED as error:
            raise UserError(f"{file}: damaged or cut short ({error}): copy it again") from None


def first_columns(file: str) -> list[str]:
    """The column names in the first rows of a table.

    Raises:
        UserError: as ``read_records``.
    """
    records = read_records(file, _ROWS_LOOKED_AT)
    return column_names([record for record in records if isinstance(record, Row)])


def column_names(rows: list[Row]) -> list[str]:
    """All column names, in the order of their first appearance."""
    return list(dict.fromkeys(name for row in rows for name in row.fields))


def _row(record: tuple[int, dict[str, Any]], file: str) -> Row | BadRecord:
    """The row, unless a text in it cannot be encoded: JSON can hold half of a character."""
    line, fields = record
    broken = next((name for name, value in fields.items() if not _is_whole(value)), None)
    if broken is None:
        return Row(line, fields)
    return BadRecord(file, line, f'"{broken}" holds half a character (a lone surrogate)')


def _is_whole(value: Any) -> bool:
    if isinstance(value, list | dict):
        return all(map(_is_whole, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, str) or is_encodable(value)


def _checked(record: Row | BadRecord) -> Row:
    if isinstance(record, BadRecord):
        fix = "fix the row or remove it"
        if "UTF-8" in record.reason:
            fix += ", or write the whole file as UTF-8 (iconv -f LATIN1 -t UTF-8)"
        raise UserError(f"{record}: {fix}")
    return record


def _parquet_rows(file: IO[bytes], name: str) -> list[Row]:
    import pyarrow  # takes a tenth of a second, so only when needed
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(file)
        refuse_repeated_names(table.schema_arrow.names, name)
        fields = [fields for batch in table.iter_batches() for fields in batch.to_pylist()]
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{name}: cannot be read as Parquet: {reason}") from None
    return [Row(number, row) for number, row in enumerate(fields, 1)]


# The column names of public classification data, the most specific first.
TEXT_NAMES = (
    "text", "sentence", "document", "review", "content", "comment", "tweet", "utterance",
    "question", "description", "body", "message", "sentence1", "title",
)  # fmt: skip
LABEL_NAMES = (
    "label", "labels", "class", "category", "sentiment", "target", "gold_label", "intent", "topic",
    "rating", "stars", "score", "similarity", "y",
)  # fmt: skip
# The names of the two columns of pairs.
PAIR_NAMES = (
    ("premise", "hypothesis"), ("sentence1", "sentence2"), ("text_a", "text_b"),
    ("sentence_a", "sentence_b"), ("text1", "text2"), ("question1", "question2"),
    ("question", "answer"), ("question", "sentence"), ("question", "passage"),
    ("query", "passage"), ("query", "document"), ("query", "text"), ("text", "text_pair"),
    ("a", "b"),
)  # fmt: skip

# How many rows decide whether a column holds running text.
_COLUMNS_LOOKED_AT = 50


@dataclass(frozen=True)
class Columns:
    """Names of columns; None where the column is to be guessed.

    Attributes:
        text: of the text, or of the first text of a pair.
        label: of the label.
        text_pair: of the second text of a pair.
        label_separator: the separator of several labels in one field, if any.
        missing_labels: what is done with rows without a label: "drop", "keep", or None to refuse
            them.
    """

    text: str | None = None
    label: str | None = None
    text_pair: str | None = None
    label_separator: str | None = None
    missing_labels: str | None = None


def find_columns(
    rows: list[Row], source: str, asked: Columns, *, labelled: bool, paired: bool = False
) -> tuple[Columns, str | None]:
    """Find the columns, and a sentence for the user on those that were guessed, if any.

    A column that the user does not name is found by its usual names. Otherwise the text is the only
    column of running text (for a pair: the two such columns), and the label the only other column.

    Raises:
        UserError: a column is missing or cannot be guessed.
    """
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
    found = Columns(text, label, text_pair, asked.label_separator)
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
