"""What can be wrong with a file of labelled texts."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from selfsup.corpus.readers.documents import BadRecord
from selfsup.doctor import Fact, Finding, Problem, fix_of
from selfsup.errors import UserError
from selfsup.tasks.classification.data import LabelledTexts
from selfsup.tasks.classification.label_decision import MANY_LABELS, learn_labels
from selfsup.tasks.classification.label_fields import (
    missing_labels,
    names_in,
    read_labels,
    without_label,
)
from selfsup.tasks.classification.label_notes import alike_notes, joined_notes
from selfsup.tasks.classification.raw_labels import settled_labels
from selfsup.tasks.labels import Labels
from selfsup.tasks.notes import FEWEST_EXAMPLES, MOST_FREQUENT, counted
from selfsup.tasks.tables import (
    LABEL_NAMES,
    Columns,
    Row,
    column_names,
    find_columns,
    first_columns,
    held,
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
    records = list(held(read_records(file, asked, _MAX_ROWS, notes.append), file))
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
    labels = read_labels(rows, file, columns.label, errors=[])
    missing = missing_labels(labels)
    lacking = without_label(labels, missing)
    if lacking:
        says_so = f' or say that there is none ("{min(missing)}")' if missing else ""
        yield Problem(
            f"{file}: {counted(len(lacking), 'row has', 'rows have')} no label{says_so}; the first "
            f"is in line {rows[lacking[0]].line}",
            "label them, or leave them out with --missing-labels drop",
        )
    known = [label or () for label in labels]
    lines = [row.line for row in rows]
    examples = LabelledTexts(file, lines, texts, None, known).without(lacking)
    if not len(examples):
        return
    decided = problem = None
    try:
        decided = learn_labels(examples, None)
        settled = settled_labels(examples, decided)
    except UserError as error:
        settled, problem = examples, Problem.from_error(error)
    if left_out := len(examples) - len(settled):
        yield Fact("left out, as not agreed upon", left_out)
    yield Fact("examples", len(rows) - left_out)
    if problem is not None:
        yield problem
    if decided is not None and decided.kind == "number":
        numbers = [float(str(label)) for label in settled.labels or []]
        yield Fact("labels", f"numbers from {min(numbers):g} to {max(numbers):g}")
    elif decided is not None:
        yield from _label_problems(settled, decided)
    yield from _text_problems(settled)


def _label_problems(examples: LabelledTexts, labels: Labels) -> Iterator[Finding]:
    """Odd names, rare labels and frequent ones."""
    counts = Counter(label for given in examples.labels or [] for label in names_in(given))
    if len(counts) <= MANY_LABELS:
        yield Fact("labels", dict(counts.most_common()))
    joined = joined_notes(examples.source, labels.names) if labels.kind == "class" else []
    for note in (*alike_notes(examples.source, counts), *joined):
        yield Problem.from_error(UserError(note))
    if rare := {label: count for label, count in counts.items() if count < FEWEST_EXAMPLES}:
        shown = ", ".join(f'"{label}" ({count})' for label, count in list(rare.items())[:5])
        yield Problem(
            f"labels with fewer than {FEWEST_EXAMPLES} examples: {shown}",
            "give more examples of them, or merge them with others",
        )
    label, most = counts.most_common(1)[0]
    if most > MOST_FREQUENT * len(examples):
        share = most / len(examples)
        yield Problem(
            f'{share:.0%} of the examples have the label "{label}": always predicting it is right '
            "as often",
            "judge by f1_macro, not by f1"
            if labels.kind == "multi"
            else "judge by f1 or matthews_correlation, not by accuracy",
        )


def _text_problems(examples: LabelledTexts) -> Iterator[Problem]:
    texts = examples.first
    if empty := [line for line, text in zip(examples.lines, texts, strict=True) if not text]:
        yield Problem(
            f"{examples.source}: {counted(len(empty), 'text is', 'texts are')} empty; the first is "
            f"in line {empty[0]}",
            "remove these rows (finetune leaves them out of training anyway)",
        )
    labels_of: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
    for text, label in zip(texts, examples.labels or [], strict=True):
        if text:
            labels_of[text].add(tuple(sorted(names_in(label))))
    if ambiguous := [text for text, found in labels_of.items() if len(found) > 1]:
        yield Problem(
            f"{counted(len(ambiguous), 'text occurs', 'texts occur')} with different labels, such "
            f"as {_short(ambiguous[0])}",
            "decide on one label for each",
        )
    repeated = len(texts) - len(empty) - len(labels_of)
    if repeated:
        yield Problem(
            f"{counted(repeated, 'text repeats', 'texts repeat')} an earlier one",
            "remove them, so that no text is both in training and in validation",
        )
    long = sum(text.count(" ") >= _MAX_WORDS for text in texts)
    if long > _MAX_LONG_SHARE * len(texts):
        yield Problem(
            f"{long:,} of {len(texts):,} texts have more than {_MAX_WORDS} words, and finetune "
            "truncates them at 128 tokens",
            "finetune with a larger --max-length",
        )


def _short(text: str) -> str:
    return f'"{text[:40]}…"' if len(text) > 40 else f'"{text}"'
