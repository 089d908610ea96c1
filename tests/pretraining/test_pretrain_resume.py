"""Runs that are killed, interrupted or out of disk, and gone on with: the same to the last bit."""

import errno
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from selfsup import cli
from selfsup.pretraining import run as pretraining_run
from selfsup.pretraining.run import pretrain
from selfsup.settings.pretrain import PretrainSettings
from selfsup.training import checkpoint
from tests.toy_corpus import write_toy_corpus

# Runs the command line, and sends itself a signal after the step named first.
_SIGNALLED = """
import os, sys
from selfsup import cli
from selfsup.pretraining.run import PretrainingLog
from selfsup.training.compute import Compute

Compute.matmul_peak = lambda self: 1e11  # not measured: see conftest.py
step, number, *arguments = sys.argv[1:]
after_step = PretrainingLog.after_step

def after_step_and_signal(self, report):
    after_step(self, report)
    if report.state.step == int(step):
        os.kill(os.getpid(), int(number))

PretrainingLog.after_step = after_step_and_signal
sys.exit(cli.main(arguments))
"""
SIGINT, SIGKILL = 2, 9


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    texts = write_toy_corpus(folder / "texts.txt")
    tokenizer = str(folder / "tokenizer")
    arguments = ["train-tokenizer", str(texts), "--vocab-size", "150", "--out", tokenizer]
    assert cli.main(arguments) == 0
    arguments = ["prepare", str(texts), "--tokenizer", tokenizer, "--out", str(folder / "shards")]
    assert cli.main([*arguments, "--workers", "1"]) == 0
    return folder / "shards"


def settings(data: Path, out: Path, **changed: Any) -> PretrainSettings:
    values = {
        "data": (str(data),),
        "out": str(out),
        "encoder": "bert-tiny",
        "steps": 10,
        "batch_size": 4,
        "max_length": 32,
        "checkpoint_every": 5,
        "evaluate_every": 1,
        "device": "cpu",
        "precision": "float32",
        "threads": 1,
        "workers": 1,
    }
    return PretrainSettings(**(values | changed))


def arguments_of(chosen: PretrainSettings, **changed: Any) -> list[str]:
    """The command line for the settings above, with what is changed."""
    flags = {
        name: getattr(chosen, name)
        for name in (
            "out", "encoder", "steps", "batch_size", "max_length", "checkpoint_every",
            "evaluate_every", "device", "precision", "threads", *changed,
        )
    }  # fmt: skip
    words = [(f"--{name.replace('_', '-')}", str(value)) for name, value in flags.items()]
    return ["pretrain", *chosen.data, *(word for pair in words for word in pair)]


def run_and_signal(step: int, number: int, arguments: list[str]) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", _SIGNALLED, str(step), str(number), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def weights_of(run: Path) -> bytes:
    return (run / "model" / "model.safetensors").read_bytes()


def results_of(run: Path) -> dict:
    """The summary without what depends on the clock, and on where the run lies."""
    summary = json.loads((run / "summary.json").read_bytes())
    return {
        name: value
        for name, value in summary.items()
        if name not in ("seconds", "tokens_per_second", "flops_utilization", "out")
    }


def measured_steps(run: Path) -> list[int]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line["step"] for line in lines if "held_out_mlm_loss" in line]


@pytest.mark.parametrize(
    ("number", "changed"),
    [
        (SIGKILL, {"dropout": 0.1, "optimizer": "muon"}),
        # Shorter sequences first: the run has batches of two kinds, and stops among the second.
        (
            SIGINT,
            {
                "dropout": 0.1,
                "optimizer": "adamw",
                "accumulate": 2,
                "short_length": 16,
                "short_share": 0.5,
            },
        ),
    ],
    ids=["killed", "interrupted"],
)
def test_ten_steps_equal_five_a_stop_and_what_is_left_bit_for_bit(
    number: int, changed: dict, shards, tmp_path
):
    whole = settings(shards, tmp_path / "whole", **changed)
    pretrain(whole)
    stopped = settings(shards, tmp_path / "stopped", **changed)
    ended = run_and_signal(7, number, arguments_of(stopped, **changed))
    out = tmp_path / "stopped"
    (saved,) = (out / "checkpoints").iterdir()
    if number == SIGKILL:
        assert (ended.returncode, saved.name) == (-SIGKILL, "step-000000005")
        assert measured_steps(out) == [1, 2, 3, 4, 5, 6, 7]
    else:
        assert (ended.returncode, saved.name) == (130, "step-000000007")
        assert f"selfsup: stopped at step 7. To go on: selfsup resume {out}" in ended.stderr
        assert "Traceback" not in ended.stderr
    assert not (out / "summary.json").exists()

    assert cli.main(["resume", str(out)]) == 0
    assert weights_of(out) == weights_of(tmp_path / "whole")
    assert results_of(out) == results_of(tmp_path / "whole")
    assert measured_steps(out) == list(range(1, 10))
    assert not (out / "checkpoints").exists()


def test_a_run_that_was_stopped_twice_is_still_the_same(shards, tmp_path, monkeypatch):
    pretrain(settings(shards, tmp_path / "whole"))
    after_step = pretraining_run.PretrainingLog.after_step
    died_at: list[int] = []

    def die_at_4_and_8(self, report):
        after_step(self, report)
        if report.state.step in (4, 8) and report.state.step not in died_at:
            died_at.append(report.state.step)
            raise ZeroDivisionError

    monkeypatch.setattr(pretraining_run.PretrainingLog, "after_step", die_at_4_and_8)
    out = tmp_path / "stopped"
    with pytest.raises(ZeroDivisionError):
        pretrain(settings(shards, out, checkpoint_every=3))
    with pytest.raises(ZeroDivisionError):
        cli.main(["resume", str(out)])
    assert cli.main(["resume", str(out)]) == 0
    assert died_at == [4, 8]
    assert weights_of(out) == weights_of(tmp_path / "whole")
    assert measured_steps(out) == list(range(1, 10))


def test_a_run_made_from_raw_text_goes_on_without_the_text(tmp_path, monkeypatch):
    texts, out = _died_on_raw_text(tmp_path, monkeypatch)
    texts.unlink()
    assert cli.main(["resume", str(out)]) == 0
    assert json.loads((out / "summary.json").read_bytes())["steps"] == 10


def test_shards_of_another_text_than_the_runs_are_refused(tmp_path, monkeypatch, capsys):
    _, out = _died_on_raw_text(tmp_path, monkeypatch)
    described = (out / "run.yaml").read_text().replace("texts.txt", "other.txt")
    (out / "run.yaml").write_text(described)
    assert cli.main(["resume", str(out)]) == 2
    assert "shards: made of " in (said := capsys.readouterr().err)
    assert "other.txt: give the pretrain command again" in said


def _died_on_raw_text(tmp_path: Path, monkeypatch) -> tuple[Path, Path]:
    """A text, and a run on it that ended after its first checkpoint."""
    texts, out = write_toy_corpus(tmp_path / "texts.txt"), tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(
            pretraining_run.PretrainingLog, "save_checkpoint", _saving_then_dying(after=1)
        )
        with pytest.raises(ZeroDivisionError):
            pretrain(settings(texts, out))
    return texts, out


def _saving_then_dying(after: int):
    save, saved = pretraining_run.PretrainingLog.save_checkpoint, []

    def save_and_die(self):
        save(self)
        saved.append(1)
        if len(saved) == after:
            raise ZeroDivisionError

    return save_and_die


def test_a_stopped_run_is_not_written_over(shards, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        pretraining_run.PretrainingLog, "save_checkpoint", _saving_then_dying(after=1)
    )
    chosen = settings(shards, tmp_path / "run")
    with pytest.raises(ZeroDivisionError):
        pretrain(chosen)
    before = tree(tmp_path)
    capsys.readouterr()
    assert cli.main(arguments_of(chosen)) == 2
    said = capsys.readouterr().err
    assert f"go on with `selfsup resume {tmp_path / 'run'}`" in said
    assert said.count("\n") == 1
    assert tree(tmp_path) == before


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json"])
def test_a_damaged_checkpoint_is_refused_by_name(name: str, shards, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        pretraining_run.PretrainingLog, "save_checkpoint", _saving_then_dying(after=1)
    )
    with pytest.raises(ZeroDivisionError):
        pretrain(settings(shards, tmp_path))
    monkeypatch.undo()
    damaged = tmp_path / "checkpoints" / "step-000000005" / name
    damaged.write_bytes(damaged.read_bytes()[:50])
    capsys.readouterr()
    assert cli.main(["resume", str(tmp_path)]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("selfsup: error: ")
    assert "step-000000005" in said


def test_a_full_disk_ends_in_one_line_and_leaves_the_last_checkpoint_to_go_on_from(
    shards, tmp_path, monkeypatch, capsys
):
    pretrain(settings(shards, tmp_path / "whole"))
    write = checkpoint.write_tensors
    written: list[Path] = []

    def full_after_one_checkpoint(path, tensors):
        written.append(path)
        if len(written) > 3:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(path, tensors)

    monkeypatch.setattr(checkpoint, "write_tensors", full_after_one_checkpoint)
    chosen = settings(shards, tmp_path / "run", checkpoint_every=4)
    capsys.readouterr()
    assert cli.main(arguments_of(chosen)) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "the disk is full: free some space and run the command again" in said
    monkeypatch.undo()
    left = [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()]
    assert left == ["step-000000004"]
    assert cli.main(["resume", str(tmp_path / "run")]) == 0
    assert weights_of(tmp_path / "run") == weights_of(tmp_path / "whole")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 7 MiB, on which one checkpoint of bert-tiny fits, and not two."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=7m", "none", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no right to mount a small file system here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_really_full_ends_in_one_line_and_can_be_gone_on_from(
    shards, tmp_path, small_disk, capsys
):
    pretrain(settings(shards, tmp_path / "whole"))
    run = small_disk / "run"
    capsys.readouterr()
    assert cli.main(arguments_of(settings(shards, run, checkpoint_every=4))) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "the disk is full: free some space and run the command again" in said
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["step-000000004"]
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    assert cli.main(["resume", str(run)]) == 0
    assert weights_of(run) == weights_of(tmp_path / "whole")


def tree(folder: Path) -> dict[str, bytes]:
    """All files under a folder, by name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_run_does_not_go_on_with_other_data(shards, tmp_path, capsys):
    data = tmp_path / "data"
    shutil.copytree(shards, data)
    chosen = settings(data, tmp_path / "run")
    assert run_and_signal(7, SIGKILL, arguments_of(chosen)).returncode == -SIGKILL
    shutil.rmtree(data)
    texts = write_toy_corpus(tmp_path / "texts.txt", seed=5)
    words = ["prepare", str(texts), "--tokenizer", str(shards / "tokenizer"), "--out", str(data)]
    assert cli.main([*words, "--workers", "1"]) == 0
    assert cli.main(["resume", str(tmp_path / "run")]) == 2
    assert f"its data ({data}) are others than when it began" in capsys.readouterr().err
    shutil.rmtree(data)
    shutil.copytree(shards, data)
    assert cli.main(["resume", str(tmp_path / "run")]) == 0


@pytest.mark.parametrize(
    "name",
    ["encoder", "objectives", "optimizer", "dropout", "batch_size", "learning_rate", "steps"],
)
def test_a_setting_that_was_taken_out_of_the_run_is_named(tmp_path, monkeypatch, capsys, name):
    _, out = _died_on_raw_text(tmp_path, monkeypatch)
    lines = (out / "run.yaml").read_text().splitlines(keepends=True)
    kept, skips = [], False
    for line in lines:
        skips = line.startswith(f"{name}:") or (skips and line[0] in " -")
        kept += [] if skips else [line]
    assert len(kept) < len(lines)
    (out / "run.yaml").write_text("".join(kept))
    assert cli.main(["resume", str(out)]) == 2
    said = capsys.readouterr().err
    missing = "budget" if name == "steps" else name
    assert f"run.yaml: {missing} has no value: put it back as it was" in said


def test_a_run_that_can_be_resumed_is_not_taken_for_another(tmp_path, monkeypatch, capsys):
    _, out = _died_on_raw_text(tmp_path, monkeypatch)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    table = tmp_path / "train.tsv"
    table.write_text("label\ttext\n" + "a\tone\nb\ttwo\n" * 4)
    command = ["finetune", "sequence-classification", "--encoder", "bert-tiny"]
    command += ["--train", str(table), "--validation", str(table), "--out", str(out)]
    assert cli.main(command) == 2
    assert f"holds a run that stopped: go on with `selfsup resume {out}`" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
