"""Read the examples to predict for from standard input, which commands call ``-``."""

import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from selfsup.errors import UserError
from selfsup.settings.labelled_data import ANSWER, IMAGES
from selfsup.structured_files import parse_json
from selfsup.tasks.base import Examples, Task
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
    content = sys.stdin.buffer.read()
    with tempfile.TemporaryDirectory(prefix="selfsup-") as folder:
        file = Path(folder, f"input.{data_format or _format_of(content, tell)}")
        file.write_bytes(content)
        try:
            yield str(file), lambda note: tell(note.replace(str(file), _NAME))
        except UserError as error:
            raise UserError(str(error).replace(str(file), _NAME)) from None


def read_examples(task: Task, tell: Callable[[str], None], encoding: str | None) -> Examples:
    """An example a line: a text, a pair with a tab between its texts, or the path of an image.

    A question comes before its context. An empty line is an empty text.

    Raises:
        UserError: there is no line, or one cannot be used; the message names the line.
    """
    with data_file(STANDARD_INPUT, "txt", tell) as (file, _):
        texts = [line for _, line in read_lines(str(file), encoding)]
    if not texts:
        raise UserError(f"{_NAME}: is empty: give an example a line")
    if all(text.startswith('{"') and text.endswith("}") for text in texts):
        raise UserError(f"{_NAME}: its lines are JSON objects, not texts: add --data before the -")
    if task.segments == 2:
        pairs = [text.split("\t") for text in texts]
        what = "a question and its context" if task.name == ANSWER else "two texts"
        for number, pair in enumerate(pairs, 1):
            if len(pair) != 2:
                raise UserError(
                    f"{_NAME}, line {number}: {len(pair) - 1} tabs: give {what} with one tab "
                    "between them, or a table with --data -"
                )
        return task.examples_of([pair[0] for pair in pairs], [pair[1] for pair in pairs])
    if task.name == IMAGES and "" in texts:
        raise UserError(f"{_NAME}, line {texts.index('') + 1}: is empty: name an image")
    if all("\t" in text for text in texts):
        tell(f"{_NAME}: each line is taken for one text, tabs included: give a table with --data -")
    return task.examples_of(texts, None)


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
