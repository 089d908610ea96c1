"""``selfsup predict``: predictions for one text or image, or for a file of them.

A predictions file holds a JSON line or a row of CSV for each example, in the order of the data.
"""

import codecs
import contextlib
import csv
import errno
import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from selfsup.atomic_files import replacing, write_bytes, writing_to
from selfsup.corpus.readers.encodings import utf8_text
from selfsup.errors import UserError
from selfsup.inference.predictor import Predictor
from selfsup.inference.standard_input import STANDARD_INPUT, data_file, read_examples
from selfsup.progress import ProgressDisplay, seconds_left
from selfsup.settings.inference import EvaluateSettings, PredictSettings
from selfsup.settings.labelled_data import refuse_unused
from selfsup.structured_files import parse_json
from selfsup.tasks.base import Reading
from selfsup.tasks.encoders import TEXT_ENCODERS
from selfsup.tasks.question_answering.task import NULL_THRESHOLD
from selfsup.tasks.registry import TaskModel, is_of_pairs, load_task_model
from selfsup.tasks.tables import Columns
from selfsup.training.compute import Compute, choose_compute

STANDARD_OUTPUT = "-"
# Endings of tables and compressed files, which a predictions file must not have.
_OTHER_ENDINGS = (".tsv", ".parquet", ".gz", ".bz2", ".xz", ".zst")
# Each of our predictions has one of these keys, and no training file has. The exception are
# predicted numbers without known labels, which look like a training file.
_MARKS = {"prediction", "probabilities", "tag_probabilities", "n_best"}


def predict(settings: PredictSettings) -> dict[str, Any]:
    """Predict with a fine-tuned model.

    Returns:
        for one text the line of a predictions file, such as ``{"text", "label", "probability",
        "probabilities"}``. For a file or standard input: ``examples``, the task's counts (such as
        how often each of ``labels`` was predicted), ``out`` and ``seconds``.

    Raises:
        UserError: the model or the file cannot be used, or the answers cannot be written.
    """
    if settings.has_many:
        return _predict_many(settings)
    predictor = Predictor(*load_model(settings))
    task = predictor.task
    texts = _texts_of(settings)
    if task.family is TEXT_ENCODERS:
        _check_texts(settings, texts)
    examples = task.examples_of(*texts)
    answers = predictor.predict_examples(examples, settings.batch_size, tell=_tell)
    return next(task.records(examples, answers))


def _predict_many(settings: PredictSettings) -> dict[str, Any]:
    """Predict for a file, or for the lines of standard input."""
    started = time.perf_counter()
    out = settings.out or STANDARD_OUTPUT
    columns = Columns(
        settings.text_column,
        text_pair=settings.text_pair_column,
        file_format=settings.file_format,
    )
    with (
        ProgressDisplay("predict") as display,
        data_file(settings.data, settings.data_format, display.message) as (file, tell),
    ):
        # A file may tell which task the model of another program is for.
        predictor = Predictor(*load_model(replace(settings, data=file, data_format=None)))
        task = predictor.task
        check_writable(out, file, as_answers=task.writes_answers_by_id)
        if file is None:
            examples = read_examples(task, tell, settings.encoding)
        else:
            examples = task.read_examples(file, Reading(columns), labelled=False)
        for note in examples.notes:
            tell(note)
        answers = predictor.predict_examples(
            examples, settings.batch_size, showing_share(display), tell
        )
    write_predictions(out, task.records(examples, answers), settings.format)
    return {
        "examples": len(answers),
        **task.count_predictions(answers, predictor.labels),
        "out": None if out == STANDARD_OUTPUT else out,
        "seconds": round(time.perf_counter() - started, 1),
    }


def _texts_of(settings: PredictSettings) -> tuple[list[str], list[str] | None]:
    """The text on the command line, or the question, and the second text or context."""
    if settings.question is not None:
        context = settings.text
        if context in (None, STANDARD_INPUT):
            context = _read_text(settings.context_file or STANDARD_INPUT, settings.encoding)
        return [settings.question], [context]
    assert settings.text is not None
    return [settings.text], None if settings.text_pair is None else [settings.text_pair]


def _check_texts(settings: PredictSettings, texts: tuple[list[str], list[str] | None]) -> None:
    """Refuse an empty text or question, and the name of a file as a text."""
    if not texts[0][0].strip():
        what = "TEXT" if settings.question is None else "--question"
        raise UserError(f"{what} is empty: give one that says something")
    with contextlib.suppress(OSError, ValueError):  # not a valid file name, for example too long
        if settings.text is not None and Path(settings.text).is_file():
            flag = "--context-file" if settings.question is not None else "--data"
            raise UserError(f"TEXT {settings.text}: is a file: give it with {flag}")


def _tell(note: str) -> None:
    print(note.removeprefix(": "), file=sys.stderr)  # there is no file name before the colon


def _read_text(file: str, encoding: str | None) -> str:
    try:
        with contextlib.ExitStack() as stack:
            raw = sys.stdin.buffer
            if file != STANDARD_INPUT:
                raw = stack.enter_context(Path(file).open("rb"))
            text = utf8_text(raw, f"--context-file {file}", encoding)
            return text.read().decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"--context-file {file}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise UserError(
            f"--context-file {file}: byte {error.start + 1} is not UTF-8: save it in that encoding"
        ) from None


def load_model(settings: EvaluateSettings | PredictSettings) -> tuple[TaskModel, Compute]:
    """The model of the settings, with their limits on answers, and what it is computed with.

    Raises:
        UserError: there is no such model, or a flag is not for its task.
    """
    assert settings.model is not None
    compute = choose_compute(settings.device, settings.precision, settings.threads)
    loaded = load_task_model(settings.model, paired=lambda: is_of_pairs(settings))
    refuse_unused(settings, loaded.task.name)
    preparation, labels = loaded.preparation, loaded.labels
    if settings.max_answer_length is not None:
        limits = replace(preparation.limits, max_answer_length=settings.max_answer_length)
        preparation = replace(preparation, limits=limits)
    if settings.null_threshold is not None:
        fitted = {**labels.fitted, NULL_THRESHOLD: settings.null_threshold}
        labels = replace(labels, fitted=fitted)
    return replace(loaded, preparation=preparation, labels=labels), compute


def showing_share(display: ProgressDisplay) -> Callable[[float], None]:
    """A function that takes the share that is done, and shows it with the time left."""
    started = time.perf_counter()

    def show(share: float) -> None:
        spent = time.perf_counter() - started
        display.update(share, seconds_left(spent, share), {})

    return show


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


def write_predictions(
    file: str | Path,
    predictions: Iterable[dict[str, Any]],
    form: str | None = None,
    *,
    named_by_user: bool = True,
) -> None:
    """Write the predictions; the file appears under its name when it is complete.

    A .json file of answers to questions holds ``{"id": "answer"}``, which SQuAD's own script
    scores.

    Args:
        file: where to; ``-`` for standard output.
        predictions: a record for each example.
        form: "jsonl" or "csv"; by default as the file's name says.

    Raises:
        UserError: the disk is full, read-only or not writable.
    """
    path, as_answers = Path(file), False
    if path.suffix.lower() == ".json":
        predictions = list(predictions)
        as_answers = all({"id", "answer"} <= prediction.keys() for prediction in predictions)
    check_writable(file, as_answers=as_answers)
    if as_answers:
        answers = {prediction["id"]: prediction["answer"] for prediction in predictions}
        text = json.dumps(answers, ensure_ascii=False) + "\n"
        write_bytes(path, text.encode(), named_by_user=named_by_user)
        return
    with (
        contextlib.nullcontext(sys.stdout.buffer)
        if file == STANDARD_OUTPUT
        else replacing(path, named_by_user=named_by_user)
    ) as opened:
        if form == "csv" or (form is None and path.suffix.lower() == ".csv"):
            _write_csv(opened, list(map(_flat, predictions)))
            return
        for prediction in predictions:
            opened.write((json.dumps(prediction, ensure_ascii=False) + "\n").encode())


def _write_csv(file: IO[bytes], rows: list[dict[str, Any]]) -> None:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    # All texts are in quotes: the writer puts none around a carriage return otherwise.
    writer = csv.DictWriter(
        codecs.getwriter("utf-8")(file), columns, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(rows)


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
            flat[name] = json.dumps(value, ensure_ascii=False) if is_list else value
    return flat


def _holds_predictions(path: Path, as_answers: bool) -> bool:
    """Whether a file is empty, or holds what ``write_predictions`` writes."""
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
