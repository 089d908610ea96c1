"""Command lines in processes of their own, which get a signal at a named point or a full disk.

One interpreter imports the program once and forks for each command, so that each takes only as long
as its work.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

_SCRIPT = """
import functools, importlib, json, os, resource, signal, sys, tempfile
from selfsup import cli
for package in ("finetuning.run", "pretraining.run", "inference.predict", "report.page",
                "inference.evaluate", "explain.run", "corpus.tokenizer.training"):
    importlib.import_module("selfsup." + package)
from selfsup.training.compute import Compute
Compute.matmul_peak = lambda self: 1e11  # not measured: see conftest.py

def signal_at(place, call, after, number):
    module, _, path = place.partition(":")
    *owners, name = path.split(".")
    owner = functools.reduce(getattr, owners, importlib.import_module(module))
    function, calls = getattr(owner, name), []

    @functools.wraps(function)
    def patched(*arguments, **named):
        calls.append(name)
        if len(calls) == call and not after:
            os.kill(os.getpid(), number)
        result = function(*arguments, **named)
        if len(calls) == call and after:
            os.kill(os.getpid(), number)
        return result

    setattr(owner, name, patched)

def run(command):
    if command["largest_file"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (command["largest_file"], -1))
    if command["at"]:
        signal_at(command["at"], command["call"], command["after"], command["number"])
    return cli.main(command["words"])

ended = []
for command in json.loads(sys.argv[1]):
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if not child:
            os.dup2(out.fileno(), 1), os.dup2(err.fileno(), 2)
            status = 99
            try:
                status = run(command)
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                if status == 99:
                    sys.excepthook(*sys.exc_info())
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
        ended.append([status, *texts])
print(json.dumps(ended))
"""


@dataclass(frozen=True)
class ChildCommand:
    """A command line, and what happens to it.

    Attributes:
        words: the arguments of ``selfsup``.
        at: the function at whose call the process gets a signal, as ``module:name`` or
            ``module:Class.name``; the module is the one that calls it. Empty for no signal.
        call: which call of it, from 1.
        after: whether the signal comes after the call, not before it.
        number: of the signal.
        largest_file: files cannot grow beyond so many bytes, as on a full disk; None: they can.
    """

    words: Sequence[str]
    at: str = ""
    call: int = 1
    after: bool = False
    number: int = 9
    largest_file: int | None = None


@dataclass(frozen=True)
class Ended:
    """The exit status of a command, negative for a signal, and what it printed."""

    status: int
    out: str
    err: str


def run_commands(*commands: ChildCommand, folder: Path | None = None) -> list[Ended]:
    """Run the commands one after another, in a folder."""
    if not sys.platform.startswith("linux"):
        pytest.skip("needs processes that fork")
    words = [sys.executable, "-c", _SCRIPT, json.dumps([asdict(command) for command in commands])]
    ended = subprocess.run(words, check=True, capture_output=True, text=True, cwd=folder)
    return [Ended(*each) for each in json.loads(ended.stdout.splitlines()[-1])]
