"""Files as Excel and other programs write them, from the command line to a prediction."""

import json
from pathlib import Path

import pytest

from selfsup.cli import main
from selfsup.errors import UserError
from selfsup.settings.reading import FileFormat
from selfsup.tasks.question_answering.files import read_squad
from selfsup.tasks.tables import Columns, read_rows
from selfsup.tasks.token_classification.columns import read_conll

ROWS = [
    ("긍정", "음식이 맛있었어요, 정말"),
    ("부정", "너무 짜요"),
    ("긍정", "직원이 친절함"),
    ("부정", "한 시간을 기다렸다"),
]
FAST = ["--encoder", "bert-tiny", "--epochs", "1", "--threads", "1", "--device", "cpu"]


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def finetune(path: Path, run: Path, *flags: str) -> int:
    files = ["--train", str(path), "--validation", str(path), "--out", str(run)]
    return main(["finetune", "sequence-classification", *FAST, *files, *flags])


@pytest.fixture
def export(tmp_path) -> Path:
    """What Excel saves as CSV in Korea: CP949, semicolons, rows in which nothing stands."""
    rows = ["라벨;리뷰", *map(";".join, ROWS[:2]), ";", *map(";".join, ROWS[2:]), ";", ";"]
    path = tmp_path / "export.csv"
    path.write_bytes("".join(row + "\r\n" for row in rows).encode("cp949"))
    return path


def test_an_export_of_excel_becomes_a_model_and_predictions(export, tmp_path, capsys):
    run, out = tmp_path / "run", tmp_path / "out.jsonl"
    assert finetune(export, run) == 2
    said = capsys.readouterr().err
    assert "not UTF-8; it reads as Korean in CP949" in said
    assert said.rstrip().endswith("add --encoding cp949")
    assert not run.exists()

    flags = ["--encoding", "cp949"]
    assert finetune(export, run, *flags) == 0
    said = capsys.readouterr().err
    assert "columns are separated by ';' (--delimiter changes it)" in said
    assert "rows in which nothing stands left out: 3 (the first is line 4)" in said
    assert set(json.loads((run / "model/config.json").read_text())["label2id"]) == {"긍정", "부정"}

    data = ["--data", str(export), *flags]
    assert main(["predict", str(run), *data, "--out", str(out)]) == 0
    assert [answer["text"] for answer in lines(out)] == [text for _, text in ROWS]
    assert main(["evaluate", str(run), *data, "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["examples"] == 4


def test_a_corpus_in_another_encoding_is_prepared(export, tmp_path, capsys):
    tokenizer, shards = str(tmp_path / "tokenizer"), str(tmp_path / "shards")
    assert main(["train-tokenizer", str(export), "--out", tokenizer]) == 2
    assert "add --encoding cp949" in capsys.readouterr().err
    flags = ["--encoding", "cp949", "--text-field", "리뷰"]
    assert main(["train-tokenizer", str(export), "--out", tokenizer, *flags]) == 0
    command = ["prepare", str(export), "--tokenizer", tokenizer, "--out", shards, "--workers", "1"]
    assert main([*command, *flags]) == 0
    manifest = json.loads(Path(shards, "manifest.json").read_text())
    assert (manifest["records"], manifest["documents"]) == (4, 4)
    assert main([*command, *flags]) == 0  # it is there already
    assert main([*command, *flags[:2]]) == 2  # made with other settings


def test_the_doctor_says_what_the_commands_say(export, capsys):
    def doctor(*flags: str) -> dict:
        assert main(["doctor", str(export), "--json", *flags]) == 0
        return json.loads(capsys.readouterr().out)

    (problem,) = doctor()["problems"]
    assert "it reads as Korean in CP949" in problem["what"]
    assert problem["fix"] == "add --encoding cp949"
    result = doctor("--encoding", "cp949")
    assert result["kind"] == "a labelled file"
    assert result["counts"]["examples"] == 4
    assert "separated by ';'" in result["counts"]["notes"]
    assert "nothing stands left out: 3" in result["counts"]["notes"]
    export.write_text("good,Fine soup\nbad,Cold\ngood,Warm\n")
    (problem,) = doctor()["problems"]
    assert "line 1 looks like an example" in problem["what"]
    assert doctor("--columns", "label,text")["counts"]["labels"] == {"good": 2, "bad": 1}


def test_a_file_without_a_header_keeps_its_first_row(tmp_path):
    path, run, out = tmp_path / "a.csv", tmp_path / "run", tmp_path / "out.jsonl"
    path.write_text("good,Fine soup\nbad,Cold plate\ngood,Warm room\nbad,Dull room\n")
    assert finetune(path, run) == 2
    assert finetune(path, run, "--no-header") == 0
    data = ["--data", str(path), "--out", str(out)]
    assert main(["predict", str(run), *data]) == 2
    assert main(["predict", str(run), *data, "--columns", "verdict,text"]) == 0
    assert [answer["text"] for answer in lines(out)] == [
        "Fine soup", "Cold plate", "Warm room", "Dull room",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--encoding", "klingon"], "--encoding klingon: unknown: give a name such as cp949"),
        (["--encoding", "base64"], "--encoding base64: unknown"),
        (["--encoding", "\0"], "--encoding \0: unknown"),
        (["--delimiter", ";;"], "--delimiter takes one character, or tab, not ';;'"),
        (["--columns", "a,a"], "--columns a,a: give each column a name of its own"),
        (["--columns", "a,"], "--columns a,: give each column a name of its own"),
    ],
)
def test_flags_are_checked(export, tmp_path, capsys, flags, said):
    assert finetune(export, tmp_path / "run", *flags) == 2
    assert said in capsys.readouterr().err


def test_nested_fields_are_named_by_their_paths(tmp_path, capsys):
    path, run = tmp_path / "a.jsonl", tmp_path / "run"
    rows = [{"id": i, "review": {"text": text, "by": {"stars": i % 2}}}
            for i, (_, text) in enumerate(ROWS)]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert finetune(path, run) == 2
    assert "It has: id, review.text, review.by.stars; name it" in capsys.readouterr().err
    flags = ["--text-column", "review.text", "--label-column", "review.by.stars"]
    assert finetune(path, run, *flags) == 0
    tokenizer = str(tmp_path / "tokenizer")
    corpus = ["train-tokenizer", str(path), "--out", tokenizer, "--text-field"]
    assert main([*corpus, "review"]) == 2
    assert "review.text" in capsys.readouterr().err
    assert main([*corpus, "review.text"]) == 0


def test_a_field_with_a_dot_in_its_name_comes_before_a_path(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a.b": "own", "a": {"b": "path"}}\n')
    (row,) = read_rows(str(path), Columns(text="a.b"))
    assert row.fields["a.b"] == "own"


def test_tags_and_questions_are_read_in_their_encoding(tmp_path):
    (tmp_path / "a.conll").write_bytes("서울\tB-LOC\n에서\tO\n\n부산\tB-LOC\n".encode("cp949"))
    file = str(tmp_path / "a.conll")
    with pytest.raises(UserError, match=r"reads as Korean in CP949 .*: add --encoding cp949"):
        read_conll(file, labelled=True)
    asked = Columns(file_format=FileFormat(encoding="cp949"))
    read = read_conll(file, asked, labelled=True)
    assert [sentence.text for sentence in read.sentences] == ["서울 에서", "부산"]

    paragraphs = [{"context": "서울은 수도이다", "qas": [{"id": "1", "question": "수도는?",
                  "answers": [{"text": "서울", "answer_start": 0}]}]}]  # fmt: skip
    whole = json.dumps({"data": [{"paragraphs": paragraphs}]}, ensure_ascii=False)
    for encoding in ("cp949", "utf-16"):
        (tmp_path / "a.json").write_bytes(whole.encode(encoding))
        with pytest.raises(UserError, match=f"not UTF-8; .*: add --encoding {encoding}"):
            read_squad(str(tmp_path / "a.json"), labelled=True)
        questions = read_squad(str(tmp_path / "a.json"), labelled=True, encoding=encoding)
        assert questions.questions == ["수도는?"]
