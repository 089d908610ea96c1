"""Excel's .xlsx files."""

import sys
from datetime import datetime

import pytest

from selfsup.corpus.readers.documents import BadRecord
from selfsup.corpus.readers.inputs import find_inputs
from selfsup.corpus.readers.sources import read_documents
from selfsup.errors import UserError
from selfsup.tasks.tables import Row, read_records


def save(path, rows, *more_sheets: str) -> str:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for name in more_sheets:
        book.create_sheet(name).append(["another"])
    book.save(path)
    return str(path)


def read(file: str):
    said: list[str] = []
    return list(read_records(file, tell=said.append)), [note.split(": ", 1)[1] for note in said]


def test_the_values_of_the_first_sheet_are_texts(tmp_path):
    rows = [
        ["label", "text", "when", None],
        [1, "음식이 맛있었어요", datetime(2024, 1, 2)],
        [None, None, None],
        [2.5, 'a "quoted", one', datetime(2024, 1, 2, 3, 4)],
        [3.0, "two\nlines", None, " "],
    ]
    found, said = read(save(tmp_path / "a.xlsx", rows, "second"))
    names = ("label", "text", "when")
    assert found == [
        Row(2, dict(zip(names, ("1", "음식이 맛있었어요", "2024-01-02"), strict=True))),
        Row(4, dict(zip(names, ("2.5", 'a "quoted", one', "2024-01-02 03:04:00"), strict=True))),
        Row(5, dict(zip(names, ("3", "two\nlines", ""), strict=True))),
    ]
    assert said == [
        'of its 2 sheets "Sheet" is read',
        "rows in which nothing stands left out: 1 (the first is line 3)",
    ]


def test_a_formula_without_its_value_is_a_bad_row(tmp_path):
    found, _ = read(save(tmp_path / "a.xlsx", [["label", "text"], ["=1+1", "a"], ["2", "b"]]))
    assert isinstance(found[0], BadRecord)
    assert str(found[0]).endswith("line 2: a formula without its value; open and save it in Excel")
    assert found[1] == Row(3, {"label": "2", "text": "b"})


def test_a_sheet_may_be_a_corpus_if_it_is_named(tmp_path):
    file = save(tmp_path / "a.xlsx", [["text"], ["one"], ["two"]])
    assert [document.text for document in read_documents([file])] == ["one", "two"]
    (tmp_path / "b.txt").write_text("b")
    assert [found.suffix for found in find_inputs([str(tmp_path)])] == [".txt"]


def test_a_sheet_without_a_header_is_refused(tmp_path):
    file = save(tmp_path / "a.xlsx", [["good", "The soup was warm."], ["good", "Fine."]])
    with pytest.raises(UserError, match="line 1 looks like an example"):
        read(file)


def test_what_cannot_be_read_is_refused_with_its_fix(tmp_path, monkeypatch):
    (tmp_path / "a.xls").write_bytes(b"\xd0\xcf\x11\xe0")
    with pytest.raises(UserError, match=r"an old Excel file: save it as \.xlsx or CSV UTF-8$"):
        read(str(tmp_path / "a.xls"))
    (tmp_path / "a.xlsx").write_bytes(b"PK")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(UserError, match=r"needs the library openpyxl: pip install 'selfsup\[excel"):
        read(str(tmp_path / "a.xlsx"))


def test_a_damaged_sheet_is_refused(tmp_path):
    pytest.importorskip("openpyxl")
    (tmp_path / "a.xlsx").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"a\.xlsx: cannot be read as \.xlsx \(.*\): save it again"):
        read(str(tmp_path / "a.xlsx"))
