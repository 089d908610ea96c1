"""Where a local path is needed, an address is refused before anything is written."""

import re
from pathlib import Path

import pytest

from selfsup import cli
from selfsup.atomic_files import locked, refuse_address
from selfsup.encoder.huggingface.folder import resolve_model_folder
from selfsup.errors import UserError

WRITES = [
    "train-tokenizer texts --out {}",
    "prepare texts --tokenizer folder --out {}",
    "pretrain texts --out {}",
    "finetune pair-classification --encoder bert-tiny --train a.tsv --validation b.tsv --out {}",
    "evaluate model --data a.tsv --predictions {}",
    "predict model --data a.tsv --out {}",
    "report run --out {}",
    "demo --out {}",
    "explain text --out {}",
]
READS = [
    "prepare texts --tokenizer {} --out shards",
    "pretrain texts --init {} --out run",
    "pretrain texts --tokenizer {} --out run",
    "pretrain texts --config {} --out run",
    "resume {}",
    "finetune sequence-classification --encoder {} --train a.tsv --validation b.tsv --out run",
    "finetune image-classification --encoder vit-mini --train {} --validation b --out run",
    "evaluate {} --data a.tsv",
    "evaluate --predictions-file {} --data a.json",
    "predict {} text",
    "predict model --question why --context-file {}",
    "fill-mask {} text",
    "report run {}",
]
ADDRESSES = ["s3://bucket/a", "gs://b", "https://host/a", "dbfs:/a", "S3://b/c", "hdfs:///a b"]


@pytest.mark.parametrize("address", ["s3://bucket/a", "https://host/a", "dbfs:/a", "S3://b/c"])
@pytest.mark.parametrize("command", WRITES + READS)
def test_an_address_is_refused_in_one_line(command, address, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main([word.replace("{}", address) for word in command.split()]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    done = "written to" if command in WRITES else "read from"
    assert re.search(f"{address}: .*{done} (a )?local folders? only: .*copy", line)
    assert list(tmp_path.iterdir()) == []


def test_the_address_of_a_local_file_is_told_as_a_path():
    with pytest.raises(UserError, match=r"--out file:///tmp/run: .* write /tmp/run$"):
        refuse_address("file:///tmp/run", "", "--out")


@pytest.mark.parametrize("path", ["run", "/tmp/a:b/run", "a:b", "C:/runs", "./s3:/run", ""])
def test_a_path_is_no_address(path):
    refuse_address(path, "")


def test_whoever_writes_without_the_command_line_is_told_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="written to local folders only"), locked(Path("s3://b")):
        pass
    with pytest.raises(UserError, match="read from local folders only"):
        resolve_model_folder("s3://bucket/model")
