"""A pipe or a device in the place of a file is refused in one line: reading it may never end."""

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from selfsup.corpus.prepare import prepare
from selfsup.corpus.tokenizer.folder import save_tokenizer
from selfsup.finetuning.run import finetune
from selfsup.special_files import special_kind
from tests.fuzz.target import run_command
from tests.toy_corpus import write_toy_corpus
from tests.toy_tasks import toy_settings, toy_tokenizer, write_toy_file, write_toy_model

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such files")


@pytest.fixture(autouse=True)
def _end_in_time() -> Iterator[None]:
    def fail(*_: object) -> None:
        raise TimeoutError("it waits for a pipe")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(30)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("special")
    write_toy_model(folder / "encoder")
    save_tokenizer(toy_tokenizer(), folder / "tokenizer")
    corpus = write_toy_corpus(folder / "corpus.txt")
    prepare([str(corpus)], str(folder / "tokenizer"), str(folder / "shards"), workers=1)
    write_toy_file(folder / "train.tsv", 20, 1)
    write_toy_file(folder / "dev.tsv", 20, 2)
    finetune(toy_settings(folder, folder / "run", epochs=1))
    shutil.copytree(folder / "run", folder / "stopped")
    (folder / "stopped" / "summary.json").unlink()
    return folder


FROM_SHARDS = ("pretrain", "shards", "--encoder", "bert-tiny", "--steps", "2", "--device", "cpu")
# A file, and a command that reads it.
READS = {
    "encoder/config.json": ("fill-mask", "encoder", "a [MASK]"),
    "encoder/model.safetensors": ("fill-mask", "encoder", "a [MASK]"),
    "encoder/tokenizer.json": ("fill-mask", "encoder", "a [MASK]"),
    "tokenizer/vocab.txt": ("prepare", "corpus.txt", "--tokenizer", "tokenizer", "--out", "new"),
    "shards/manifest.json": (*FROM_SHARDS, "--out", "new"),
    "shards/shard-00000.safetensors": (*FROM_SHARDS, "--out", "new"),
    "run/model/config.json": ("predict", "run", "a warm film"),
    "run/model/model.safetensors": ("evaluate", "run", "--data", "dev.tsv"),
    "stopped/run.yaml": ("resume", "stopped"),
    "train.tsv": ("finetune", "sequence-classification", "--encoder", "encoder", "--train",
                  "train.tsv", "--validation", "dev.tsv", "--out", "new"),
    "corpus.txt": ("doctor", "corpus.txt"),
}  # fmt: skip

# Where something else is found first.
SAYS = {
    "encoder/config.json": "no model folder (no config.json)",
    "shards/shard-00000.safetensors": "0 bytes where the manifest says",
    "run/model/config.json": "this run has not ended and has no model yet",
}


def plant(path: Path, kind: str) -> None:
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")


@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize("name", READS)
def test_it_is_refused_in_one_line(name: str, kind: str, files, tmp_path, monkeypatch):
    folder = tmp_path / "files"
    shutil.copytree(files, folder)
    if name == "tokenizer/vocab.txt":
        (folder / "tokenizer" / "tokenizer.json").unlink()
    plant(folder / name, kind)
    monkeypatch.chdir(folder)
    says = SAYS.get(name, f"{Path(name).name}: a {kind}, not a file: give a file")
    status, _ = run_command(*READS[name], names=(says,))
    assert status == 2
    assert not (folder / "new" / "model").exists()


@pytest.mark.parametrize(
    ("name", "expected"), [("run.yaml", 2), ("metrics.jsonl", 0), ("summary.json", 0)]
)
def test_a_report_leaves_out_what_it_can_do_without(name, expected, files, tmp_path, monkeypatch):
    shutil.copytree(files / "run", tmp_path / "run")
    plant(tmp_path / "run" / name, "pipe")
    monkeypatch.chdir(tmp_path)
    assert run_command("report", "run", names=(name,))[0] == expected


def test_kinds_of_files_are_told_apart(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    (tmp_path / "zero").symlink_to("/dev/zero")
    kinds = {path.name: special_kind(path) for path in tmp_path.iterdir()}
    assert kinds == {"pipe": "pipe", "file": None, "zero": "device"}
    assert special_kind(tmp_path) is None
    assert special_kind(tmp_path / "nothing") is None
