"""Commands that the robustness trials stop or starve, and the small inputs that they work on.

A command runs in a child of a process that has imported the program, so that it takes only as long
as its work. Linux only.
"""

import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

import numpy as np

ON_CPU = ("--device", "cpu", "--precision", "float32", "--threads", "1")
# What the clock, the machine and the folder's name decide.
_NOT_COMPARED = (
    "seconds", "tokens_per_second", "flops_utilization", "out", "wall_seconds", "created",
)  # fmt: skip
_GOOD, _BAD = ("fine", "great", "warm", "witty"), ("dull", "grim", "lame", "vapid")
_SUBJECTS = ("cat", "dog", "bird", "sailor", "driver", "baker", "farmer", "teacher")
_VERBS = ("sees", "hears", "follows", "paints", "carries", "repairs", "finds")


class Child:
    """A command line of selfsup in a process of its own."""

    def __init__(
        self, words: Sequence[str], *, out: Path | None = None, temporary: Path | None = None
    ) -> None:
        """Start it.

        Args:
            words: the arguments of ``selfsup``.
            out: the file that standard output goes to; None to drop it.
            temporary: the folder for temporary files; None for the system's.
        """
        self.status: int | None = None
        self.peak_bytes = 0  # resident, known when it has ended
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by ``wait``
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid:
            return
        status = 99
        try:
            if temporary is not None:
                os.environ["TMPDIR"] = str(temporary)
                tempfile.tempdir = None
            target = os.open(out or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(target, 1)
            os.dup2(self._errors.fileno(), 2)
            from selfsup import cli

            status = cli.main(list(words))
            with contextlib.suppress(OSError):
                sys.stdout.flush()
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)

    @property
    def has_ended(self) -> bool:
        """Whether it has ended; then ``status`` is known."""
        if self.status is None:
            ended, status, usage = os.wait4(self.pid, os.WNOHANG)
            if ended:
                self.status = os.waitstatus_to_exitcode(status)
                self.peak_bytes = usage.ru_maxrss << 10
        return self.status is not None

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal, unless it has ended."""
        if not self.has_ended:
            os.kill(self.pid, number)

    def wait(self) -> tuple[int, str]:
        """Its exit status, negative for a signal, and what it wrote to standard error."""
        while not self.has_ended:
            time.sleep(0.002)
        self._errors.seek(0)
        errors = self._errors.read().decode(errors="replace")
        self._errors.close()
        assert self.status is not None
        return self.status, errors


def import_program() -> None:
    """Import what the commands need, so that their children have it."""
    import importlib

    import torch

    torch.set_num_threads(1)
    for module in (
        "cli.results", "corpus.prepare", "corpus.tokenizer.training", "pretraining.run",
        "finetuning.run", "inference.evaluate", "inference.predict", "report.page", "explain.run",
        "doctor", "doctor.unlabelled", "doctor.labelled", "doctor.questions_and_tags",
    ):  # fmt: skip
        importlib.import_module(f"selfsup.{module}")
    from selfsup.training.compute import Compute

    Compute.matmul_peak = lambda self: 1e11  # not measured: it would take a second each time


def run(*words: str | Path) -> None:
    """Run a command that must end well."""
    status, errors = Child(list(map(str, words))).wait()
    if status:
        sys.exit(f"selfsup {' '.join(map(str, words))}: status {status}\n{errors}")


def write_inputs(folder: Path, documents: int = 400) -> Path:
    """Write texts, labelled sentences, a table, a tokenizer, shards, an encoder and a model."""
    random = np.random.default_rng(1)
    texts = []
    for _ in range(documents):
        subjects = random.choice(_SUBJECTS, random.integers(3, 9))
        letters = random.integers(0, 26, (len(subjects), 7))
        names = ["".join(chr(97 + letter) for letter in name) for name in letters.tolist()]
        texts.append(
            " ".join(
                f"The {subject} {random.choice(_VERBS)} {random.integers(2, 999)} {name}s at home."
                for subject, name in zip(subjects, names, strict=True)
            )
        )
    (folder / "texts.txt").write_text("\n\n".join(texts) + "\n")
    for name, count in (("train", 64), ("dev", 400)):
        lines = ["label\ttext"]
        for number in range(count):
            label, words = (("up", _GOOD), ("down", _BAD))[number % 2]
            lines.append(f"{label}\tThe {random.choice(_SUBJECTS)} is {random.choice(words)}.")
        (folder / f"{name}.tsv").write_text("\n".join(lines) + "\n")
    run("train-tokenizer", folder / "texts.txt", "--vocab-size", "200", "--out", folder / "words")
    run("prepare", folder / "texts.txt", "--tokenizer", folder / "words", "--out",
        folder / "shards", "--workers", "1")  # fmt: skip
    run(*pretrain_words(folder, folder / "encoder"))
    run(*finetune_words(folder, folder / "model"))
    return folder


def pretrain_words(inputs: Path, out: Path, steps: int = 6, every: int = 2) -> list[str]:
    """The command line of a short pre-training run on shards."""
    return [
        "pretrain", f"{inputs}/shards", "--encoder", "bert-tiny", "--steps", str(steps),
        "--checkpoint-every", str(every), "--batch-size", "4", "--max-length", "32",
        "--dropout", "0.1", "--out", str(out), *ON_CPU,
    ]  # fmt: skip


def finetune_words(inputs: Path, out: Path, epochs: int = 2, every: int = 2) -> list[str]:
    """The command line of a short fine-tuning run with two seeds."""
    return [
        "finetune", "sequence-classification", "--encoder", f"{inputs}/encoder",
        "--train", f"{inputs}/train.tsv", "--validation", f"{inputs}/dev.tsv",
        "--epochs", str(epochs), "--seeds", "2", "--checkpoint-every", str(every),
        "--batch-size", "16", "--max-length", "16", "--out", str(out), *ON_CPU,
    ]  # fmt: skip


def results_of(path: Path) -> dict[str, object]:
    """All that a command has written, but for what the clock and the folder's name decide.

    Of JSON the fields are compared, of other files the bytes. A model card and ``run.yaml`` name
    the folder.
    """
    if path.is_file():
        return {"": path.read_bytes()}
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return {str(file.relative_to(path)): _content(file, path) for file in files}


def _content(file: Path, folder: Path) -> object:
    data = file.read_bytes()
    if file.suffix in (".yaml", ".md"):
        return data.replace(str(folder).encode(), b"OUT")
    if file.name in ("summary.json", "metrics.jsonl"):
        lines = [data] if file.suffix == ".json" else data.splitlines()
        entries = [json.loads(line) for line in lines]
        # Pre-training logs its loss once a second, which the clock decides.
        return [_without_clock(entry) for entry in entries if "learning_rate" not in entry]
    return data


def _without_clock(entry: dict) -> dict:
    return {name: value for name, value in entry.items() if name not in _NOT_COMPARED}


def half_written(folder: Path) -> list[str]:
    """The temporary files and folders that a command has left."""
    return [
        str(path.relative_to(folder))
        for path in sorted(folder.rglob(".*"))
        if path.name.endswith(".tmp") or path.name in (".saving", ".lock")
    ]


@contextlib.contextmanager
def scratch(folder: Path | None):
    """A folder for the trial, which is removed at its end."""
    made = Path(tempfile.mkdtemp(prefix="selfsup-trial-", dir=folder))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
