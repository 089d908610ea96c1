"""Read documents from JSON lines: an object a line, its text in a named field."""

import json
from collections.abc import Iterator
from typing import BinaryIO

from selfsup.corpus.document import LONGEST_RECORD_BYTES, BadRecord, Record
from selfsup.corpus.text_field import Fields, documents_from_fields, too_long


def read_json_lines(file: BinaryIO, source: str, text_field: str) -> Iterator[Record]:
    """Yield a document for each line that is not blank; its id is the field ``id`` or the line.

    Raises:
        UserError: the first records all lack the text field.
    """
    return documents_from_fields(json_objects(file, source), source, text_field)


def json_objects(file: BinaryIO, source: str) -> Iterator[Fields | BadRecord]:
    """Each object's line and its fields; blank lines are passed over."""
    number = 0
    while line := file.readline(LONGEST_RECORD_BYTES):
        number += 1
        if len(line) == LONGEST_RECORD_BYTES and not line.endswith(b"\n"):
            while (rest := file.readline(LONGEST_RECORD_BYTES)) and not rest.endswith(b"\n"):
                pass
            yield BadRecord(source, number, too_long())
            continue
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if line.isspace() or not line:
            continue
        try:
            value = json.loads(line.decode())
        except UnicodeDecodeError as error:
            yield BadRecord(source, number, f"byte {error.start + 1} is not UTF-8")
        except ValueError as error:
            yield BadRecord(source, number, f"not JSON ({error})")
        except RecursionError:
            yield BadRecord(source, number, "not JSON (nested too deeply)")
        else:
            if isinstance(value, dict):
                yield number, value
            else:
                yield BadRecord(source, number, "not a JSON object")
