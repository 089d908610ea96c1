"""What Prodigy, Label Studio and doccano export."""

import json
from typing import Any

import pytest

from selfsup.errors import UserError
from selfsup.tasks.tables import Columns
from selfsup.tasks.token_classification.files import read_tagged_file

TEXT = "Anna went to Rome"
TAGGED = (TEXT.split(), ["B-PER", "O", "O", "B-LOC"])
NOTHING = (["Nothing", "here"], ["O", "O"])


def read(tmp_path, rows: Any, name: str = "train.json", labelled: bool = True):
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / name).write_text(lines if name.endswith("l") else json.dumps(rows))
    found = read_tagged_file(str(tmp_path / name), Columns(), labelled=labelled)
    return [(each.words, each.tags) for each in found.sentences], found.notes


def prodigy(text: str = TEXT, **fields: Any) -> dict[str, Any]:
    tokens = [{"text": "Anna", "start": 0, "end": 4, "id": 0}]
    spans = [{"start": 0, "end": 4, "token_start": 0, "token_end": 0, "label": "PER"},
             {"start": 13, "end": 17, "label": "LOC"}]  # fmt: skip
    whole = {"text": text, "_task_hash": 1, "tokens": tokens, "spans": spans, "answer": "accept"}
    return {name: value for name, value in {**whole, **fields}.items() if value is not None}


def entity(start: int, end: int, text: str, kind: str) -> dict[str, Any]:
    return {"start": start, "end": end, "text": text, "labels": [kind]}


ENTITIES = [entity(13, 17, "Rome", "LOC"), entity(0, 4, "Anna", "PER")]


def studio(text: str, *annotations: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    listed = [
        {"result": [{"type": "labels", "value": value} for value in values], **fields}
        for values in annotations
    ]
    return {"id": 1, "data": {"text": text, "label": "x"}, "annotations": listed, "predictions": []}


def test_prodigys_rejected_texts_are_left_out(tmp_path):
    rows = [prodigy(), prodigy(answer="reject"), prodigy("Nothing here", spans=None),
            prodigy(answer="ignore")]  # fmt: skip
    sentences, notes = read(tmp_path, rows, "train.jsonl")
    assert sentences == [TAGGED, NOTHING]
    assert notes[1].endswith("texts left out as they are rejected or not annotated: 2")
    assert len(read(tmp_path, rows, "new.jsonl", labelled=False)[0]) == 4
    with pytest.raises(UserError, match="all texts are rejected or not annotated"):
        read(tmp_path, rows[1:2], "train.jsonl")


def test_label_studio_writes_tasks_with_annotations(tmp_path):
    rows = [studio(TEXT, ENTITIES, ENTITIES[::-1]), studio("Nothing here", []), studio("Left out")]
    rows.append(studio("Cancelled", [], was_cancelled=True))
    rows[0]["annotations"][0]["result"].append({"type": "choices", "value": {"choices": ["a"]}})
    sentences, notes = read(tmp_path, rows)
    assert sentences == [TAGGED, NOTHING]
    assert notes[1].endswith("texts left out as they are rejected or not annotated: 2")
    assert len(read(tmp_path, rows, labelled=False)[0]) == 4


def test_annotations_that_differ_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"train\.json, entry 2: has 2 annotations that differ"):
        read(tmp_path, [studio(TEXT, []), studio(TEXT, ENTITIES, ENTITIES[:1])])


@pytest.mark.parametrize("name", ["train.json", "train.jsonl"])
def test_label_studios_smaller_form_leaves_out_what_is_empty(tmp_path, name):
    rows = [{"id": 1, "text": TEXT, "label": ENTITIES, "annotator": 1, "annotation_id": 5},
            {"id": 2, "text": "Nothing here", "annotator": 1, "annotation_id": 6}]  # fmt: skip
    assert read(tmp_path, rows, name)[0] == [TAGGED, NOTHING]


@pytest.mark.parametrize("field", ["label", "labels", "entities"])
def test_doccano_writes_triples_or_objects_with_offsets(tmp_path, field):
    spans = [(0, 4, "PER"), (13, 17, "LOC")]
    objects = [
        {"id": 1, "start_offset": start, "end_offset": end, "label": kind}
        for start, end, kind in spans
    ]
    for given in (spans, objects):
        rows = [{"id": 1, "text": TEXT, field: given, "Comments": []},
                {"id": 2, "text": "Nothing here", field: [], "Comments": []}]  # fmt: skip
        assert read(tmp_path, rows, "train.jsonl")[0] == [TAGGED, NOTHING]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"a": 1}, "not a list of tagged texts: give CoNLL columns, or a list of"),
        (["x"], "not a list of tagged texts"),
        ([], "holds no rows"),
        ([{"text": "\ud800", "entities": []}], "entry 1: holds half a character"),
        ([{"tokens": ["a"], "tags": ["O", "O"]}], "entry 1: 1 words and 2 tags"),
        ([prodigy(spans=[entity(0, 9, "Anna went", "A"), entity(5, 9, "went", "B")])],
         r"entities 'Anna went' \(A\) and 'went' \(B\) overlap"),
        ([studio(TEXT, [{**ENTITIES[0], "labels": ["A", "B"]}])], "an entity needs"),
    ],
)  # fmt: skip
def test_other_forms_are_refused(tmp_path, content, said):
    with pytest.raises(UserError, match=rf"train\.json.*{said}"):
        read(tmp_path, content)
