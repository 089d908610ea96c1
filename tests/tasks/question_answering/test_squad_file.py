"""Files in SQuAD's form: what is read, and what is said of each mistake."""

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from selfsup.errors import UserError
from selfsup.tasks.question_answering.data import Answer
from selfsup.tasks.question_answering.files import read_squad

CONTEXT = "The plot is thin, the film is fine."


def asked(name: object = "q1", **fields) -> dict:
    return {
        "id": name,
        "question": "What is fine?",
        "answers": [{"text": "the film", "answer_start": 18}],
        **fields,
    }


def squad(*questions: dict, context: object = CONTEXT, **fields) -> dict:
    return {"data": [{"paragraphs": [{"context": context, "qas": list(questions)}]}], **fields}


def read(tmp_path: Path, content: object, labelled: bool = True):
    path = tmp_path / "dev.json"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(json.dumps(content))
    return read_squad(str(path), labelled=labelled)


def test_questions_that_share_a_context_share_it_in_memory(tmp_path):
    paragraphs = [
        {"context": CONTEXT, "qas": [asked("a"), asked(7, question="Really?")]},
        {"context": "Nothing.", "qas": [asked("b", answers=[], is_impossible=True)]},
        {"context": CONTEXT, "qas": [asked("c")]},
    ]
    read_back = read(tmp_path, {"data": [{"title": "T", "paragraphs": paragraphs}]})
    assert read_back.ids == ["a", "7", "b", "c"]
    assert read_back.questions[1] == "Really?"
    assert read_back.contexts == [CONTEXT, "Nothing."]
    np.testing.assert_array_equal(read_back.context_of, [0, 0, 1, 0])
    assert read_back.answers == [(Answer("the film", 18),)] * 2 + [()] + [(Answer("the film", 18),)]
    assert read_back.context(2) == "Nothing."


def test_a_file_has_the_rules_of_its_version(tmp_path):
    assert not read(tmp_path, squad(asked(), version="1.1")).may_be_unanswerable
    assert not read(tmp_path, squad(asked())).may_be_unanswerable
    assert read(tmp_path, squad(asked(), version="v2.0")).may_be_unanswerable
    impossible = asked(answers=[], is_impossible=True)
    assert read(tmp_path, squad(impossible)).may_be_unanswerable


@pytest.mark.parametrize("start", [18, 18.0])
def test_answers_may_stand_as_hugging_face_has_them(tmp_path, start):
    answers = {"text": ["the film"], "answer_start": [start]}
    assert read(tmp_path, squad(asked(answers=answers))).answers == [(Answer("the film", 18),)]
    with pytest.raises(UserError, match='"answers" is no list: write'):
        read(tmp_path, squad(asked(answers={"text": "the film", "answer_start": 18})))


def test_questions_to_predict_for_need_no_answers(tmp_path):
    question = {"id": "q1", "question": "What?"}
    read_back = read(tmp_path, squad(question), labelled=False)
    assert (read_back.questions, read_back.answers) == (["What?"], None)


def test_a_byte_order_mark_and_compression_are_no_hindrance(tmp_path):
    content = b"\xef\xbb\xbf" + json.dumps(squad(asked())).encode()
    assert read(tmp_path, content).ids == ["q1"]
    (tmp_path / "dev.json.gz").write_bytes(gzip.compress(content))
    assert read_squad(str(tmp_path / "dev.json.gz"), labelled=True).ids == ["q1"]


ANSWERED = {"text": ["the film"], "answer_start": [18]}
ROWS = [
    {"id": "a", "title": "T", "context": CONTEXT, "question": "What is fine?", "answers": ANSWERED},
    {"id": "b", "title": "T", "context": CONTEXT, "question": "Who made it?",
     "answers": {"text": [], "answer_start": []}},
]  # fmt: skip


@pytest.mark.parametrize("form", ["rows.jsonl", "rows.parquet", "rows.json", "list.json"])
def test_rows_as_datasets_writes_them_are_questions(tmp_path, form):
    path = tmp_path / form
    if form == "rows.parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
    elif form == "rows.jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    else:
        path.write_text(json.dumps(ROWS if form == "list.json" else {"data": ROWS}))
    found = read_squad(str(path), labelled=True)
    assert (found.ids, found.contexts) == (["a", "b"], [CONTEXT])
    assert found.answers == [(Answer("the film", 18),), ()]
    assert found.may_be_unanswerable
    (note,) = found.notes
    assert 'without "is_impossible": 1 (the first is b)' in note


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            {"id": "a", "question": "What?", "answers": []},
            'line 1, question a: "context" is missing',
        ),
        (
            {**ROWS[0], "answers": {"text": ["film"], "answer_start": [3]}},
            "line 1, question a: the",
        ),
        (
            {"id": "a", "context": CONTEXT, "question": "What?"},
            "line 1, question a: has no answers",
        ),
        ({**ROWS[1], "is_impossible": False}, "line 1, question b: has no answers"),
    ],
)
def test_a_mistake_in_a_row_is_named_with_its_line(tmp_path, row, said):
    (tmp_path / "train.jsonl").write_text(json.dumps(row))
    with pytest.raises(UserError, match=said):
        read_squad(str(tmp_path / "train.jsonl"), labelled=True)


def test_a_file_of_version_2_without_flags_has_questions_without_answers(tmp_path):
    found = read(tmp_path, squad(asked("a"), asked("b", answers=[]), version="v2.0"))
    assert found.answers == [(Answer("the film", 18),), ()]
    assert "the first is b" in found.notes[0]
    flagged = squad(asked("a", is_impossible=False), asked("b", answers=[]), version="v2.0")
    with pytest.raises(UserError, match="question b: has no answers"):
        read(tmp_path, flagged)


def test_ids_may_have_another_name_or_be_missing(tmp_path):
    questions = [{**asked(), "guid": name} for name in ("x", "y")]
    for question in questions:
        del question["id"]
    found = read(tmp_path, squad(*questions))
    assert (found.ids, 'from "guid"' in found.notes[0]) == (["x", "y"], True)
    for question in questions:
        del question["guid"]
    found = read(tmp_path, squad(*questions))
    assert (found.ids, "are numbered from 1" in found.notes[0]) == (["1", "2"], True)


@pytest.mark.parametrize(("start", "unit"), [(8, "UTF-16 units"), (13, "bytes of UTF-8")])
def test_offsets_that_count_something_else_are_said_to(tmp_path, start, unit):
    question = asked(answers=[{"text": "film", "answer_start": start}])
    said = f"first occurs at 6, and answer_start counts {unit}, not characters"
    with pytest.raises(UserError, match=said):
        read(tmp_path, squad(question, context="😀😀 né film"))


def test_questions_about_nothing_teach_nothing(tmp_path):
    paragraphs = [
        {"context": " \n", "qas": [asked("a", answers=[], is_impossible=True)]},
        {"context": CONTEXT, "qas": [asked("b"), asked("c", question="\t")]},
    ]
    read_back = read(tmp_path, {"data": [{"paragraphs": paragraphs}]})
    kept = read_back.drop_empty()
    assert (kept.ids, kept.context(0), len(kept.answers or [])) == (["b"], CONTEXT, 1)
    assert "2 questions left out" in kept.notes[-1]
    assert "(the first is a)" in kept.notes[-1]
    assert kept.drop_empty() is kept


def test_only_empty_questions_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"dev\.json: all questions or contexts are empty"):
        read(tmp_path, squad(asked(question=" "))).drop_empty()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b" \n", "the file is empty"),
        (b"{'data': 1}", "not JSON"),
        (b'{"data": ["\xff"]}', "byte 12 is not UTF-8"),
        (b"[" * 100_000, "not JSON"),
        ([1], r'data\[0\]: it has no list "paragraphs"'),
        ({"data": [{"question": "What?"}]}, 'question 1: "context" is missing'),
        ({"data": {}}, 'it has no list "data"'),
        ({"data": []}, "holds no questions"),
        ({"data": [{"title": "T"}]}, r'data\[0\]: .*no list "paragraphs"'),
        ({"data": [{"paragraphs": [{"context": "x"}]}]}, r'paragraphs\[0\]: .*no list "qas"'),
        (squad(asked(), {"question": "What?"}), r'\[0\]\.qas\[1\]: the question has no "id"'),
        (squad({"question": "What?"}), "question 1: has no answers"),
        (squad("What?"), r"qas\[0\]: this is no question"),  # type: ignore[arg-type]
        (squad(asked(), asked()), "question q1: two questions have this id"),
        (squad(asked(), context=None), 'question q1: "context" is missing'),
        (squad(asked(question=7)), 'question q1: "question" is missing or no text'),
        (squad(asked(question="\ud800")), "question q1: .* half a character at position 0"),
        (squad(asked(id="\ud800")), r'qas\[0\]: "id" holds half a character at position 0'),
        (squad(asked(answers="x")), 'question q1: "answers" is no list'),
        (squad(asked(answers=[])), "question q1: has no answers"),
        (squad(asked(is_impossible=True)), 'question q1: "is_impossible", but has answers'),
        (squad(asked(answers=[{"answer_start": 1}])), 'question q1: an answer has no "text"'),
        (squad(asked(answers=[{"text": "film"}])), "'film' has no \"answer_start\""),
        (
            squad(asked(answers=[{"text": "film", "answer_start": 21}])),
            "question q1: the answer 'film' does not stand at character 21 of its context: "
            "it first occurs at 22",
        ),
        (
            squad(asked(answers=[{"text": "movie", "answer_start": 4}])),
            "does not stand at character 4 of its context: the context does not hold it",
        ),
        (squad(asked(answers=[{"text": ".", "answer_start": -1}])), "does not stand at"),
    ],
)
def test_a_mistake_is_one_line_that_names_file_and_question(tmp_path, content, said):
    with pytest.raises(UserError, match=rf"dev\.json.*{said}") as error:
        read(tmp_path, content)
    assert "\n" not in str(error.value)


def test_a_missing_or_damaged_file_is_said_to_be_so(tmp_path):
    with pytest.raises(UserError, match=r"none\.json: cannot be opened"):
        read_squad(str(tmp_path / "none.json"), labelled=True)
    (tmp_path / "cut.json.gz").write_bytes(gzip.compress(b'{"data": []}')[:-6])
    with pytest.raises(UserError, match=r"cut\.json\.gz: damaged or cut short"):
        read_squad(str(tmp_path / "cut.json.gz"), labelled=True)


def test_the_real_files_read(shared_data):
    folder = shared_data / "tasks" / "squad"
    one = read_squad(str(folder / "dev-v1.1.json"), labelled=True)
    two = read_squad(str(folder / "dev-v2.0.json"), labelled=True)
    assert (len(one), len(two)) == (1413, 1749)
    assert (one.may_be_unanswerable, two.may_be_unanswerable) == (False, True)
    assert one.answers is not None
    assert two.answers is not None
    assert all(one.answers)
    assert 0 < sum(map(bool, two.answers)) < len(two)
    assert len(two.contexts) < len(two) / 2
