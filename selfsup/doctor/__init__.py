"""``selfsup doctor``: what is wrong with data or with a run, and how to fix it.

Problems are results, not errors: the exit status is 0, or 1 with ``--strict``.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfsup.corpus.readers.documents import BadRecord
from selfsup.errors import UserError
from selfsup.pretraining.modality import holds_images, holds_text, is_image_shards, is_token_shards
from selfsup.settings.showing import DoctorSettings
from selfsup.shards.images import ImageResumeState

_IN_UTF8 = "write the file as UTF-8 (iconv -f LATIN1 -t UTF-8)"

# What is looked at of each kind of data; of a run ``run.examined`` says it.
_EXAMINED = {
    "decoded images": ("checksums of the shards", "images left out"),
    "token shards": (
        "checksums", "tokenizer", "sentence and document offsets", "unknown tokens",
        "records left out", "duplicates", "empty documents", "sentence lengths", "amount of text",
    ),
    "questions in SQuAD's form": (
        "form", "answer offsets", "empty and repeated questions", "context lengths",
    ),
    "tagged sentences": (
        "form", "tag scheme", "entities of each type", "repeated sentences", "sentence lengths",
    ),
    "images": ("whether each can be read", "number of images"),
    "a labelled file": (
        "rows (the first million)", "labels", "empty, repeated and contradictory texts",
        "text lengths",
    ),
    "text to pre-train on": (
        "records (the first million)", "encoding", "empty and duplicate documents",
        "amount of text",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Problem:
    """Something that is wrong, and how to fix it."""

    what: str
    fix: str

    @classmethod
    def from_error(cls, error: UserError) -> "Problem":
        """Split an error's message; its part after the last colon says how to fix it."""
        what, _, fix = str(error).rpartition(": ")
        return cls(what, fix) if what else cls(fix, "")


@dataclass(frozen=True)
class Fact:
    """Something counted or detected: a number, a text, or a number for each of several names."""

    name: str
    value: Any


Finding = Problem | Fact


def collect(findings: Iterable[Finding]) -> Iterator[Finding]:
    """The findings; a ``UserError`` that ends them becomes the last one."""
    try:
        yield from findings
    except UserError as error:
        yield Problem.from_error(error)


def fix_of(record: BadRecord, otherwise: str) -> str:
    """How to fix a record that cannot be read: ``otherwise``, unless its encoding is wrong."""
    return _IN_UTF8 if "UTF-8" in record.reason else otherwise


def doctor(settings: DoctorSettings) -> dict[str, Any]:
    """Examine the data or the run at a path.

    Returns:
        ``path``, ``kind`` (in words), ``counts`` (by name; empty for a run), ``examined`` (what was
        looked at, in words) and ``problems``, each with ``what`` is wrong and its ``fix``.

    Raises:
        UserError: there is nothing at the path, or nothing that can be examined.
    """
    from selfsup.doctor import run  # imported late, as it needs the classes above

    kind, found = _diagnosis(settings.path)
    findings = list(collect(found))
    return {
        "path": settings.path,
        "kind": kind,
        "counts": {fact.name: fact.value for fact in findings if isinstance(fact, Fact)},
        "examined": list(_EXAMINED.get(kind) or run.examined(Path(settings.path))),
        "problems": [
            {"what": problem.what, "fix": problem.fix}
            for problem in findings
            if isinstance(problem, Problem)
        ],
    }


def _diagnosis(path: str) -> tuple[str, Iterable[Finding]]:
    """What is at the path, in words, and an iterator that examines it."""
    # Imported late, as these modules need the classes above.
    from selfsup.doctor import labelled, questions_and_tags, run, unlabelled

    folder = Path(path)
    if is_image_shards(folder) or ImageResumeState.load(folder) is not None:
        return "decoded images", unlabelled.image_shards_problems(folder)
    if is_token_shards(folder):
        return "token shards", unlabelled.shards_problems(folder)
    if _has_any(folder, "run.yaml", "metrics.jsonl", "summary.json"):
        return run.run_kind(folder), run.run_problems(folder)
    if _has_any(folder, "config.json", "model.safetensors"):
        raise UserError(f"{path}: a model folder: give the folder of its run")
    if (runs := sorted(folder.glob("*/run.yaml"))) and not (holds_images(path) or holds_text(path)):
        first, more = runs[0].parent, f" (or one of {len(runs) - 1} more)" if runs[1:] else ""
        raise UserError(f"{path}: holds runs and no data: give one of them, such as {first}{more}")
    if not folder.is_dir():
        if questions_and_tags.is_squad(path):
            return "questions in SQuAD's form", questions_and_tags.question_problems(path)
        if questions_and_tags.is_tagged(path):
            return "tagged sentences", questions_and_tags.tagged_problems(path)
    if holds_images(path) and not holds_text(path):
        return "images", unlabelled.image_problems(path)
    if labelled.is_labelled(path):
        return "a labelled file", labelled.labelled_problems(path)
    return "text to pre-train on", unlabelled.corpus_problems(path)


def _has_any(folder: Path, *names: str) -> bool:
    return any((folder / name).exists() for name in names)
