"""``selfsup predict``: predictions for one text or image, or for a file of them.

A file is read, predicted and written in blocks, so that memory does not grow with it.
"""

import contextlib
import itertools
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from selfsup.corpus.readers.bounds import shown_size
from selfsup.corpus.readers.documents import LONGEST_RECORD_BYTES
from selfsup.corpus.readers.encodings import utf8_text
from selfsup.errors import UserError
from selfsup.inference.predictions_file import STANDARD_OUTPUT, check_writable, predictions_file
from selfsup.inference.predictor import Predictor
from selfsup.inference.standard_input import STANDARD_INPUT, data_file, line_blocks
from selfsup.progress import ProgressDisplay, seconds_left
from selfsup.settings.inference import EvaluateSettings, PredictSettings
from selfsup.settings.labelled_data import refuse_unused
from selfsup.special_files import refuse_special
from selfsup.tasks.base import Examples, Prediction, Reading
from selfsup.tasks.encoders import TEXT_ENCODERS
from selfsup.tasks.question_answering.task import NULL_THRESHOLD
from selfsup.tasks.registry import TaskModel, is_of_pairs, load_task_model
from selfsup.tasks.tables import Columns
from selfsup.terminal import say
from selfsup.training.compute import Compute, choose_compute

# Most examples of a block. Within one, texts of similar length share a batch.
BLOCK_SIZE = 8192


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
    """Predict for a file, or for the lines of standard input, block by block."""
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
        as_answers = task.writes_answers_by_id
        check_writable(out, file, as_answers=as_answers)
        if file is None:
            blocks = line_blocks(task, tell, BLOCK_SIZE, settings.encoding)
        else:
            blocks = task.read_blocks(file, Reading(columns), tell, BLOCK_SIZE)
        # What is wrong with the file as a whole is found before the output is begun.
        blocks = itertools.chain([next(blocks)], blocks)
        with predictions_file(out, settings.format, as_answers=as_answers) as write:
            written = _Written(predictor, settings.batch_size, write, display, tell)
            counts = task.count_predictions(written.predictions(blocks), predictor.labels)
    return {
        "examples": written.count,
        **counts,
        "out": None if out == STANDARD_OUTPUT else out,
        "seconds": round(time.perf_counter() - started, 1),
    }


@dataclass
class _Written:
    """Predicts for blocks of examples, and writes each block before the next is predicted.

    Attributes:
        predictor, batch_size: what predicts, and the most windows in a batch.
        write: takes the records.
        display: shows how many examples are done, and the share once the end is known.
        tell: takes notes. One of a kind is enough: later blocks are alike.
        count: how many examples are written.
    """

    predictor: Predictor
    batch_size: int
    write: Callable[[dict[str, Any]], None]
    display: ProgressDisplay
    tell: Callable[[str], None]
    count: int = 0

    def predictions(self, blocks: Iterable[Examples]) -> Iterator[Prediction]:
        """Yield each prediction when it is written."""
        told: set[str] = set()
        started = time.perf_counter()
        for examples, is_last in _with_last(blocks):
            of_part = "" if is_last and not self.count else _range(self.count, len(examples))

            def tell(note: str, of_part: str = of_part) -> None:
                kind = re.sub(r"\d[\d,.]*", "", note)
                if kind not in told:
                    told.add(kind)
                    self.tell(note + of_part)

            def show(share: float, size: int = len(examples), is_last: bool = is_last) -> None:
                done = self.count + share * size
                of_all = done / (self.count + size) if is_last else None
                left = seconds_left(time.perf_counter() - started, of_all)
                self.display.update(of_all, left, {"examples": f"{done:,.0f}"})

            answers = self.predictor.predict_examples(examples, self.batch_size, show, tell)
            for record in self.predictor.task.records(examples, answers):
                self.write(record)
            self.count += len(examples)
            yield from answers


def _with_last(blocks: Iterable[Examples]) -> Iterator[tuple[Examples, bool]]:
    """Each block, and whether it is the last."""
    blocks = iter(blocks)
    block = next(blocks, None)
    while block is not None:
        following = next(blocks, None)
        yield block, following is None
        block = following


def _range(before: int, count: int) -> str:
    return f" (in examples {before + 1:,} to {before + count:,})"


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
    say(note.removeprefix(": "))  # there is no file name before the colon


def _read_text(file: str, encoding: str | None) -> str:
    """The whole text of --context-file, which may be a pipe.

    Raises:
        UserError: it cannot be read, is a device, is too long, or is in another encoding.
    """
    if file != STANDARD_INPUT:
        refuse_special(file, allowed="pipe")
    elif sys.stdin is None:
        raise UserError("standard input is closed: give the context with --context-file")
    try:
        with contextlib.ExitStack() as stack:
            if file == STANDARD_INPUT:
                raw = sys.stdin.buffer
            else:
                raw = stack.enter_context(Path(file).open("rb"))
            text = utf8_text(raw, f"--context-file {file}", encoding)
            content = text.read(LONGEST_RECORD_BYTES + 1)
        if len(content) > LONGEST_RECORD_BYTES:
            most = shown_size(LONGEST_RECORD_BYTES)
            raise UserError(f"--context-file {file}: longer than {most}: give a part of it")
        return content.decode("utf-8-sig")
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
