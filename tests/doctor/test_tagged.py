"""Tagged sentences with all that can be wrong with them, and sound ones."""

import json
from pathlib import Path
from typing import Any

import pytest

from selfsup.doctor import doctor
from selfsup.settings.showing import DoctorSettings
from tests.doctor.found_problems import found_in, only_one
from tests.toy_tasks import toy_sentences


def sound(count: int = 24) -> str:
    """Sentences of two types, each ten words and the last one its own, in columns."""
    return "\n".join(
        f"Anna\tB-PER\nWeber\tI-PER\nlives\tO\nin\tO\nParis\tB-LOC\nsince\tO\n{year}\tO\n"
        for year in range(1900, 1900 + count)
    )


def in_columns(folder: Path, *added: str, name: str = "train.conll") -> Path:
    path = folder / name
    path.write_text("\n".join([sound(), *added]), encoding="utf-8")
    return path


def diagnosed(path: Path) -> dict[str, Any]:
    result = doctor(DoctorSettings(path=str(path)))
    assert result["kind"] == "tagged sentences"
    return result


COUNTS = {
    "sentences": 24,
    "words": 168,
    "tag_scheme": "BIO",
    "entities": {"PER": 24, "LOC": 24},
}


@pytest.mark.parametrize("name", ["train.conll", "train.txt", "train.tsv", "train"])
def test_sound_columns_are_counted_and_have_no_problems(name, tmp_path):
    result = diagnosed(in_columns(tmp_path, name=name))
    assert (result["counts"], result["problems"]) == (COUNTS, [])


@pytest.mark.parametrize(
    ("added", "what", "fix"),
    [
        ("Paris\n", "lines of one column: 1; the first: FILE, line 193: one column, 'Paris'", ""),
        (
            "a\tNN\tO\n",
            "lines with more or fewer columns than others: 1; the first: FILE, line 193",
            "give every word the same columns",
        ),
        ("\tO\n", "lines without a word: 1; the first: FILE, line 193", "add it"),
        ("a\t\n", "lines without a tag: 1; the first: FILE, line 193", "add it"),
        (
            "Anna\tI-PER\nsings\tO\nLee\tI-LOC\n",
            "tags that the BIO scheme does not allow in their position: 2 (line 193: I-PER at the "
            "beginning; line 195: I-LOC after O)",
            "as the first of one",
        ),
        ("Anna\tPER\n", "FILE, line 193: tag 'PER' is neither O nor a type with a prefix", "fix"),
        ("Fiat\tB-ORG\n", 'types with fewer than 8 entities: 1, "ORG" (1)', "more examples"),
        ("Oslo\tB-LOC\n\nOslo\tB-LOC\n", "1 of 26 examples repeats an earlier one", "remove them"),
        ("a\tO\n" * 101 + "\n" + ("b\tO\n" * 102 + "\n") * 2 + "c\tO\n" * 200,
         "4 of 28 sentences have more than 100 words", "end each sentence with a blank line"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_columns_is_found_with_its_line(added, what, fix, tmp_path):
    path = in_columns(tmp_path, added)
    problems = [p for p in found_in(path) if "an earlier one" not in p or "repeat" in what]
    said, _, how = only_one(problems).partition(" → ")
    assert what.replace("FILE", str(path)) in said
    assert fix in how


def test_the_same_sentence_with_other_tags_is_found(tmp_path):
    problems = found_in(in_columns(tmp_path, "Oslo\tB-LOC\n\nOslo\tB-PER\n"))
    assert any("1 example has another label" in p and "line 195" in p for p in problems)


def test_words_without_entities_teach_nothing(tmp_path):
    path = tmp_path / "train.conll"
    path.write_text("a\tO\nb\tO\n")
    assert "all words are tagged O" in only_one(found_in(path))


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        (("I-PER", "I-PER", "O"), "IOB1"),
        (("B-PER", "E-PER", "S-LOC"), "BIOES"),
        (("B-PER", "L-PER", "U-LOC"), "BILOU"),
        (("NOUN", "NOUN", "VERB"), "plain"),
    ],
)
def test_the_scheme_is_guessed(tags, scheme, tmp_path):
    path = tmp_path / "train.conll"
    blocks = ["".join(f"w{n}\t{tag}\n" for tag in tags) for n in range(9)]
    path.write_text("\n".join(blocks))
    result = diagnosed(path)
    assert result["counts"]["tag_scheme"] == scheme
    assert [p for p in result["problems"] if "does not allow" in p["what"]] == []


def test_rows_of_words_and_tags_are_read_to_their_end(tmp_path):
    rows = [{"tokens": words, "tags": tags} for words, tags in toy_sentences(60, seed=1)]
    lines = [json.dumps(row) for row in rows]
    lines += ["{", json.dumps({"tokens": ["a", "b"], "tags": ["O"]})]
    (tmp_path / "train.jsonl").write_text("\n".join(lines))
    result = diagnosed(tmp_path / "train.jsonl")
    assert result["counts"]["sentences"] == 60
    assert result["counts"]["words"] == sum(len(row["tokens"]) for row in rows)
    problem = next(p for p in result["problems"] if "cannot be used" in p["what"])
    assert "rows that cannot be used: 2; the first: " in problem["what"]
    assert "line 61" in problem["what"]


def test_texts_with_entities_are_tagged_and_texts_with_topics_are_not(tmp_path):
    path = tmp_path / "train.jsonl"
    entity = {"start": 0, "end": 4, "label": "PER"}
    rows = [{"text": f"Anna sings {n}", "entities": [entity]} for n in range(9)]
    path.write_text("\n".join(map(json.dumps, rows)))
    assert diagnosed(path)["counts"]["entities"] == {"PER": 9}
    rows = [{"text": f"Anna sings {n}", "labels": ["music", "names"]} for n in range(9)]
    path.write_text("\n".join(map(json.dumps, rows)))
    assert doctor(DoctorSettings(path=str(path)))["kind"] == "a labelled file"


def test_what_was_taken_of_a_file_is_told(tmp_path):
    path = tmp_path / "train.tsv"
    path.write_text("# a comment\n" + "1\tAnna\tb_per\n2\tsings\to\n\n" * 9)
    counts = diagnosed(path)["counts"]
    assert counts["entities"] == {"PER": 9}
    assert "the words are taken from column 2" in counts["read"]
    assert "b_per as B-PER" in counts["read"]


def test_what_tools_export_is_tagged_and_what_is_not_read_is_named(tmp_path):
    value = {"start": 0, "end": 4, "text": "Anna", "labels": ["PER"]}
    task = {"data": {"text": "Anna sings"}, "annotations": [{"result": [{"value": value}]}]}
    path = tmp_path / "train.json"
    path.write_text(json.dumps([task] * 2))
    assert diagnosed(path)["counts"]["entities"] == {"PER": 2}
    path = tmp_path / "text.ann"
    path.write_text("T1\tPER 0 4\tAnna\n")
    assert "a file of brat, which is not read" in only_one(found_in(path))


def test_text_to_pre_train_on_is_not_taken_for_tags(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("A text of some words.\n\nBlood of type O\n\nAnother one.\n")
    assert doctor(DoctorSettings(path=str(path)))["kind"] == "text to pre-train on"


def test_real_tags_are_counted(shared_data):
    result = diagnosed(shared_data / "tasks" / "wnut17" / "train.conll")
    assert (result["counts"]["sentences"], result["counts"]["tag_scheme"]) == (3394, "BIO")
    path = shared_data / "tasks" / "wnut17" / "train.conll"
    begun = sum("\tB-" in line for line in path.read_text(encoding="utf-8").splitlines())
    assert sum(result["counts"]["entities"].values()) == begun
    assert all("repeat" in p["what"] or "another label" in p["what"] for p in result["problems"])
