"""The predictions file is whole or not there."""

import errno
import json
import os

import pytest

from selfsup.errors import UserError
from selfsup.inference.predictions_file import check_writable, write_predictions

OLD = '{"text": "a", "label": "1", "probabilities": {"1": 1.0}}\n'
PREDICTIONS = [{"text": "좋은 영화", "label": "1"}, {"text": "two\nlines", "label": "0"}]


def test_each_prediction_is_a_line_of_json(tmp_path):
    path = tmp_path / "new" / "answers.jsonl"
    write_predictions(path, PREDICTIONS)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == PREDICTIONS
    assert "좋은" in lines[0]


def test_a_run_that_breaks_off_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "answers.jsonl"
    path.write_text(OLD)

    def broken():
        yield PREDICTIONS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_predictions(path, broken())
    assert [entry.name for entry in tmp_path.iterdir()] == ["answers.jsonl"]
    assert path.read_text() == OLD


def test_where_no_file_can_be_written_is_told_before(tmp_path, monkeypatch):
    check_writable(tmp_path / "new" / "answers.jsonl")
    assert list((tmp_path / "new").iterdir()) == []
    with pytest.raises(UserError, match="this is a folder: name a file"):
        check_writable(tmp_path / "new")
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match=r"cannot write .*answers\.jsonl: "):
        check_writable(tmp_path / "file" / "answers.jsonl")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(UserError, match="you may not write there"):
        check_writable(tmp_path / "answers.jsonl")


def test_what_is_read_is_not_written_over(tmp_path):
    (tmp_path / "data.jsonl").write_text("old")
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "data.jsonl")
    for name in ("data.jsonl", "link.jsonl"):
        with pytest.raises(UserError, match="it is the file to predict for: name another"):
            check_writable(tmp_path / name, tmp_path / "data.jsonl")
    check_writable(tmp_path / "answers.jsonl", tmp_path / "data.jsonl")
    check_writable(tmp_path / "answers.jsonl", "hf://data")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("gold.jsonl", '{"text": "a", "label": "1"}\n'),
        ("numbers.jsonl", '{"text": "a", "value": 2.0}\n'),
        ("names.jsonl", '{"text": "a", "entities": []}\n'),
        ("gold.csv", "text,label\na,1\n"),
        ("config.json", '{"hidden_size": 24}'),
        ("squad.json", '{"data": []}'),
        ("package.json", '{"name": "a", "version": "1"}'),
        ("texts.txt", "a\n"),
        ("image.png", "\x89PNG"),
    ],
)
def test_what_holds_no_predictions_is_not_written_over(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match="it is there already and does not look like predictions"):
        check_writable(tmp_path / name)
    with pytest.raises(UserError, match="it is there already and does not look like predictions"):
        write_predictions(tmp_path / name, PREDICTIONS)
    assert (tmp_path / name).read_text() == content


@pytest.mark.parametrize(
    "record",
    [
        {"text": "a", "label": "1", "probabilities": {}},
        {"text": "a", "value": 1.0, "prediction": 2.0},
        {"text": "a", "entities": [], "words": [], "tags": [], "tag_probabilities": []},
        {"id": "1", "question": "q", "answer": "", "n_best": []},
    ],
)
def test_older_predictions_are_written_over(tmp_path, record):
    path = tmp_path / "answers.jsonl"
    write_predictions(path, [record])
    write_predictions(path, PREDICTIONS)
    assert len(path.read_text().splitlines()) == 2


def test_older_predictions_in_csv_are_written_over_too(tmp_path):
    for name in ("answers.csv", "answers.CSV"):
        record = {"text": "a, b", "probabilities": {"1": 0.25, "2": 0.75}}
        for _ in range(2):
            write_predictions(tmp_path / name, [record])
        written = '"text","probabilities.1","probabilities.2"\n"a, b",0.25,0.75\n'
        assert (tmp_path / name).read_text() == written


@pytest.mark.parametrize("name", ["answers.json", "answers.JSON"])
def test_answers_in_squads_form_are_written_over_too(tmp_path, name):
    for answer in ("one", "two"):
        write_predictions(tmp_path / name, [{"id": "7", "answer": answer}], as_answers=True)
    assert json.loads((tmp_path / name).read_text()) == {"7": "two"}


@pytest.mark.parametrize("name", ["a.TSV", "a.parquet", "a.jsonl.gz"])
def test_json_lines_do_not_go_by_the_name_of_a_table_or_an_archive(tmp_path, name):
    with pytest.raises(UserError, match=r"are JSON lines or CSV: name it NAME\.jsonl"):
        check_writable(tmp_path / name)


def test_a_full_disk_is_told_in_a_line_and_the_old_file_stays(tmp_path, monkeypatch):
    path = tmp_path / "answers.jsonl"
    path.write_text(OLD)

    def no_space(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(UserError, match="the disk is full"):
        write_predictions(path, PREDICTIONS)
    assert path.read_text() == OLD
