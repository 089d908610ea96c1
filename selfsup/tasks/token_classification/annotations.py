"""Rows that annotation tools export, as rows of a text with its entities.

- Prodigy: ``{"text", "tokens": [{"text", …}], "spans": [{"start", "end", "label"}], "answer"}``
- Label Studio: ``{"data": {"text"}, "annotations": [{"result": [{"value": {"start", "end", "text",
  "labels"}}]}]}``; of its JSON-MIN and of doccano, ``rows.py`` reads the rows as they are.
"""

import json
from typing import Any

from selfsup.corpus.readers.compression import format_suffix
from selfsup.corpus.readers.documents import is_encodable
from selfsup.errors import UserError
from selfsup.tasks.json_files import read_json
from selfsup.tasks.tables import Row

_FORM = (
    "CoNLL columns, or a list of texts with their entities, "
    '{"text": …, "entities": [{"start": 0, "end": 6, "label": "PER"}]}'
)
_ANSWERS = ("accept", "reject", "ignore")  # Prodigy's


def place_of(row: Row, source: str) -> str:
    """The place of a row, for messages."""
    unit = "entry" if format_suffix(source) == ".json" else "line"
    return f"{source}, {unit} {row.line}"


def read_json_rows(file: str) -> list[Row]:
    """The entries of a JSON list, with their numbers from 1 as lines.

    Raises:
        UserError: the file is not JSON, or holds no list of objects.
    """
    whole = read_json(file, _FORM)
    if not isinstance(whole, list) or not all(isinstance(entry, dict) for entry in whole):
        raise UserError(f"{file}: not a list of tagged texts: give {_FORM}")
    if not whole:
        raise UserError(f"{file}: holds no rows: give a file with at least one example")
    for number, entry in enumerate(whole, 1):
        if not is_encodable(json.dumps(entry, ensure_ascii=False)):
            raise UserError(f"{file}, entry {number}: holds half a character: fix it or remove it")
    return [Row(number, entry) for number, entry in enumerate(whole, 1)]


def entities_of_tools(
    rows: list[Row], source: str, *, labelled: bool
) -> tuple[list[Row], list[str]]:
    """Rows with a text and its entities, whatever tool wrote them, and notes for the user.

    Other rows stay as they are. If ``labelled``, texts that were rejected or not annotated are left
    out.

    Raises:
        UserError: several people annotated a text, each in another way.
    """
    kept, left_out = [], 0
    for row in rows:
        fields, is_used = row.fields, True
        if isinstance(fields.get("data"), dict) and isinstance(fields.get("annotations"), list):
            done = _annotations(fields["annotations"])
            if labelled and any(each != done[0] for each in done):
                where = place_of(row, source)
                raise UserError(f"{where}: has {len(done)} annotations that differ: keep one")
            is_used = bool(done)
            fields = {**fields["data"], "entities": done[0] if done else []}
            fields = {name: fields[name] for name in fields if name not in ("label", "labels")}
        elif fields.get("answer") in _ANSWERS or "_task_hash" in fields:
            is_used = fields.get("answer", "accept") == "accept"
            fields = {"spans": [], **fields}
            fields.pop("tokens", None)
        elif "annotation_id" in fields:
            fields = {"label": [], **fields}  # JSON-MIN leaves out what is empty
        left_out += labelled and not is_used
        if is_used or not labelled:
            kept.append(Row(row.line, fields))
    if rows and not kept:
        raise UserError(f"{source}: all texts are rejected or not annotated: annotate some")
    note = f"{source}: texts left out as they are rejected or not annotated: {left_out:,}"
    return kept, [note] if left_out else []


def _annotations(listed: list[Any]) -> list[list[dict[str, Any]]]:
    """The entities of each annotation of Label Studio that was not cancelled."""
    done = []
    for annotation in listed:
        if isinstance(annotation, dict) and not annotation.get("was_cancelled"):
            results = [each for each in annotation.get("result") or [] if isinstance(each, dict)]
            values = [value for each in results if isinstance(value := each.get("value"), dict)]
            done.append(sorted((value for value in values if "labels" in value), key=str))
    return done
