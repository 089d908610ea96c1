"""Predictions files: JSON lines, one for each example, in the order of the data."""

import errno
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from selfsup.atomic_files import replacing, write_bytes, writing_to
from selfsup.errors import UserError

# Endings of tables and compressed files, which a predictions file must not have.
_OTHER_ENDINGS = (".csv", ".tsv", ".parquet", ".gz", ".bz2", ".xz", ".zst")
# Each of our predictions has one of these keys, and no training file has. The exception are
# predicted numbers without known labels, which look like a training file.
_MARKS = {"prediction", "probabilities", "tag_probabilities", "n_best"}


def check_writable(
    file: str | Path, reads: str | Path | None = None, *, as_answers: bool = False
) -> None:
    """Create the file's folder, and check that the file can be written, before hours of work.

    Args:
        file: where predictions will be written.
        reads: the file that they are predictions for.
        as_answers: whether they are answers to questions, whose .json files hold
            ``{"id": "answer"}``.

    Raises:
        UserError: it cannot be written, or it would overwrite the data or a file that does not hold
            predictions.
    """
    path = Path(file)
    if path.is_dir():
        raise UserError(f"cannot write {path}: this is a folder: name a file")
    if reads is not None and path.exists() and Path(reads).exists() and path.samefile(reads):
        raise UserError(f"cannot write {path}: it is the file to predict for: name another")
    if path.suffix.lower() in _OTHER_ENDINGS:
        raise UserError(f"cannot write {path}: predictions are JSON lines: name it NAME.jsonl")
    if path.is_file() and not _holds_predictions(path, as_answers):
        raise UserError(
            f"cannot write {path}: it is there already and does not look like predictions: name "
            "another file, or delete it"
        )
    with writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(path.parent, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def write_predictions(file: str | Path, predictions: Iterable[dict[str, Any]]) -> None:
    """Write the predictions; the file appears under its name when it is complete.

    A .json file of answers to questions holds ``{"id": "answer"}``, which SQuAD's own script
    scores.

    Raises:
        UserError: the disk is full, read-only or not writable.
    """
    path, as_answers = Path(file), False
    if path.suffix.lower() == ".json":
        predictions = list(predictions)
        as_answers = all({"id", "answer"} <= prediction.keys() for prediction in predictions)
    check_writable(path, as_answers=as_answers)
    if as_answers:
        answers = {prediction["id"]: prediction["answer"] for prediction in predictions}
        write_bytes(path, (json.dumps(answers, ensure_ascii=False) + "\n").encode())
        return
    with replacing(path) as opened:
        for prediction in predictions:
            opened.write((json.dumps(prediction, ensure_ascii=False) + "\n").encode())


def _holds_predictions(path: Path, as_answers: bool) -> bool:
    """Whether a file is empty, or holds what ``write_predictions`` writes."""
    try:
        with path.open("rb") as file:
            first = file.readline()
            if not first:
                return True
            record = json.loads(first)
    except (OSError, ValueError, RecursionError):
        return False
    if not isinstance(record, dict):
        return False
    if as_answers and path.suffix.lower() == ".json":
        return all(isinstance(answer, str) for answer in record.values())
    return bool(_MARKS & record.keys())
