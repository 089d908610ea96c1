"""A pipe or a device in the place of a file is refused in one line: reading it may never end."""

import contextlib
import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from selfsup import cli
from selfsup.corpus.prepare import prepare
from selfsup.corpus.tokenizer.folder import save_tokenizer
from selfsup.encoder.layers import initialize
from selfsup.finetuning.run import finetune
from selfsup.inference import predict
from selfsup.special_files import special_kind
from selfsup.tasks.encoders import Limits
from selfsup.tasks.labels import Labels
from selfsup.tasks.registry import TASKS, save_task_model
from tests.fuzz.target import run_command
from tests.tokenizer_folder import text_preparation
from tests.toy_corpus import write_toy_corpus
from tests.toy_tasks import CONFIG, toy_settings, toy_tokenizer, write_toy_file, write_toy_model

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


@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize(
    "name",
    [
        "encoder/vocab.txt", "encoder/merges.txt", "encoder/vocab.json",
        "encoder/added_tokens.json",
        "encoder/special_tokens_map.json", "shards/tokenizer/vocab.txt",
    ],
)  # fmt: skip
def test_a_tokenizers_file_that_is_only_copied_is_refused_before_training(
    name: str, kind: str, files, tmp_path, monkeypatch
):
    folder = tmp_path / "files"
    shutil.copytree(files, folder)
    (folder / name).touch()
    plant(folder / name, kind)
    monkeypatch.chdir(folder)
    words = READS["train.tsv"] if name.startswith("encoder") else (*FROM_SHARDS, "--out", "new")
    says = f"{Path(name).name}: a {kind}, not a file: give a file"
    assert run_command(*words, names=(says,))[0] == 2
    assert not (folder / "new" / "metrics.jsonl").exists()


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


def fill(path: Path, content: bytes) -> threading.Thread:
    """Make a pipe that gives this content to the first who reads it."""

    def write() -> None:
        with contextlib.suppress(BrokenPipeError), path.open("wb") as file:
            file.write(content)

    os.mkfifo(path)
    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    return writer


def test_a_pipe_is_read_where_one_is_useful(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "settings", b"json: true\n")
    status, said = run_command("doctor", str(files / "train.tsv"), "--config", "settings")
    assert (status, json.loads(said)["kind"]) == (0, "a labelled file")
    answering = question_model(tmp_path / "answering")
    fill(tmp_path / "context", b"the film was fine")
    question = ("predict", str(answering), "--question", "what was fine", "--device", "cpu")
    assert run_command(*question, "--context-file", "context", "--json")[0] == 0


def test_a_pipe_without_end_is_read_up_to_a_bound(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(predict, "LONGEST_RECORD_BYTES", 1 << 20)
    answering = question_model(tmp_path / "answering")
    question = ("predict", str(answering), "--question", "what was fine", "--device", "cpu")
    fill(tmp_path / "context", b"a film " * (1 << 20))
    status, _ = run_command(*question, "--context-file", "context", names=("longer than 1 MiB",))
    assert status == 2
    fill(tmp_path / "settings", b"json: true\n" * (1 << 20))
    assert run_command("doctor", "x", "--config", "settings", names=("too large",))[0] == 2


def test_a_context_is_read_from_its_file_though_standard_input_is_closed(tmp_path, monkeypatch):
    (tmp_path / "context").write_text("the film was fine")
    answering = question_model(tmp_path / "answering")
    monkeypatch.setattr(sys, "stdin", None)
    words = ("predict", str(answering), "--question", "what was fine", "--device", "cpu")
    assert cli.main([*words, "--context-file", str(tmp_path / "context")]) == 0
    assert cli.main([*words]) == 2


@pytest.mark.parametrize("flag", ["--config", "--context-file"])
def test_a_device_is_refused_also_where_a_pipe_is_read(tmp_path, flag: str):
    answering = question_model(tmp_path / "answering")
    words = ("predict", str(answering), "--question", "what was fine", flag, "/dev/zero")
    assert run_command(*words, names=("/dev/zero: a device, not a file",))[0] == 2


@pytest.mark.parametrize("name", ["metrics.jsonl", ".lock", "run.yaml", "model"])
def test_a_pipe_in_the_folder_of_a_new_run_is_replaced_or_refused(name, files, monkeypatch):
    monkeypatch.chdir(files)
    run = files / f"over-{name}"
    run.mkdir()
    os.mkfifo(run / name)
    status, _ = run_command(
        "finetune", "sequence-classification", "--encoder", "encoder", "--train", "train.tsv",
        "--validation", "dev.tsv", "--out", run.name, "--epochs", "1", "--device", "cpu",
        names=(run.name,),
    )  # fmt: skip
    assert (status == 0) == (run / "summary.json").is_file()


def question_model(folder: Path) -> Path:
    """A model with random weights that answers questions."""
    task = TASKS["question-answering"]
    save_tokenizer(toy_tokenizer(), folder)
    model = task.build_model(task.family.build_encoder(CONFIG, pooled=task.pooled),
                             Labels("none"), 0.1)  # fmt: skip
    initialize(model, 0.3, seed=3)
    save_task_model(folder, task, model, Labels("none"), text_preparation(folder, Limits(32, 0)),
                    "# Card\n")  # fmt: skip
    return folder
