"""How long a sequence may be, and what becomes of a text that is longer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from selfsup.errors import UserError

LongText = Literal["truncate", "window"]

# As in BERT's own experiments on SQuAD.
DEFAULT_MAX_ANSWER_LENGTH = 30
_SHORTEST = 8  # as for --max-length


@dataclass(frozen=True)
class Limits:
    """What bounds a model's sequences; it is saved with the model.

    Attributes:
        max_length: most tokens of a sequence, ``[CLS]`` and ``[SEP]`` included.
        doc_stride: tokens that a window shares with the next one.
        long_text: of tasks that allow either: "truncate" a longer text, or divide it into windows.
        max_answer_length: of question answering: most tokens of an answer.
    """

    max_length: int
    doc_stride: int
    long_text: LongText = "truncate"
    max_answer_length: int = DEFAULT_MAX_ANSWER_LENGTH


def default_doc_stride(max_length: int) -> int:
    """A third, as are the 128 of 384 tokens that are usual for questions on long texts."""
    return max_length // 3


def limits_to_config(limits: Limits) -> dict[str, Any]:
    """Entries of ``config.json``; ``transformers`` keeps what it does not know."""
    return {
        "selfsup_max_length": limits.max_length,
        "selfsup_doc_stride": limits.doc_stride,
        "selfsup_long_text": limits.long_text,
        "selfsup_max_answer_length": limits.max_answer_length,
    }


def limits_of_config(raw: dict[str, Any], most_positions: int) -> Limits:
    """The limits of a model folder; of one that says none that can be, all its positions."""
    length = raw.get("selfsup_max_length")
    if not isinstance(length, int) or not _SHORTEST <= length <= most_positions:
        length = most_positions
    stride = raw.get("selfsup_doc_stride")
    stride = stride if isinstance(stride, int) and stride >= 0 else default_doc_stride(length)
    answer = raw.get("selfsup_max_answer_length")
    return Limits(
        length,
        stride,
        "window" if raw.get("selfsup_long_text") == "window" else "truncate",
        answer if isinstance(answer, int) and answer >= 1 else DEFAULT_MAX_ANSWER_LENGTH,
    )


# What a task's model answers with: the names of its scores, and how they are to be read.


Kind = Literal["class", "multi", "number", "tag", "none"]

# What Hugging Face calls the kinds of sequence classification.
_PROBLEM_TYPES: dict[Kind, str] = {
    "class": "single_label_classification",
    "multi": "multi_label_classification",
    "number": "regression",
}
_KIND_OF_PROBLEM: dict[str, Kind] = {problem: kind for kind, problem in _PROBLEM_TYPES.items()}
_FITTED = "selfsup_fitted"


@dataclass(frozen=True)
class Labels:
    """The labels of a task, as its training examples have them.

    Attributes:
        kind: "class": each example has one of the names. "multi": any number of them. "number":
            each has a number, and there is one name. "tag": each word has one of the names.
            "none": answers are no labels, and there are no names.
        names: in the order of the model's scores.
        mean, std: of the numbers trained on, for the time of training; 0 and 1 otherwise.
        fitted: what was fitted on the validation examples and turns scores into answers, such as
            a threshold; it is saved in ``config.json`` beside the labels.
    """

    kind: Kind
    names: tuple[str, ...] = ()
    mean: float = 0.0
    std: float = 1.0
    fitted: Mapping[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)


def unknown(what: str, names: Sequence[str], mend: str) -> UserError:
    """The refusal of a label that no training example had: what and where it is, what to do."""
    shown = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
    return UserError(f"{what} was not among those trained on ({shown}): {mend}")


def config_entries(labels: Labels) -> dict[str, Any]:
    """What ``config.json`` says of the labels, as ``transformers`` has it."""
    entries: dict[str, Any] = {}
    if labels.kind in _PROBLEM_TYPES:
        entries["problem_type"] = _PROBLEM_TYPES[labels.kind]
    if labels.names:
        entries["id2label"] = {str(number): name for number, name in enumerate(labels.names)}
        entries["label2id"] = {name: number for number, name in enumerate(labels.names)}
    if labels.fitted:
        entries[_FITTED] = dict(labels.fitted)
    return entries


def labels_of_config(raw: Mapping[str, Any], kinds: tuple[Kind, ...], folder: Path) -> Labels:
    """The labels of a model folder, ours or one that ``transformers`` saved.

    Args:
        raw: what its ``config.json`` says.
        kinds: those that its task has.
        folder: for messages.

    Raises:
        UserError: its names are not numbered from 0, occur twice, or are too few.
    """
    fitted = raw.get(_FITTED) or {}
    if not isinstance(fitted, dict) or not all(
        isinstance(value, int | float) for value in fitted.values()
    ):
        raise UserError(f"{folder}/config.json: {_FITTED} holds other things than numbers by name")
    if kinds == ("none",):
        return Labels("none", fitted=fitted)
    names = _names(raw, folder)
    kind = kinds[0] if len(kinds) == 1 else _kind(raw, names, folder)
    if len(names) < 2 and kind in ("class", "tag"):
        raise UserError(f"{folder}/config.json: id2label must name two or more different labels")
    return Labels(kind, names, fitted=fitted)


def _names(raw: Mapping[str, Any], folder: Path) -> tuple[str, ...]:
    """The names in ``id2label``; where there are none, as many as ``transformers`` would make."""
    count = raw.get("num_labels")
    count = count if isinstance(count, int) else 2
    named = raw.get("id2label") or {str(number): f"LABEL_{number}" for number in range(count)}
    try:
        names = tuple(str(named[str(number)]) for number in range(len(named)))
    except (KeyError, TypeError):
        raise UserError(
            f"{folder}/config.json: id2label does not number its labels from 0"
        ) from None
    if len(set(names)) != len(names):
        raise UserError(f"{folder}/config.json: id2label must name two or more different labels")
    return names


def _kind(raw: Mapping[str, Any], names: tuple[str, ...], folder: Path) -> Kind:
    """As ``transformers`` has it: one score is a number unless ``problem_type`` says otherwise."""
    problem = raw.get("problem_type")
    if problem is None:
        return "number" if len(names) == 1 else "class"
    kind = _KIND_OF_PROBLEM.get(str(problem))
    if kind is None:
        known = ", ".join(_PROBLEM_TYPES.values())
        raise UserError(f"{folder}/config.json: problem_type is {problem!r}; known are {known}")
    if kind == "number" and len(names) > 1:
        raise UserError(
            f"{folder}/config.json: a regression of {len(names)} numbers at once cannot be loaded"
        )
    return kind
