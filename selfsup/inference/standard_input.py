"""Read the examples to predict for from standard input, which commands call ``-``."""

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from selfsup.errors import UserError
from selfsup.settings.labelled_data import ANSWER, IMAGES
from selfsup.structured_files import parse_json
from selfsup.tasks.base import Examples, Task
from selfsup.tasks.tables import in_blocks
from selfsup.tasks.token_classification.columns import read_lines

STANDARD_INPUT = "-"
_NAME = "standard input"


@contextlib.contextmanager
def data_file(
    data: str | None, data_format: str | None, tell: Callable[[str], None]
) -> Iterator[tuple[str | None, Callable[[str], None]]]:
    """The file that ``--data`` names, or for ``-`` a temporary copy of standard input.

    Also yields a function that tells the user a sentence, in which the copy is standard input.
    """
    if data != STANDARD_INPUT:
        yield data, tell
        return
    if sys.stdin is None:
        raise UserError(f"{_NAME}: is closed: give a file, or pipe data into the command")
    if sys.stdin.isatty():
        tell(f"Reading {_NAME}: end it with Ctrl-D")
    start = _first_line(sys.stdin.buffer)
    with tempfile.TemporaryDirectory(prefix="selfsup-") as folder:
        file = Path(folder, f"input.{data_format or _format_of(start, tell)}")
        with file.open("wb") as copy:
            copy.write(start)
            shutil.copyfileobj(sys.stdin.buffer, copy)
        try:
            yield str(file), lambda note: tell(note.replace(str(file), _NAME))
        except UserError as error:
            raise UserError(str(error).replace(str(file), _NAME)) from None


def line_blocks(
    task: Task, tell: Callable[[str], None], size: int, encoding: str | None
) -> Iterator[Examples]:
    """Blocks of examples, one a line: a text, a pair with a tab between its texts, or an image.

    A question comes before its context. An empty line is an empty text.

    Raises:
        UserError: there is no line, or one cannot be used; the message names the line.
    """
    with data_file(STANDARD_INPUT, "txt", tell) as (file, _):
        lines = read_lines(str(file), encoding)
        number = 1  # of the first line of a block
        for block in in_blocks(lines, size, lambda line: len(line[1])):
            texts = [text for _, text in block]
            if number == 1:
                _look_at(texts, task, tell)
            yield replace(_examples_of(texts, number, task), source=_NAME)
            number += len(texts)
        if number == 1:
            raise UserError(f"{_NAME}: is empty: give an example a line")


def _look_at(texts: list[str], task: Task, tell: Callable[[str], None]) -> None:
    """Refuse the rows of a table, as far as the first lines show them."""
    if all(text.startswith('{"') and text.endswith("}") for text in texts):
        raise UserError(f"{_NAME}: its lines are JSON objects, not texts: add --data before the -")
    is_single = task.segments == 1 and task.name != IMAGES
    if is_single and all("\t" in text for text in texts):
        tell(f"{_NAME}: each line is taken for one text, tabs included: give a table with --data -")


def _examples_of(texts: list[str], number: int, task: Task) -> Any:
    """The examples in these lines, of which the first has this number."""
    if task.segments == 2:
        pairs = [text.split("\t") for text in texts]
        what = "a question and its context" if task.name == ANSWER else "two texts"
        for line, pair in enumerate(pairs, number):
            if len(pair) != 2:
                raise UserError(
                    f"{_NAME}, line {line}: {len(pair) - 1} tabs: give {what} with one tab "
                    "between them, or a table with --data -"
                )
        firsts, seconds = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        return task.examples_of(firsts, seconds, number)
    if task.name == IMAGES and "" in texts:
        line = number + texts.index("")
        raise UserError(f"{_NAME}, line {line}: is empty: name an image")
    return task.examples_of(texts, None, number)


def _first_line(file: BinaryIO) -> bytes:
    """The bytes up to the end of the first line that is not blank."""
    start = line = file.readline()
    while line and not start.removeprefix(b"\xef\xbb\xbf").strip():
        start += (line := file.readline())
    return start


def _format_of(content: bytes, tell: Callable[[str], None]) -> str:
    start = content.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith((b"{", b"[")):
        line = start.partition(b"\n")[0].rstrip()
        try:
            first = parse_json(line)
        except ValueError:  # an object over several lines, or a damaged line
            return "jsonl" if line.endswith(b"}") else "json"
        is_row = isinstance(first, dict) and not isinstance(first.get("data"), list)
        return "jsonl" if is_row else "json"
    found = "tsv" if b"\t" in start.partition(b"\n")[0] else "csv"
    tell(f"{_NAME}: read as {found} (--data-format changes it)")
    return found
