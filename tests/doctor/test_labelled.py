"""Labelled files with all that can be wrong with them, and sound ones."""

import json
from pathlib import Path

import pytest

from selfsup.doctor import doctor
from selfsup.settings.showing import DoctorSettings
from tests.doctor.found_problems import found_in, only_one
from tests.toy_tasks import write_toy_file


def test_a_sound_labelled_file_has_no_problems(tmp_path):
    result = doctor(DoctorSettings(path=str(labelled(tmp_path, sound_rows()))))
    assert (result["kind"], result["problems"]) == ("a labelled file", [])
    assert result["counts"] == {"examples": 40, "labels": {"good": 20, "bad": 20}}


def test_several_labels_are_counted_each(tmp_path):
    path = tmp_path / "labelled.jsonl"
    lists = (["good", "long"], ["good"], [], ["long"])
    rows = [{"text": f"text {n}", "label": lists[n % 4]} for n in range(40)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = doctor(DoctorSettings(path=str(path)))
    assert result["problems"] == []
    assert result["counts"] == {"examples": 40, "labels": {"good": 20, "long": 20}}


def test_one_label_that_some_texts_lack_is_something_to_tell_apart(tmp_path):
    path = tmp_path / "labelled.jsonl"
    rows = [{"text": f"text {n}", "label": ["good"] if n % 2 else []} for n in range(40)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert found_in(path) == []


def test_several_labels_are_the_same_in_any_order_and_judged_by_their_mean(tmp_path):
    path = tmp_path / "labelled.jsonl"
    rows = [{"text": f"text {n}", "label": ["good"]} for n in range(90)]
    rows += [{"text": f"text {n}", "label": ["long"]} for n in range(90, 100)]
    rows += [
        {"text": "again", "label": ["good", "long"]},
        {"text": "again", "label": ["long", "good"]},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    often, repeated = found_in(path)
    assert "90% of the examples have the label" in often
    assert "judge by f1_macro" in often
    assert "1 text repeats an earlier one" in repeated


def test_what_was_not_agreed_upon_is_no_label(tmp_path):
    rows = [*sound_rows(), *(("-", f"open {number}") for number in range(20))]
    result = doctor(DoctorSettings(path=str(labelled(tmp_path, rows))))
    assert result["problems"] == []
    assert result["counts"]["left out, as not agreed upon"] == 20
    assert result["counts"]["labels"] == {"good": 20, "bad": 20}


def test_among_lists_an_empty_field_is_no_label_that_is_missing(tmp_path):
    path = tmp_path / "labelled.jsonl"
    lists = (["good", "long"], ["good"], None, ["long"])
    rows = [{"text": f"text {n}", "label": lists[n % 4]} for n in range(40)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert doctor(DoctorSettings(path=str(path)))["problems"] == []


def test_a_file_without_any_label_is_told_so(tmp_path):
    rows = [("", text) for _, text in sound_rows()]
    assert "40 rows have no label" in only_one(found_in(labelled(tmp_path, rows)))


@pytest.mark.parametrize("mark", [".", ","])
def test_numbers_to_be_learned_are_not_counted_as_labels(tmp_path, mark: str):
    rows = [(f"{number % 5}{mark}5", text) for number, (_, text) in enumerate(sound_rows())]
    result = doctor(DoctorSettings(path=str(labelled(tmp_path, rows))))
    assert result["counts"] == {"examples": 40, "labels": "numbers from 0.5 to 4.5"}


@pytest.mark.parametrize("written", ["nan", "NULL", "<NA>", "#N/A", "None"])
def test_rows_that_say_that_they_have_no_label_are_counted_as_such(tmp_path, written: str):
    rows = [*sound_rows(), (written, "one"), (written, "two"), ("", "three")]
    result = doctor(DoctorSettings(path=str(labelled(tmp_path, rows))))
    (problem,) = result["problems"]
    assert f'3 rows have no label or say that there is none ("{written}")' in problem["what"]
    assert problem["fix"] == "label them, or leave them out with --missing-labels drop"
    assert result["counts"] == {"examples": 43, "labels": {"good": 20, "bad": 20}}


def test_vectors_of_zeros_and_ones_are_counted_by_position(tmp_path):
    path = tmp_path / "labelled.jsonl"
    vectors = ([1, 0, 0], [0, 1, 1])
    rows = [{"text": f"text {n}", "label": vectors[n % 2]} for n in range(40)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = doctor(DoctorSettings(path=str(path)))
    assert result["problems"] == []
    assert result["counts"]["labels"] == {"0": 20, "1": 20, "2": 20}


def test_numbers_that_are_not_certain_are_a_problem_with_its_fix(tmp_path):
    rows = [
        (f"{number % 9 + 1},{number:03}", text) for number, (_, text) in enumerate(sound_rows())
    ]
    assert "'1,000' may be several numbers → write all" in only_one(
        found_in(labelled(tmp_path, rows))
    )


def test_labels_that_look_alike_or_joined_are_problems(tmp_path):
    labels = ("Good", "good", "bad", "bad|good")
    rows = [(labels[n % 4], f"text {n}") for n in range(40)]
    alike, joined = found_in(labelled(tmp_path, rows))
    assert '"Good" (10) and "good" (10)' in alike
    assert '"bad|good" → if they are, add' in joined.replace(": if", " → if")


def sound_rows() -> list[tuple[str, str]]:
    return [(("good", "bad")[number % 2], f"text number {number}") for number in range(40)]


def labelled(folder: Path, rows: list[tuple[str, str]]) -> Path:
    path = folder / "labelled.tsv"
    lines = ["label\ttext", *("\t".join(row) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ([("good", "a text\twith a tab")], "1 of 41 rows cannot be read; the first: "),
        ([("", "unlabelled")], "1 row has no label; the first is in line 42"),
        ([("good", "")], "1 text is empty; the first is in line 42"),
        ([("good", "text number 0")], "1 text repeats an earlier one"),
        ([("rare", "some"), ("rare", "others")], 'fewer than 8 examples: "rare" (2)'),
        ([("good", f"more {n}") for n in range(900)], "98% of the examples have the label"),
        ([("good", "word " * 200 + str(n)) for n in range(20)], "have more than 128 words"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_labelled_rows_is_found(rows, what: str, tmp_path):
    assert what in only_one(found_in(labelled(tmp_path, sound_rows() + rows)))


def test_the_same_text_with_two_labels_is_found(tmp_path):
    problems = found_in(labelled(tmp_path, [*sound_rows(), ("bad", "text number 0")]))
    assert any('different labels, such as "text number 0"' in problem for problem in problems)


def test_one_label_alone_is_found(tmp_path):
    rows = [("good", text) for _, text in sound_rows()]
    assert "all 40 examples are labelled 'good'" in only_one(found_in(labelled(tmp_path, rows)))


def test_one_label_alone_is_found_beside_rows_that_lack_theirs(tmp_path):
    rows = [("good", text) for _, text in sound_rows()]
    lacking, alone = found_in(labelled(tmp_path, [*rows, ("", "one more text")]))
    assert "1 row has no label" in lacking
    assert "all 40 examples are labelled 'good'" in alone


def test_a_column_that_holds_no_classes_is_found(tmp_path):
    rows = [(f"label {number}", text) for number, (_, text) in enumerate(sound_rows() * 3)]
    assert any(
        "this column holds no classes" in problem for problem in found_in(labelled(tmp_path, rows))
    )


def test_a_labelled_file_in_another_encoding_is_named_with_the_fix(tmp_path):
    path = labelled(tmp_path, sound_rows())
    path.write_bytes(path.read_bytes() + "good\tcafé\n".encode("latin-1"))
    problem = only_one(found_in(path))
    assert "line 42" in problem
    assert "iconv -f LATIN1 -t UTF-8" in problem


def test_the_tasks_own_file_is_sound(tmp_path):
    texts = found_in(write_toy_file(tmp_path / "train.tsv", 60, seed=1))
    assert all("an earlier one" in problem for problem in texts)


def test_pairs_are_compared_as_pairs_and_numbers_are_no_classes(tmp_path):
    path = tmp_path / "pairs.tsv"
    rows = [f"{number / 7:.3f}\tthe same\tother {number}" for number in range(99)]
    path.write_text("\n".join(["score\tsentence1\tsentence2", *rows]) + "\n")
    assert found_in(path) == []
    path.write_text("\n".join(["score\tsentence1\tsentence2", *rows, rows[0]]) + "\n")
    assert "1 text repeats an earlier one" in only_one(found_in(path))


@pytest.mark.parametrize("task", ["sst2", "snli", "korsts", "nsmc"])
def test_real_labelled_files_are_read(shared_data, task: str):
    result = doctor(DoctorSettings(path=str(shared_data / "tasks" / task / "train.tsv")))
    assert result["kind"] == "a labelled file"
    assert len(result["problems"]) <= 2
