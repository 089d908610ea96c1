"""Read a file that is one JSON value, and find what else than characters its offsets count."""

from collections.abc import Sequence
from typing import Any

from selfsup.corpus.readers import bounds, compression
from selfsup.corpus.readers.compression import format_suffix
from selfsup.corpus.readers.encodings import utf8_text
from selfsup.corpus.readers.inputs import Input, opening
from selfsup.errors import UserError
from selfsup.structured_files import parse_json

_LARGEST = 1 << 30  # bytes
# The encoding in which each unit has a fixed number of bytes.
_UNITS = {"UTF-16 units": ("utf-16-le", 2), "bytes of UTF-8": ("utf-8", 1)}


def has_rows(file: str) -> bool:
    """Whether a file holds rows of named fields that may be lists or objects."""
    return format_suffix(file) in (".jsonl", ".ndjson", ".parquet") or file.startswith("hf://")


def read_json(file: str, form: str, encoding: str | None = None) -> Any:
    """The value of a JSON file, also of a compressed one.

    Args:
        file: a path or URL.
        form: what the file should be, such as "a file in SQuAD's form", for messages.
        encoding: of the file; None for UTF-8.

    Raises:
        UserError: the file cannot be read, is empty or too large, or is not JSON in UTF-8.
    """
    most = bounds.MOST_JSON_BYTES
    with opening(Input(file, file, ".json")) as raw:
        try:
            content = utf8_text(raw, file, encoding).read(most + 1)
        except compression.DAMAGED as error:
            raise UserError(f"{file}: damaged or cut short ({error}): copy it again") from None
        except OSError as error:
            raise UserError(f"{file}: cannot be read ({error.strerror or error})") from None
    if len(content) > most:
        raise UserError(
            f"{file}: longer than {bounds.shown_size(most)}, and a file that is one JSON value is "
            "read whole: cut it into several, or give JSON lines"
        )
    if not content or content.isspace():
        raise UserError(f"{file}: the file is empty: give {form}")
    try:
        with bounds.memory_bound(file, "cut it into several files", bounds.MOST_HELD_BYTES):
            return parse_json(content, most)
    except UnicodeDecodeError as error:
        raise UserError(
            f"{file}: byte {error.start + 1} is not UTF-8: save the file in that encoding"
        ) from None
    except ValueError as error:
        reason = str(error).partition("\n")[0]
        fix = f"give {form}"
        if ".jsonl" in file:
            fix += "; of our own answers that is one called NAME.json"
        raise UserError(f"{file}: not JSON ({reason}): {fix}") from None


def other_unit(text: str, parts: Sequence[tuple[int, str]]) -> str | None:
    """What the starts of all these parts of a text count, if it is something else than characters.

    Args:
        text: the whole text.
        parts: the start and the text of each.
    """
    if all(start >= 0 and text.startswith(part, start) for start, part in parts):
        return None
    for unit, (encoding, size) in _UNITS.items():
        whole = text.encode(encoding, "surrogatepass")
        if all(
            start >= 0 and whole.startswith(part.encode(encoding, "surrogatepass"), start * size)
            for start, part in parts
        ):
            return unit
    return None
