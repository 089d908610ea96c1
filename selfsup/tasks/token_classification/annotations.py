"""Rows that annotation tools export, as rows of a text with its entities.

- Prodigy: ``{"text", "tokens": [{"text", …}], "spans": [{"start", "end", "label"}], "answer"}``
- Label Studio: ``{"data": {"text"}, "annotations": [{"result": [{"value": {"start", "end", "text",
  "labels"}}]}]}``; of its JSON-MIN and of doccano, ``rows.py`` reads the rows as they are.
- spaCy's annotators: ``["text", {"entities": [[0, 6, "PER"]]}]``
"""

import json
from collections import Counter
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
_ANSWERS = ("accept", "reject", "ignore")


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
    if isinstance(whole, dict):
        lists = (whole.get(name) for name in ("annotations", "data", "examples"))
        whole = next((found for found in lists if isinstance(found, list)), whole)
    if not isinstance(whole, list):
        raise UserError(f"{file}: not a list of tagged texts: give {_FORM}")
    rows = []
    for number, entry in enumerate(whole, 1):
        match entry:
            case [str(text), {"entities": list(entities)}]:
                entry = {"text": text, "entities": entities}
        if not isinstance(entry, dict):
            raise UserError(f"{file}, entry {number}: not a tagged text: give {_FORM}")
        if not is_encodable(json.dumps(entry, ensure_ascii=False)):
            raise UserError(f"{file}, entry {number}: holds half a character: fix it or remove it")
        rows.append(Row(number, entry))
    if not rows:
        raise UserError(f"{file}: holds no rows: give a file with at least one example")
    return rows


def entities_of_tools(
    rows: list[Row], source: str, *, labelled: bool
) -> tuple[list[Row], list[str]]:
    """Rows with a text and its entities, whatever tool wrote them, and notes for the user.

    Other rows stay as they are. If ``labelled``, texts that were rejected or not annotated are left
    out.

    Raises:
        UserError: several people annotated a text, each in another way.
    """
    kept = []
    left_out: Counter[str] = Counter()
    for row in rows:
        fields, reason = row.fields, None
        if isinstance(fields.get("data"), dict) and isinstance(fields.get("annotations"), list):
            fields, reason = _of_label_studio(fields, place_of(row, source), labelled)
        elif isinstance(fields.get("text"), str) and _is_of_prodigy(fields):
            if fields.get("answer", "accept") != "accept":
                reason = "rejected or ignored"
            fields = {"spans": [], **fields}
            fields.pop("tokens", None)
        elif "annotation_id" in fields and isinstance(fields.get("text"), str):
            fields = {"label": [], **fields}  # JSON-MIN leaves out what is empty
        if labelled and reason is not None:
            left_out[reason] += 1
        else:
            kept.append(Row(row.line, fields))
    if rows and not kept:
        raise UserError(f"{source}: all texts are rejected or not annotated: annotate some")
    return kept, [
        f"{source}: texts left out as they are {reason}: {count:,}"
        for reason, count in left_out.items()
    ]


def _is_of_prodigy(fields: dict[str, Any]) -> bool:
    tokens = fields.get("tokens")
    has_objects = isinstance(tokens, list) and bool(tokens) and isinstance(tokens[0], dict)
    return has_objects or "_task_hash" in fields or fields.get("answer") in _ANSWERS


def _of_label_studio(
    fields: dict[str, Any], where: str, labelled: bool
) -> tuple[dict[str, Any], str | None]:
    """A task's data with its entities, and why it is left out, if it is."""
    done: list[list[dict[str, Any]]] = []
    for annotation in fields["annotations"]:
        if isinstance(annotation, dict) and not annotation.get("was_cancelled"):
            results = annotation.get("result") or []
            values = [each.get("value") for each in results if isinstance(each, dict)]
            done.append(
                [value for value in values if isinstance(value, dict) and "labels" in value]
            )
    if labelled and any(sorted(map(str, each)) != sorted(map(str, done[0])) for each in done):
        raise UserError(f"{where}: has {len(done)} annotations that differ: keep one of them")
    data = {name: value for name, value in fields["data"].items() if not isinstance(value, list)}
    data.pop("label", None)
    return {**data, "entities": done[0] if done else []}, None if done else "not annotated"
