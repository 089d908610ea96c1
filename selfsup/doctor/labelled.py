"""What can be wrong with a file of labelled texts."""

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator

from selfsup.corpus.readers.documents import BadRecord
from selfsup.doctor import Fact, Finding, Problem, fix_of
from selfsup.errors import UserError
from selfsup.tasks.classification.data import (
    NO_AGREEMENT,
    hold_several,
    leaves_some_out,
    read_label,
)
from selfsup.tasks.classification.raw_labels import MANY_LABELS
from selfsup.tasks.notes import FEWEST_EXAMPLES, MOST_FREQUENT
from selfsup.tasks.tables import (
    LABEL_NAMES,
    Columns,
    Row,
    column_names,
    find_columns,
    first_columns,
    holds_pairs,
    is_table,
    read_records,
)

_MAX_ROWS = 1_000_000  # later rows are not read, to limit the memory
_MAX_WORDS, _MAX_LONG_SHARE = 128, 0.1  # words in a text, share of longer texts


def is_labelled(file: str, asked: Columns) -> bool:
    """Whether the file is a table with a column that has a usual name for labels.

    A table that cannot be read is taken for one, so that the doctor says what is wrong with it.
    """
    if not is_table(file):
        return False
    try:
        return any(name.strip().lower() in LABEL_NAMES for name in first_columns(file, asked))
    except UserError:
        return True


def labelled_problems(file: str, asked: Columns) -> Iterator[Finding]:
    """Read a labelled file as ``finetune`` does, but continue after mistakes.

    Raises:
        UserError: the file cannot be read at all, or has no text or no label column.
    """
    notes: list[str] = []
    records = list(read_records(file, asked, _MAX_ROWS, notes.append))
    if notes:
        yield Fact("notes", "; ".join(notes))
    rows = [record for record in records if isinstance(record, Row)]
    bad = [record for record in records if isinstance(record, BadRecord)]
    if bad:
        yield Problem(
            f"{len(bad):,} of {len(records):,} rows cannot be read; the first: {bad[0]}",
            fix_of(bad[0], "fix or remove these rows; finetune reads all rows or none"),
        )
    if not rows:
        yield Problem(f"{file}: holds no examples", "give a file with at least one row")
        return
    paired = holds_pairs(column_names(rows))
    columns, _ = find_columns(rows, file, asked, labelled=True, paired=paired)
    assert columns.label is not None
    names = [name for name in (columns.text, columns.text_pair) if name]
    texts = [" ".join(str(row.fields.get(name) or "") for name in names) for row in rows]
    texts = [" ".join(text.split()) for text in texts]
    several = hold_several(rows, columns.label)
    labels = [_labels(row, file, columns.label, several) for row in rows]
    if leaves_some_out(label for given in labels for label in given or ()):
        kept = [index for index, label in enumerate(labels) if label != (NO_AGREEMENT,)]
        yield Fact("left out, as not agreed upon", len(rows) - len(kept))
        rows, texts = [rows[index] for index in kept], [texts[index] for index in kept]
        labels = [labels[index] for index in kept]
    counts = _counts(labels)
    yield Fact("examples", len(rows))
    if not _are_measures(counts) and len(counts) <= MANY_LABELS:
        yield Fact("labels", dict(counts.most_common()))
    yield from _label_problems(file, rows, labels, columns.label, several)
    yield from _text_problems(file, rows, texts, labels)


def _labels(row: Row, file: str, column: str, several: bool) -> tuple[str, ...] | None:
    """The labels of one row; None if it has none that can be read."""
    try:
        label = read_label(row, file, column, several=several)
    except UserError:
        return None
    return tuple(sorted(label)) if isinstance(label, tuple) else (label,)


def _counts(labels: Iterable[tuple[str, ...] | None]) -> Counter[str]:
    return Counter(label for several in labels for label in several or ())


def _are_measures(labels: Collection[str]) -> bool:
    return all(map(_is_number, labels)) and any("." in label for label in labels)


def _is_number(label: str) -> bool:
    try:
        return math.isfinite(float(label))
    except ValueError:
        return False


def _label_problems(
    file: str, rows: list[Row], labels: list[tuple[str, ...] | None], column: str, several: bool
) -> Iterator[Problem]:
    if lacking := [row.line for row, label in zip(rows, labels, strict=True) if label is None]:
        yield Problem(
            f"{file}: {len(lacking):,} rows have no label; the first is in line {lacking[0]}",
            "label them or remove them",
        )
    counts = _counts(labels)
    if not counts:
        return
    if len(counts) == 1 and () not in labels:  # otherwise some rows have the label and others none
        yield Problem(
            f'all examples have the label "{next(iter(counts))}": there is nothing to distinguish',
            "give examples of another label, or name another --label-column",
        )
        return
    if _are_measures(counts):
        return  # numbers, for regression
    if len(counts) > max(MANY_LABELS, len(rows) / 2):
        yield Problem(
            f'column "{column}" has {len(counts):,} different labels in {len(rows):,} rows',
            "these are not classes: name another --label-column",
        )
        return
    if rare := {label: count for label, count in counts.items() if count < FEWEST_EXAMPLES}:
        shown = ", ".join(f'"{label}" ({count})' for label, count in list(rare.items())[:5])
        yield Problem(
            f"labels with fewer than {FEWEST_EXAMPLES} examples: {shown}",
            "give more examples of them, or merge them with others",
        )
    label, most = counts.most_common(1)[0]
    if most > MOST_FREQUENT * len(rows):
        share = most / len(rows)
        yield Problem(
            f'{share:.0%} of the examples have the label "{label}": always predicting it is right '
            "as often",
            "judge by f1_macro, not by f1"
            if several
            else "judge by f1 or matthews_correlation, not by accuracy",
        )


def _text_problems(
    file: str, rows: list[Row], texts: list[str], labels: list[tuple[str, ...] | None]
) -> Iterator[Problem]:
    if empty := [row.line for row, text in zip(rows, texts, strict=True) if not text]:
        yield Problem(
            f"{file}: {len(empty):,} texts are empty; the first is in line {empty[0]}",
            "remove these rows (finetune leaves them out of training anyway)",
        )
    labels_of: defaultdict[str, set[tuple[str, ...] | None]] = defaultdict(set)
    for text, label in zip(texts, labels, strict=True):
        if text:
            labels_of[text].add(label)
    if ambiguous := [text for text, found in labels_of.items() if len(found) > 1]:
        yield Problem(
            f"{len(ambiguous):,} texts occur with different labels, such as {_short(ambiguous[0])}",
            "decide on one label for each",
        )
    repeated = len(texts) - len(empty) - len(labels_of)
    if repeated:
        yield Problem(
            f"{repeated:,} texts are repetitions of others",
            "remove them, so that no text is both in training and in validation",
        )
    long = sum(text.count(" ") >= _MAX_WORDS for text in texts)
    if long > _MAX_LONG_SHARE * len(texts):
        yield Problem(
            f"{long:,} of {len(texts):,} texts have more than {_MAX_WORDS} words, and finetune "
            "cuts them at 128 tokens",
            "finetune with a larger --max-length",
        )


def _short(text: str) -> str:
    return f'"{text[:40]}…"' if len(text) > 40 else f'"{text}"'
