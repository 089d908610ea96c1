"""The command line from outside: exit statuses, what goes to which stream, how soon it answers."""

import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import selfsup
from selfsup import cli
from selfsup.cli.results import SHOW
from selfsup.errors import UserError


def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "selfsup", *arguments]
    return subprocess.run(
        command, check=False, text=True, encoding="utf-8", **{"capture_output": True, **options}
    )


@pytest.fixture
def doctor_that(monkeypatch) -> Callable[[Callable[[Any], Any]], None]:
    """Put a function in the place of the doctor's work."""

    def replace(work: Callable[[Any], Any]) -> None:
        monkeypatch.setitem(cli.COMMANDS, "doctor", cli.COMMANDS["doctor"]._replace(run=work))

    return replace


@pytest.mark.parametrize("arguments", [["--help"], ["pretrain", "--help"], ["--version"]])
def test_help_imports_neither_torch_nor_anything_else_that_is_slow(arguments: list[str]):
    code = (
        "import sys; from selfsup import cli; assert cli.main(sys.argv[1:]) == 0; "
        "slow = {'torch', 'numpy', 'rich', 'yaml', 'pyarrow'} & set(sys.modules); "
        "sys.exit(str(slow) if slow else 0)"
    )
    command = [sys.executable, "-c", code, *arguments]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_mistake_is_found_before_torch_is_imported():
    code = (
        "import sys; from selfsup import cli; assert cli.main(sys.argv[1:]) == 2; "
        "sys.exit('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, "pretrain", "a", "--out", "r", "--max-length", "0"]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0


def test_without_a_command_the_commands_are_listed_and_the_status_is_2(capsys):
    assert cli.main([]) == 2
    listed = capsys.readouterr().out
    assert all(f"  {name} " in listed for name in cli.COMMANDS)


def test_version_names_the_package_and_its_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"selfsup {selfsup.__version__}\n"


def test_the_commands_are_those_of_the_contract():
    assert set(cli.COMMANDS) >= {
        "demo", "train-tokenizer", "prepare", "pretrain", "resume", "finetune", "evaluate",
        "predict", "fill-mask", "report", "doctor",
    }  # fmt: skip


def test_every_command_has_a_function_that_prints_its_result():
    assert set(SHOW) == set(cli.COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["pretrian"], "selfsup: error: unknown command 'pretrian': did you mean pretrain?"),
        (["--verbose"], "selfsup: error: unknown flag '--verbose': did you mean"),
        (["report", "/nowhere"], "selfsup: error: /nowhere does not exist: "),
        (["report"], "selfsup: error: RUN is missing: "),
    ],
)
def test_a_mistake_ends_in_one_line_on_standard_error_and_status_2(
    arguments: list[str], line: str, capsys
):
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(line.removesuffix(": did you mean") if "verbose" in line else line)
    assert err.count("\n") == 1


def test_a_mistake_whose_text_has_line_breaks_still_ends_in_one_line(doctor_that, capsys):
    def refuse(chosen):
        raise UserError("two\nlines")

    doctor_that(refuse)
    assert cli.main(["doctor", "x"]) == 2
    assert capsys.readouterr().err == "selfsup: error: two lines\n"


def test_json_is_exactly_one_object_on_standard_output(doctor_that, capsys):
    def chatty(chosen):
        print("a library that prints")
        return {"path": chosen.path, "loss": float("nan"), "label": "좋다", "list": (1, 2.5)}

    doctor_that(chatty)
    assert cli.main(["doctor", "x", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == {"path": "x", "loss": None, "label": "좋다", "list": [1, 2.5]}
    assert "좋다" in out
    assert err == "a library that prints\n"


def test_without_json_the_result_is_printed_for_a_person(doctor_that, capsys):
    doctor_that(lambda chosen: {"problems": [{"what": "it is broken", "fix": "glue it"}]})
    assert cli.main(["doctor", "x"]) == 0
    assert "it is broken  glue it" in capsys.readouterr().out


def test_control_c_ends_with_status_130_and_one_line(doctor_that, capsys):
    def interrupt(chosen):
        raise KeyboardInterrupt

    doctor_that(interrupt)
    assert cli.main(["doctor", "x"]) == 130
    assert capsys.readouterr().err == "selfsup: interrupted: the same command begins again\n"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/a/b"), "/a/b: the disk is full"),
        (PermissionError(errno.EACCES, "Permission denied", "/a/b"), "/a/b: Permission denied"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "a" * 9000), f"{'a' * 1400} … aaa"),
    ],
)
def test_what_the_disk_refuses_ends_in_one_line(doctor_that, capsys, error: OSError, line: str):
    def fail(chosen):
        raise error

    doctor_that(fail)
    assert cli.main(["doctor", "x"]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"selfsup: error: {line}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "ask_too_much",
    [lambda: torch.empty(1 << 60), lambda: np.ones(1 << 55), torch.OutOfMemoryError],
)
def test_too_little_memory_ends_in_one_line(doctor_that, capsys, ask_too_much):
    def fail(chosen):
        raise error if isinstance(error := ask_too_much(), Exception) else AssertionError

    doctor_that(fail)
    assert cli.main(["doctor", "x"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("selfsup: error: not enough memory: give a smaller --batch-size")
    assert err.count("\n") == 1


@pytest.mark.parametrize("error", [ZeroDivisionError, RuntimeError("shapes do not match")])
def test_a_fault_of_the_program_keeps_its_traceback(doctor_that, error):
    def fail(chosen):
        raise error

    doctor_that(fail)
    with pytest.raises((ZeroDivisionError, RuntimeError)):
        cli.main(["doctor", "x"])


def test_a_reader_that_goes_away_is_not_complained_about():
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as nobody:
        ended = run("pretrain", "--help", capture_output=False, stdout=nobody,
                    stderr=subprocess.PIPE)  # fmt: skip
    assert (ended.returncode, ended.stderr) == (141, "")


def test_another_pipe_that_breaks_is_an_error(doctor_that, capsys):
    def fail(chosen):
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    doctor_that(fail)
    assert cli.main(["doctor", "x"]) == 2
    assert capsys.readouterr().err == "selfsup: error: Broken pipe\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_behind_standard_output_ends_in_one_line():
    with Path("/dev/full").open("w") as full:
        ended = run("--help", capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert ended.returncode == 2
    assert ended.stderr.startswith("selfsup: error: standard output cannot be written (No space")
    assert ended.stderr.count("\n") == 1


def test_a_text_that_looks_like_a_flag_is_taken_after_two_dashes(monkeypatch):
    seen = []
    command = cli.COMMANDS["predict"]._replace(run=lambda chosen: seen.append(chosen.text) or {})
    monkeypatch.setitem(cli.COMMANDS, "predict", command)
    assert cli.main(["predict", "model", "--", "--help"]) == 0
    assert seen == ["--help"]


@pytest.mark.parametrize("encoding", ["cp949", "ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_characters_that_the_encoding_of_the_output_lacks_are_written_otherwise(
    doctor_that, monkeypatch, encoding: str, name: str
):
    written = io.BytesIO()
    monkeypatch.setattr(sys, name, io.TextIOWrapper(written, encoding=encoding))
    text = "é – 좋다 😀 \udcff"

    def answer(chosen):
        print(text, file=sys.stderr)
        return {"path": text, "kind": "data"}

    doctor_that(answer)
    assert cli.main(["doctor", "x"]) == 0
    getattr(sys, name).flush()
    shown = written.getvalue().decode(encoding)
    assert ("좋다" if encoding in ("cp949", "utf-8") else "\\uc88b\\ub2e4") in shown
    assert "\\udcff" in shown


@pytest.mark.parametrize("encoding", ["cp949", "ascii", "latin-1", "utf-8"])
def test_json_is_json_in_any_encoding(doctor_that, monkeypatch, encoding: str):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
    doctor_that(lambda chosen: {"path": "é – 좋다 😀"})
    assert cli.main(["doctor", "x", "--json"]) == 0
    assert json.loads(written.getvalue().decode(encoding)) == {"path": "é – 좋다 😀"}


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_closed_stream_is_no_error(doctor_that, monkeypatch, name: str):
    monkeypatch.setattr(sys, name, None)
    doctor_that(lambda chosen: print("hm", file=sys.stderr) or {"path": "x", "kind": "data"})
    assert cli.main(["doctor", "x"]) == 0
    assert cli.main(["--help"]) == 0
    assert cli.main(["nonsense"]) == 2


@pytest.mark.parametrize("command", ["", *cli.COMMANDS])
def test_help_and_the_flag_for_it_print_the_same(command: str, capsys):
    words = [command] if command else []
    assert cli.main(["help", *words]) == 0
    helped = capsys.readouterr().out
    assert cli.main([*words, "--help"]) == 0
    assert helped == capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["help", "predcit"], "unknown command 'predcit': did you mean predict?"),
        (["Finetune"], "unknown command 'Finetune': did you mean finetune?"),
        (["fine-tune"], "did you mean finetune?"),
        (["predict", "m", "--devise", "cpu"], "unknown flag --devise: did you mean --device?"),
        (["predict", "m", "--print-confg"], "did you mean --print-config?"),
        (["finetune", "sequence-clasification", "--encoder", "bert-tiny", "--train", "a",
          "--validation", "b", "--out", "c"], "did you mean sequence-classification?"),
    ],
)  # fmt: skip
def test_a_mistyped_name_is_answered_with_the_nearest(arguments: list[str], hint: str, capsys):
    assert cli.main(arguments) == 2
    assert hint in capsys.readouterr().err


def test_types_are_marked_as_part_of_the_package():
    assert Path(selfsup.__file__).with_name("py.typed").is_file()
