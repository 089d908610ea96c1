"""The labels of a task: the names of a model's scores, and how ``config.json`` holds them."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from msgspec import Meta

from selfsup.errors import UserError
from selfsup.structured_files import WholeNumber, check

LabelKind = Literal["class", "multi", "number", "tag", "none"]

# Hugging Face's names for the kinds of sequence classification.
_PROBLEM_TYPES: dict[LabelKind, str] = {
    "class": "single_label_classification",
    "multi": "multi_label_classification",
    "number": "regression",
}
_KIND_OF_PROBLEM: dict[str, LabelKind] = {problem: kind for kind, problem in _PROBLEM_TYPES.items()}
_FITTED, _POSITIONS = "selfsup_fitted", "selfsup_label_positions"


class _LabelEntries(TypedDict, total=False):
    """The entries of ``config.json`` for the labels."""

    problem_type: str | None
    num_labels: Annotated[int, Meta(ge=1, le=1 << 20)] | None
    id2label: dict[str, str | WholeNumber] | None
    selfsup_fitted: dict[str, Annotated[float, Meta(ge=-1e30, le=1e30)]] | None


@dataclass(frozen=True)
class Labels:
    """The labels that occur in a task's training examples.

    Attributes:
        kind: "class": each example has one of the names. "multi": any number of them. "number":
            each has a number, and there is one name. "tag": each word has one of the names.
            "none": answers are not labels, and there are no names.
        names: in the order of the model's scores.
        mean, std: during training, of the training numbers; 0 and 1 otherwise.
        fitted: values fitted on the validation examples that turn scores into answers, such as a
            threshold; they are saved in ``config.json``.
        positions: of kind "multi": whether the files give vectors of 0 and 1, in which a label is
            named by its position.
    """

    kind: LabelKind
    names: tuple[str, ...] = ()
    mean: float = 0.0
    std: float = 1.0
    fitted: Mapping[str, float] = field(default_factory=dict)
    positions: bool = False

    def __len__(self) -> int:
        return len(self.names)


def composed(name: str) -> str:
    """A label without surrounding spaces, in the composed Unicode form (NFC).

    Two labels that look alike are then equal, whatever program wrote them.
    """
    return unicodedata.normalize("NFC", name).strip(" \ufeff\u200b").strip()


def unknown_label(what: str, names: Sequence[str], fix: str) -> UserError:
    """The error for a label that no training example has: ``what`` says which and where."""
    known = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
    return UserError(f"{what} was not among those trained on ({known}): {fix}")


def config_entries(labels: Labels) -> dict[str, Any]:
    """The entries of ``config.json`` for the labels, in the form of ``transformers``."""
    entries: dict[str, Any] = {}
    if labels.kind in _PROBLEM_TYPES:
        entries["problem_type"] = _PROBLEM_TYPES[labels.kind]
    if labels.names:
        entries["id2label"] = {str(number): name for number, name in enumerate(labels.names)}
        entries["label2id"] = {name: number for number, name in enumerate(labels.names)}
    if labels.fitted:
        entries[_FITTED] = dict(labels.fitted)
    if labels.positions:
        entries[_POSITIONS] = True
    return entries


def labels_of_config(raw: Mapping[str, Any], kinds: tuple[LabelKind, ...], folder: Path) -> Labels:
    """The labels of a model folder, ours or one that ``transformers`` saved.

    Args:
        raw: the entries of its ``config.json``.
        kinds: that its task can have.
        folder: for messages.

    Raises:
        UserError: the names are not numbered from 0, occur twice, or are too few.
    """
    check(raw, _LabelEntries, folder / "config.json")
    fitted = raw.get(_FITTED) or {}
    if kinds == ("none",):
        return Labels("none", fitted=fitted)
    names = _names(raw, folder)
    kind = kinds[0] if len(kinds) == 1 else _kind(raw, names, folder)
    if len(names) < 2 and kind in ("class", "tag"):
        raise UserError(f"{folder}/config.json: id2label must name two or more different labels")
    return Labels(kind, names, fitted=fitted, positions=raw.get(_POSITIONS) is True)


def _names(raw: Mapping[str, Any], folder: Path) -> tuple[str, ...]:
    """The names in ``id2label``; without it, the default names of ``transformers``."""
    given = raw.get("num_labels")
    count = given if isinstance(given, int) else 2
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


def _kind(raw: Mapping[str, Any], names: tuple[str, ...], folder: Path) -> LabelKind:
    """As in ``transformers``: one score is a number unless ``problem_type`` says otherwise."""
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
