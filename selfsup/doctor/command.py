"""``selfsup doctor``: what is wrong with data or with a run, and how to mend it.

What it finds are results, not errors: the exit status is 0 with problems and without.
"""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from selfsup.doctor.labelled import is_labelled, labelled_problems
from selfsup.doctor.problem import Fact, Finding, Problem, collect
from selfsup.doctor.questions_and_tags import (
    is_squad,
    is_tagged,
    question_problems,
    tagged_problems,
)
from selfsup.doctor.run import run_kind, run_problems
from selfsup.doctor.unlabelled import (
    corpus_problems,
    image_problems,
    image_shards_problems,
    shards_problems,
)
from selfsup.errors import UserError
from selfsup.pretraining.modality import holds_images, holds_text, is_image_shards, is_token_shards
from selfsup.settings import DoctorSettings
from selfsup.shards.unfinished_images import is_unfinished


def doctor(settings: DoctorSettings) -> dict[str, Any]:
    """Look at what lies at a path.

    Returns:
        ``path``, ``kind`` (in words), ``counts`` (by name; of a run none) and ``problems``,
        each with ``what`` is wrong and its ``mend``.

    Raises:
        UserError: nothing lies there, or nothing that can be looked at.
    """
    kind, found = _diagnosis(settings.path)
    findings = list(collect(found))
    return {
        "path": settings.path,
        "kind": kind,
        "counts": {fact.name: fact.value for fact in findings if isinstance(fact, Fact)},
        "problems": [asdict(problem) for problem in findings if isinstance(problem, Problem)],
    }


def _diagnosis(path: str) -> tuple[str, Iterable[Finding]]:
    """What it is, and what is wrong with it, found while it is iterated over."""
    folder = Path(path)
    if is_image_shards(folder) or is_unfinished(folder):
        return "decoded images", image_shards_problems(folder)
    if is_token_shards(folder):
        return "token shards", shards_problems(folder)
    if _has_any(folder, "run.yaml", "metrics.jsonl", "summary.json"):
        return run_kind(folder), run_problems(folder)
    if _has_any(folder, "config.json", "model.safetensors"):
        raise UserError(f"{path}: a model folder: give the folder of the run that it lies in")
    if (runs := sorted(folder.glob("*/run.yaml"))) and not (holds_images(path) or holds_text(path)):
        first, more = runs[0].parent, f" (or one of {len(runs) - 1} more)" if runs[1:] else ""
        raise UserError(f"{path}: holds runs and no data: give one of them, such as {first}{more}")
    if not folder.is_dir():
        if is_squad(path):
            return "questions in SQuAD's form", question_problems(path)
        if is_tagged(path):
            return "tagged sentences", tagged_problems(path)
    if holds_images(path) and not holds_text(path):
        return "images", image_problems(path)
    if is_labelled(path):
        return "a labelled file", labelled_problems(path)
    return "text to pre-train on", corpus_problems(path)


def _has_any(folder: Path, *names: str) -> bool:
    return any((folder / name).exists() for name in names)
