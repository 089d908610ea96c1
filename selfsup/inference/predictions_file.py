"""The file of predictions: a JSON line or a row of CSV for each example, in the order of the data.

Predictions are written one by one, and the file appears under its name when it is complete.
"""

import codecs
import contextlib
import csv
import errno
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any

from selfsup.atomic_files import replacing, writing_to
from selfsup.errors import UserError
from selfsup.structured_files import parse_json
from selfsup.terminal import data_output

STANDARD_OUTPUT = "-"
# Endings of tables and compressed files, which a predictions file must not have.
_OTHER_ENDINGS = (".tsv", ".parquet", ".gz", ".bz2", ".xz", ".zst")
# Each of our predictions has one of these keys, and no training file has. The exception are
# predicted numbers without known labels, which look like a training file.
_MARKS = {"prediction", "probabilities", "tag_probabilities", "n_best"}

Write = Callable[[dict[str, Any]], None]

_to_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def check_writable(
    file: str | Path, reads: str | Path | None = None, *, as_answers: bool = False
) -> None:
    """Create the file's folder, and check that the file can be written, before hours of work.

    Args:
        file: where predictions will be written.
        reads: the file that they are predictions for.
        as_answers: whether a .json file holds ``{"id": "answer"}``.

    Raises:
        UserError: it cannot be written, or it would overwrite the data or a file that does not hold
            predictions.
    """
    if file == STANDARD_OUTPUT:
        return
    path = Path(file)
    if path.is_dir():
        raise UserError(f"cannot write {path}: this is a folder: name a file")
    if reads is not None and path.exists() and Path(reads).exists() and path.samefile(reads):
        raise UserError(f"cannot write {path}: it is the file to predict for: name another")
    if path.suffix.lower() in _OTHER_ENDINGS:
        raise UserError(
            f"cannot write {path}: predictions are JSON lines or CSV: name it NAME.jsonl or "
            "NAME.csv"
        )
    if path.is_file() and not _holds_predictions(path, as_answers):
        raise UserError(
            f"cannot write {path}: it is there already and does not look like predictions: name "
            "another file, or delete it"
        )
    with writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(path.parent, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


@contextlib.contextmanager
def predictions_file(
    file: str | Path,
    form: str | None = None,
    *,
    as_answers: bool = False,
    named_by_user: bool = True,
) -> Iterator[Write]:
    """Yield a function that writes a prediction; the file is there when the block ends well.

    Args:
        file: where to; ``-`` for standard output, to which each prediction is written at once.
        form: "jsonl" or "csv"; by default as the file's name says.
        as_answers: whether a .json file holds ``{"id": "answer"}``, which SQuAD's own script
            scores.
        named_by_user: as for ``replacing``.

    Raises:
        UserError: the disk is full, read-only or not writable.
    """
    path = Path(file)
    if named_by_user:
        check_writable(file, as_answers=as_answers)
    if as_answers and path.suffix.lower() == ".json":
        writing = _writing_answers
    elif form == "csv" or (form is None and path.suffix.lower() == ".csv"):
        writing = _writing_csv
    else:
        writing = _writing_lines
    opened: AbstractContextManager[IO[bytes]] = (
        contextlib.nullcontext(data_output())
        if file == STANDARD_OUTPUT
        else replacing(path, named_by_user=named_by_user)
    )
    with opened as out:
        with writing(out) as write:
            yield write
        out.flush()


def write_predictions(
    file: str | Path,
    predictions: Iterable[dict[str, Any]],
    *,
    as_answers: bool = False,
    named_by_user: bool = True,
) -> None:
    """Write all predictions; see ``predictions_file``."""
    with predictions_file(file, as_answers=as_answers, named_by_user=named_by_user) as write:
        for prediction in predictions:
            write(prediction)


@contextlib.contextmanager
def _writing_lines(file: IO[bytes]) -> Iterator[Write]:
    def write(prediction: dict[str, Any]) -> None:
        file.write((_to_json(prediction) + "\n").encode())

    yield write


@contextlib.contextmanager
def _writing_answers(file: IO[bytes]) -> Iterator[Write]:
    before = "{"

    def write(prediction: dict[str, Any]) -> None:
        nonlocal before
        answer = f"{_to_json(prediction['id'])}: {_to_json(prediction['answer'])}"
        file.write((before + answer).encode())
        before = ", "

    yield write
    file.write(b"}\n")


@contextlib.contextmanager
def _writing_csv(file: IO[bytes]) -> Iterator[Write]:
    """All records have the same columns."""
    writer: csv.DictWriter | None = None

    def write(prediction: dict[str, Any]) -> None:
        nonlocal writer
        row = _flat(prediction)
        if writer is None:
            # All texts are in quotes: the writer puts none around a carriage return otherwise.
            writer = csv.DictWriter(
                codecs.getwriter("utf-8")(file), list(row), quoting=csv.QUOTE_NONNUMERIC,
                lineterminator="\n",
            )  # fmt: skip
            writer.writeheader()
        writer.writerow(row)

    yield write


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    """A record for CSV: ``{"probabilities": {"a": 1}}`` becomes a column ``probabilities.a``.

    Lists are written as JSON.
    """
    flat = {}
    for name, value in record.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{key}": entry for key, entry in value.items()}
        else:
            is_list = isinstance(value, list)
            flat[name] = _to_json(value) if is_list else value
    return flat


def _holds_predictions(path: Path, as_answers: bool) -> bool:
    """Whether a file is empty, or holds what ``predictions_file`` writes."""
    try:
        with path.open("rb") as file:
            first = file.readline()
            if not first:
                return True
            columns = next(csv.reader([first.decode("utf-8", errors="replace")]), [])
            if any(name.partition(".")[0] in _MARKS for name in columns):
                return True
            record = parse_json(first)
    except (OSError, ValueError, csv.Error):
        return False
    if not isinstance(record, dict):
        return False
    if as_answers and path.suffix.lower() == ".json":
        return all(isinstance(answer, str) for answer in record.values())
    return bool(_MARKS & record.keys())
