"""Text with all that can be wrong with it, and sound text."""

import json
import lzma
from pathlib import Path

import pytest

from selfsup.doctor import doctor, unlabelled
from selfsup.settings.showing import DoctorSettings
from tests.doctor.found_problems import found_in, only_one
from tests.toy_corpus import toy_documents, write_toy_corpus

LITTLE_TEXT = "from so little text an encoder learns little"


def test_sound_text_has_no_problems(tmp_path, no_text_is_little):
    result = doctor(DoctorSettings(path=str(write_toy_corpus(tmp_path / "texts.txt"))))
    assert (result["kind"], result["problems"]) == ("text to pre-train on", [])


def test_what_can_be_read_is_counted(tmp_path):
    path = jsonl(tmp_path, ["four", "", "seven, "], b"{not JSON")
    assert doctor(DoctorSettings(path=str(path)))["counts"] == {"documents": 3, "characters": 11}


def test_a_little_text_is_named_little(tmp_path):
    assert LITTLE_TEXT in only_one(found_in(write_toy_corpus(tmp_path / "texts.txt")))


def jsonl(folder: Path, texts: list[str], *raw: bytes) -> Path:
    path = folder / "texts.jsonl"
    lines = [json.dumps({"text": text}).encode() for text in texts]
    path.write_bytes(b"\n".join([*lines, *raw]))
    return path


@pytest.mark.parametrize(
    ("texts", "raw", "what"),
    [
        ([], [b"{not JSON"], "1 of 21 records cannot be read; the first: "),
        ([], [b'{"text": "caf\xe9"}'], "say with --encoding"),
        (["", " \n"], [], "2 of 22 documents are empty"),
        (["caf\ufffd"], [], "1 of 21 documents hold \ufffd"),
        (toy_documents(5), [], "5 of 25 documents are duplicates"),
    ],
)
def test_what_is_wrong_with_text_is_found(texts, raw, what: str, tmp_path, no_text_is_little):
    path = jsonl(tmp_path, [*toy_documents(20), *texts], *raw)
    assert what in only_one(found_in(path))


def test_a_text_that_is_one_document_is_found(tmp_path):
    (tmp_path / "book.txt").write_text("\n".join(toy_documents(50)))
    problem, _ = found_in(tmp_path / "book.txt")
    assert "there is 1 document, and next-sentence prediction needs 4" in problem
    assert "--objectives mlm" in problem
    assert "--text-documents" in problem


def test_documents_without_a_next_sentence_are_found_among_the_first(
    tmp_path, no_text_is_little, monkeypatch
):
    sentences = [text.split(".")[0] + "." for text in toy_documents(30)]
    path = jsonl(tmp_path, [*sentences, *toy_documents(5, seed=9)])
    assert "30 of 35 documents are a single sentence" in only_one(found_in(path))
    monkeypatch.setattr(unlabelled, "_MAX_SPLIT", 20)
    problem = only_one(found_in(path))
    assert "among the first 20: 20 of 20 documents are a single sentence" in problem


def test_a_folder_of_texts_is_looked_at_file_by_file(tmp_path, no_text_is_little):
    for number, text in enumerate(toy_documents(6)):
        (tmp_path / f"{number}.txt").write_text(text)
    assert found_in(tmp_path) == []


def test_a_damaged_archive_is_a_finding(tmp_path):
    packed = lzma.compress(b"\n\n".join(text.encode() for text in toy_documents(50)))
    (tmp_path / "texts.txt.xz").write_bytes(packed[: len(packed) // 2])
    assert "damaged or cut short" in only_one(found_in(tmp_path / "texts.txt.xz"))
