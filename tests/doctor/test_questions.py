"""Files in SQuAD's form with all that can be wrong with them, and sound ones."""

import json
from pathlib import Path
from typing import Any

import pytest

from selfsup.doctor import doctor
from selfsup.errors import UserError
from selfsup.settings.showing import DoctorSettings
from tests.doctor.found_problems import found_in, only_one
from tests.toy_tasks import toy_questions, write_toy_questions

CONTEXT = "The plot is thin, the film is fine."


def asked(name: str, question: str = "What is fine?", **fields: Any) -> dict[str, Any]:
    answers = [{"text": "the film", "answer_start": 18}]
    return {"id": name, "question": question, "answers": answers, **fields}


def with_questions(folder: Path, *questions: dict[str, Any], context: str = CONTEXT) -> Path:
    """Twelve sound questions, and these about one context."""
    path = folder / "train.json"
    paragraphs = [*toy_questions(12, seed=1), {"context": context, "qas": list(questions)}]
    path.write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}), encoding="utf-8")
    return path


def counts_of(path: Path) -> dict[str, Any]:
    result = doctor(DoctorSettings(path=str(path)))
    assert result["kind"] == "questions in SQuAD's form"
    return result["counts"]


def test_sound_questions_are_counted_and_have_no_problems(tmp_path):
    path = write_toy_questions(tmp_path / "train.json", 12, seed=1, unanswerable=True)
    assert found_in(path) == []
    expected = {"questions": 12, "contexts": 12, "answers": 8, "questions_without_answer": 4}
    assert counts_of(path) == expected


@pytest.mark.parametrize(
    ("questions", "what", "fix"),
    [
        (
            [asked("a"), asked("b", "?", answers=[{"text": "film", "answer_start": 21}])],
            "answers that do not stand at their place: 1; the first: FILE, question b: the answer "
            "'film' does not stand at character 21 of its context",
            "it first occurs at 22; fix answer_start or text",
        ),
        (
            [asked("a"), asked("a", "?")],
            "questions with the id of another one: 1; the first: FILE, question a",
            "give each its own",
        ),
        (
            [asked("a", is_impossible=True)],
            "questions said to be impossible, with answers: 1; the first: FILE, question a",
            "take one of the two out",
        ),
        (
            [asked("a", answers=[]), asked("b", "?", answers=[])],
            "questions without answers that are not said to be impossible: 2; the first: FILE, "
            "question a: has no answers",
            'set "is_impossible" to true where the context has none',
        ),
        (
            [asked("a", answers="x")],
            "questions that cannot be used: 1; the first: FILE, question a",
            "write []",
        ),
        (
            [asked("a", question=" ")],
            "questions that are empty or have an empty context: 1 (a)",
            "remove them",
        ),
        (
            [asked("a"), asked("b", "What  is fine? ")],
            "1 question is asked again about the same context: b",
            "keep one of each",
        ),
    ],
)
def test_what_is_wrong_with_questions_is_found_with_its_place(questions, what, fix, tmp_path):
    path = with_questions(tmp_path, *questions)
    problem = only_one(found_in(path))
    assert what.replace("FILE", str(path)) in problem.partition(" → ")[0]
    assert fix in problem.partition(" → ")[2]


def test_mistakes_of_each_kind_are_counted_apart_and_left_out_of_the_counts(tmp_path):
    wrong = {"text": "film", "answer_start": 3}
    path = with_questions(
        tmp_path,
        asked("a", answers=[wrong, wrong, {"text": "film", "answer_start": 22}]),
        asked("b", "?", answers=[wrong]),
        asked("a", "Why?"),
    )
    places, ids = found_in(path)
    assert "do not stand at their place: 3;" in places
    assert "the id of another one: 1;" in ids
    counts = counts_of(path)
    assert (counts["questions"], counts["answers"]) == (13, 13)
    assert counts["questions_without_answer"] == 0


def test_contexts_longer_than_usual_are_found_with_the_first_question_about_one(tmp_path):
    long = [{"context": "word " * 301, "qas": [asked(f"q{n}", "?", answers=[], is_impossible=True)]}
            for n in range(2)]  # fmt: skip
    long[1]["context"] += "more"
    path = tmp_path / "train.json"
    path.write_text(json.dumps({"data": [{"paragraphs": toy_questions(10, 1)[2:] + long}]}))
    problem = only_one(found_in(path))
    assert "2 of 10 contexts have more than 300 words" in problem
    assert "(the first is that of question q0)" in problem
    assert "nothing is lost" in problem


def test_questions_without_any_answer_teach_nothing(tmp_path):
    path = tmp_path / "train.json"
    paragraph = {"context": CONTEXT, "qas": [asked("a", answers=[], is_impossible=True)]}
    path.write_text(json.dumps({"data": [{"paragraphs": [paragraph]}]}))
    assert "no question has an answer" in only_one(found_in(path))


def test_rows_of_questions_are_read_to_their_end(tmp_path):
    row = {"context": CONTEXT, **asked("a")}
    row["answers"] = {"text": ["the film"], "answer_start": [18]}
    empty = {"text": [], "answer_start": []}
    rows = [row, {**row, "id": "b", "question": "Who?", "answers": empty}, {**row, "id": "c"}]
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "{\n")
    unread, repeated = found_in(path)
    assert "questions that cannot be used: 1; the first: " in unread
    assert "line 4" in unread
    assert "asked again about the same context: c" in repeated
    assert counts_of(path)["questions_without_answer"] == 1


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("{", "not JSON"),
        ('{"q1": "an answer"}', 'it has no list "data" → give a file in SQuAD\'s form'),
        ('{"data": []}', "holds no questions"),
    ],
)
def test_a_file_that_cannot_be_read_at_all_is_one_problem(content, what, tmp_path):
    (tmp_path / "train.json").write_text(content)
    assert what in only_one(found_in(tmp_path / "train.json"))


def test_a_file_that_is_not_there_is_a_mistake_of_the_user(tmp_path):
    with pytest.raises(UserError, match="cannot be opened"):
        doctor(DoctorSettings(path=str(tmp_path / "none.json")))


def test_real_questions_are_sound(shared_data):
    path = shared_data / "tasks" / "squad" / "dev-v2.0.json"
    counts = counts_of(path)
    assert counts["questions"] == 1749
    whole = json.loads(path.read_text(encoding="utf-8"))
    asked_there = [q for a in whole["data"] for p in a["paragraphs"] for q in p["qas"]]
    assert counts["questions_without_answer"] == sum(q["is_impossible"] for q in asked_there)
    assert counts["answers"] == sum(len(q["answers"]) for q in asked_there)
