"""What commands print, in processes of their own: to terminals, pipes, and streams that fail.

One interpreter imports the program once and forks for each command, which ends as any interpreter.
"""

import csv
import json
import os
import pty
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from selfsup.corpus.tokenizer.folder import load_tokenizer, save_tokenizer
from selfsup.encoder.layers import initialize
from selfsup.tasks.encoders import Limits, TextPreparation
from selfsup.tasks.labels import Labels
from selfsup.tasks.registry import TASKS, save_task_model
from tests.fuzz.test_terminal import obeyed
from tests.toy_tasks import CONFIG, toy_examples, toy_tokenizer, write_toy_model

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full and odd names")

LABELS = ("\x1b]0;owned\x07", "left\u202eright", "two\nlines", "\x9b2J")
SHOWN = (r"\x1b]0;owned\x07", r"left\u202eright", r"two\nlines", r"\u009b2J")
ODD_NAME = b"bad\xff\x1b[31m\nname.csv"
_OURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")  # what rich draws with


class Ended(NamedTuple):
    """A command's status and what its two streams got."""

    status: int
    out: str
    err: str


_SERVER = """
import importlib, json, os, socket, sys
from selfsup import cli
for package in ("finetuning.run", "inference.predict", "doctor.run", "cli.results"):
    importlib.import_module("selfsup." + package)
from selfsup.training.compute import Compute
Compute.matmul_peak = lambda self: 1e11  # measured, it takes seconds

server = socket.socket(fileno=int(sys.argv[1]))
while True:
    asked, ends, *_ = socket.recv_fds(server, 1 << 16, 2)
    if not asked:
        os._exit(0)
    child = os.fork()
    if not child:
        break
    for end in ends:
        os.close(end)
    server.send(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode())

words, closed, environment = json.loads(asked)
server.close()
os.environ.update(environment)
for number, end in zip((1, 2), ends):
    os.dup2(end, number)
    os.close(end)
encoding, _, errors = os.environ.get("PYTHONIOENCODING", "utf-8").partition(":")
sys.stdout = sys.__stdout__ = open(1, "w", encoding=encoding, errors=errors or "strict",
                                   closefd=False)
sys.stderr = sys.__stderr__ = open(2, "w", 1, encoding, "backslashreplace", closefd=False)
if 1 in closed:
    os.close(1)
    sys.stdout = sys.__stdout__ = None
if 2 in closed:
    os.close(2)
    sys.stderr = sys.__stderr__ = None
sys.argv = ["selfsup", *words]
sys.exit(cli.main())
"""

Run = Callable[..., Ended]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """Run a command; its streams are a "pipe", a "terminal", "closed", "full", or "gone".

    What goes to the last three is lost. The reader of one that is "gone" has ended.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(120)
    server = subprocess.Popen(
        [sys.executable, "-c", _SERVER, str(theirs.fileno())],
        stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()],
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "300"},
    )  # fmt: skip
    theirs.close()

    def run(*words: str | Path, out: str = "pipe", err: str = "pipe", **environment: str) -> Ended:
        reading: list[threading.Thread] = []
        texts: list[list[bytes]] = [[], []]
        ends: list[int] = []
        for kind, got in zip((out, err), texts, strict=True):
            if kind in ("closed", "full"):
                ends.append(os.open("/dev/full", os.O_WRONLY))
                continue
            read, write = pty.openpty() if kind == "terminal" else os.pipe()
            ends.append(write)
            if kind == "gone":
                os.close(read)
            else:
                reading.append(threading.Thread(target=_read, args=(read, got)))
        closed = [number for number, kind in ((1, out), (2, err)) if kind == "closed"]
        asked = json.dumps([[str(word) for word in words], closed, environment])
        socket.send_fds(ours, [asked.encode()], ends)
        for end in ends:
            os.close(end)
        for thread in reading:
            thread.start()
        status = int(ours.recv(100))
        for thread in reading:
            thread.join()
        encoding = environment.get("PYTHONIOENCODING", "utf-8").partition(":")[0]
        return Ended(status, *(b"".join(got).decode(encoding) for got in texts))

    yield run
    ours.close()
    server.wait(timeout=60)


def _read(descriptor: int, got: list[bytes]) -> None:
    try:
        while part := os.read(descriptor, 1 << 16):
            got.append(part)
    except OSError:
        pass  # how a terminal ends
    finally:
        os.close(descriptor)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("printed")


@pytest.fixture(scope="module")
def table(folder) -> Path:
    """A labelled table, whose name, labels and columns hold what a terminal obeys."""
    path = Path(os.fsdecode(os.path.join(os.fsencode(folder), ODD_NAME)))  # noqa: PTH118 - bytes
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["sentence", "label", "no\x1b[1mte"])
        for number, (_, text) in enumerate(toy_examples(60, 1)):
            writer.writerow([f"{text} {number}", LABELS[number % 4], "x"])
    return path


@pytest.fixture(scope="module")
def model(folder) -> Path:
    """A classifier with random weights."""
    task, model = TASKS["sequence-classification"], folder / "model"
    save_tokenizer(toy_tokenizer(), model)
    preparation = TextPreparation(load_tokenizer(model), Limits(32, 0), model)
    labels = Labels("class", LABELS)
    built = task.build_model(task.family.build_encoder(CONFIG, pooled=task.pooled), labels, 0.1)
    initialize(built, 0.3, seed=3)
    save_task_model(model, task, built, labels, preparation, "# Card\n")
    return model


@pytest.fixture(scope="module")
def encoder(folder) -> Path:
    return write_toy_model(folder / "encoder")


@pytest.fixture(scope="module")
def training_table(folder, table) -> Path:
    """The same table under a name in UTF-8, which training asks for."""
    path = folder / "train\x1b[31m\n.csv"
    path.write_bytes(table.read_bytes())
    return path


Words = Callable[[str], list[str | Path]]


@pytest.fixture
def words(table, training_table, model, encoder, tmp_path) -> Words:
    """The command lines, by what they do."""
    on_cpu = ["--device", "cpu"]
    lines = {
        "doctor": ["doctor", table],
        "doctor as JSON": ["doctor", table, "--json"],
        "predict": ["predict", model, "a fine film", *on_cpu],
        "predict a table": ["predict", model, "--data", table, "--text-column", "sentence",
                            "--out", "-", *on_cpu],
        "fine-tune": ["finetune", "sequence-classification", "--encoder", encoder,
                      "--train", training_table, "--validation", training_table,
                      "--text-column", "sentence", "--label-column", "label", "--out",
                      tmp_path / "run\x1b[31m", "--epochs", "1", *on_cpu],
        "a wrong flag": ["doctor", table, "--flag\x1b[2J\n"],
    }  # fmt: skip
    return lambda name: lines[name]


def sound(ended: Ended) -> None:
    """Fail if a command ended with a traceback."""
    for text in (ended.out, ended.err):
        assert "Traceback" not in text, text
        assert "Exception ignored" not in text, text


@pytest.mark.parametrize(
    ("name", "status"),
    [("doctor", 0), ("predict", 0), ("predict a table", 0), ("fine-tune", 0), ("a wrong flag", 2)],
)
def test_a_terminal_gets_nothing_that_it_obeys_from_files_and_names(
    run, words, name: str, status: int
):
    ended = run(*words(name), out="terminal", err="terminal", TERM="xterm-256color")
    sound(ended)
    assert ended.status == status, ended.err
    for text in (ended.out, ended.err):
        assert not obeyed(_OURS.sub("", text)), text
        assert "\x1b[31m" not in text
        assert "\x1b[2J" not in text
    said = ended.out + ended.err
    assert any(label in said for label in SHOWN) or r"\x1b[" in said
    if name == "fine-tune":  # its progress line is redrawn: to the start of the line, and erase it
        assert "\r\x1b[2K" in ended.err


def test_each_label_is_in_one_line_of_a_terminal(run, words):
    ended = run(*words("predict"), out="terminal", err="terminal")
    lines = ended.out.split("\r\n")
    assert all(sum(label in line for line in lines[1:]) == 1 for label in SHOWN)


def test_json_on_a_terminal_is_json(run, words):
    ended = run(*words("doctor as JSON"), out="terminal", PYTHONIOENCODING="ascii")
    assert set(json.loads(ended.out)["counts"]["labels"]) == set(LABELS)
    ended = run(*words("predict a table"), out="terminal", PYTHONIOENCODING="ascii")
    assert {json.loads(line)["label"] for line in ended.out.splitlines()} <= set(LABELS)


def test_data_in_a_pipe_is_exact(run, words):
    ended = run(*words("predict a table"))
    records = [json.loads(line) for line in ended.out.split("\n")[:-1]]
    assert len(records) == 60
    assert set().union(*(record["probabilities"] for record in records)) == set(LABELS)
    assert "left\u202eright" in ended.out


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        *((name, encoding) for name in ("doctor", "doctor as JSON")
          for encoding in ("cp949", "ascii", "utf-8:strict")),
        ("fine-tune", "cp949"),
        ("predict", "ascii"),
    ],
)  # fmt: skip
def test_any_encoding_of_the_output_ends_well(run, words, name: str, encoding: str):
    ended = run(*words(name), PYTHONIOENCODING=encoding)
    sound(ended)
    assert ended.status == 0, ended.err
    if name == "doctor as JSON":
        assert "bad\udcff" in json.loads(ended.out)["path"]
    if name == "doctor":
        assert r"bad\udcff" in ended.out


@pytest.mark.parametrize(
    ("out", "err"), [("pipe", "closed"), ("pipe", "gone"), ("closed", "full"), ("gone", "gone")]
)
def test_lost_streams_stop_no_training(run, words, out: str, err: str):
    command = words("fine-tune")
    ended = run(*command, out=out, err=err)
    sound(ended)
    assert ended.status == (141 if out == "gone" else 0)
    run_folder = Path(command[command.index("--out") + 1])
    assert (run_folder / "summary.json").is_file()
    assert out != "pipe" or "accuracy" in ended.out.lower()


@pytest.mark.parametrize("name", ["doctor", "predict a table"])
@pytest.mark.parametrize("out", ["closed", "gone", "full"])
def test_a_standard_output_that_cannot_be_written_ends_in_a_line_at_most(run, words, name, out):
    ended = run(*words(name), out=out)
    sound(ended)
    assert ended.status == {"closed": 0, "full": 2, "gone": 141}[out]
    if out == "full":
        last = "selfsup: error: standard output cannot be written (No space left on device): "
        assert ended.err.splitlines()[-1].startswith(last)
        assert "Predicted" not in ended.err  # the table after the answers
    else:
        assert "error" not in ended.err


_OPENS_A_FILE = """
import os, sys
from selfsup.terminal import guarded_streams
with guarded_streams(), open(sys.argv[1], "w") as file:
    os.write(2, b"a library's complaint")
    os.write(1, b"a library's remark")
    file.write("data")
"""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- 2>&-", "<&- >&- 2>&-"])
def test_no_file_gets_the_number_of_a_closed_stream(tmp_path, closed: str):
    command = [sys.executable, "-c", _OPENS_A_FILE, str(tmp_path / "file")]
    subprocess.run(["sh", "-c", f'exec "$@" {closed}', "sh", *command], check=True)
    assert (tmp_path / "file").read_text() == "data"
