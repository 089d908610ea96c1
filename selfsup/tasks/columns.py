"""Which column of a labelled file holds what: as the user says, or by its name."""

from dataclasses import dataclass

from selfsup.errors import UserError
from selfsup.tasks.labelled_rows import Row, column_names

# The names that public classification data give their columns, most telling first.
TEXT_NAMES = (
    "text", "sentence", "document", "review", "content", "comment", "tweet", "utterance",
    "question", "description", "body", "message", "sentence1", "title",
)  # fmt: skip
LABEL_NAMES = (
    "label", "labels", "class", "category", "sentiment", "target", "gold_label", "intent", "topic",
    "rating", "stars", "y",
)  # fmt: skip

# How many rows a column is judged by.
_LOOKED_AT = 50


@dataclass(frozen=True)
class Columns:
    """Names of columns; None where the user leaves it to a guess."""

    text: str | None = None
    label: str | None = None


def find_columns(
    rows: list[Row], source: str, asked: Columns, *, labelled: bool
) -> tuple[Columns, str | None]:
    """Settle the columns, and say in a sentence which ones were guessed, if any.

    A column that is not named by the user is found by its usual names; failing that, the text is
    the only column of running text, and the label the only other column.

    Raises:
        UserError: a column is not there, or cannot be guessed.
    """
    names = column_names(rows)
    for flag, name in (("--text-column", asked.text), ("--label-column", asked.label)):
        if name is not None and name not in names and (labelled or flag == "--text-column"):
            raise UserError(f"{source}: {flag} {name}: no such column (it has: {', '.join(names)})")
    label = asked.label if labelled else None
    if labelled and label is None:
        label = _by_name(names, LABEL_NAMES, taken=asked.text)
    text = asked.text or _by_name(names, TEXT_NAMES, taken=label) or _running_text(rows, label)
    if text is None:
        raise _cannot_guess(source, "the text", "--text-column", names)
    if labelled and label is None:
        others = [name for name in names if name != text]
        if len(others) != 1:
            raise _cannot_guess(source, "the label", "--label-column", names)
        label = others[0]
    return Columns(text, label), _note(source, asked, text, label)


def _by_name(names: list[str], usual: tuple[str, ...], taken: str | None) -> str | None:
    free = {name.strip().lower(): name for name in reversed(names) if name != taken}
    return next((free[name] for name in usual if name in free), None)


def _running_text(rows: list[Row], label: str | None) -> str | None:
    """The only column in whose fields stand several words, mostly."""
    first = [row.fields for row in rows[:_LOOKED_AT]]
    candidates = [
        name
        for name in column_names(rows[:_LOOKED_AT])
        if name != label
        and sum(len(str(fields.get(name) or "").split()) > 1 for fields in first) * 2 > len(first)
    ]
    return candidates[0] if len(candidates) == 1 else None


def _cannot_guess(source: str, what: str, flag: str, names: list[str]) -> UserError:
    return UserError(
        f"{source}: which column holds {what}? It has: {', '.join(names)}; name it with {flag}"
    )


def _note(source: str, asked: Columns, text: str, label: str | None) -> str | None:
    guessed = [f'the text from column "{text}"'] if asked.text is None else []
    if label is not None and asked.label is None:
        guessed.append(f'the label from column "{label}"')
    return f"{source}: taking {' and '.join(guessed)}" if guessed else None
