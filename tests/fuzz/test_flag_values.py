"""Strange values of flags: each is taken, or refused in one line with status 2."""

import dataclasses
import typing
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfsup import cli
from selfsup.settings.fields import flag_name, inner_type
from tests.fuzz.target import FUZZED, few, run_command
from tests.toy_tasks import write_toy_file, write_toy_model

NUMBERS = (
    "-1", "0", "-0.0", "1", "2", "3", "7", "8", "16", "0.1", "0.5", "1.0", "1e-320", "1e-9",
    "1e308", "1e999", "-1e999", "nan", "NaN", "inf", "-inf", "Infinity", "1_000", "0x10", "1e3",
    "٣", "²", "１２", "2147483648", "9223372036854775807", "9223372036854775808", "9" * 400,
    "9" * 5000, "1,5", " 4 ", "+4", "4.", "null", "true",
)  # fmt: skip
WORDS = (
    "", " ", "-", "--", "a", "encoder", "embeddings", "auto", "class", "number", "window", "drop",
    "cpu", "cuda", "mps", "float32", "bf16", "utf-16", "base64", "rot13", "tab", "\\t", "\t", "\n",
    ",", ",,", "a,a", "\0", "a\0b", "\x1b[2J", "\udcff", "\ud800", "가", "a" * 300, "a" * 5000,
    "..", "/", "/dev/null", "~", "*", "[", "s3://a/b", "hf://", "file://", "a::b", "http://",
    "docs://x", "bert-tiny", "vit-tiny", "2h", "5m", "-5m", "1e9h", "en", "xx",
)  # fmt: skip
VALUES = st.sampled_from((*NUMBERS, *WORDS)) | st.text(max_size=12) | st.integers().map(str)
_NEEDED = {
    "finetune": ("sequence-classification", "--encoder", "bert-tiny", "--train", "a.tsv",
                 "--validation", "b.tsv", "--out", "run"),
    "pretrain": ("corpus.txt", "--out", "run", "--steps", "2"),
    "prepare": ("corpus.txt", "--tokenizer", "folder", "--out", "shards"),
    "train-tokenizer": ("corpus.txt", "--out", "folder"),
    "predict": ("model", "a text"),
    "evaluate": ("model", "--data", "a.tsv"),
    "fill-mask": ("model", "a [MASK]"),
    "doctor": ("data",),
    "demo": (),
    "report": ("run",),
    "explain": (),
}  # fmt: skip


def flags_of(command: str) -> list[tuple[str, type]]:
    """The command's flags that take a value, and the type of each."""
    settings = cli.COMMANDS[command].settings
    hints = typing.get_type_hints(settings)
    return [
        (flag_name(field), inner_type(hints[field.name]))
        for field in dataclasses.fields(settings)
        if not field.metadata.get("positional") and hints[field.name] is not bool
    ]


def drawn_flags(data, command: str, *left_out: str) -> list[str]:
    """Up to three of the flags with values, most of them of about the right kind."""
    flags = [each for each in flags_of(command) if each[0] not in left_out]
    words = []
    for flag, kind in data.draw(st.lists(st.sampled_from(flags), min_size=1, max_size=3)):
        numbers = st.sampled_from(NUMBERS) if kind in (int, float) else VALUES
        value = data.draw(numbers | VALUES)
        words += [f"{flag}={value}"] if data.draw(st.booleans()) else [flag, value]
    return words


@pytest.mark.parametrize("command", _NEEDED)
@FUZZED
@given(data=st.data())
def test_flags_are_read_or_refused(command: str, data):
    """What the settings take, without the command's work."""
    entry = cli.COMMANDS[command]
    words = [*_NEEDED[command], *drawn_flags(data, command)]
    nothing = {command: entry._replace(run=lambda chosen: {"problems": []})}
    with patch.dict(cli.COMMANDS, nothing):
        run_command(command, *words, "--json")


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """A tiny encoder, and labelled examples for it."""
    parent = tmp_path_factory.mktemp("files")
    write_toy_model(parent / "encoder")
    write_toy_file(parent / "train.tsv", 12, seed=1)
    write_toy_file(parent / "dev.tsv", 8, seed=2)
    return parent


@few(4)
@given(data=st.data())
def test_finetune_begins_or_refuses(files: Path, tmp_path_factory, data):
    """As far as the layers' learning rates, which need the data and the model."""
    out = tmp_path_factory.mktemp("run") / "run"
    words = drawn_flags(data, "finetune", "--out", "--threads", "--seeds", "--device")
    run_command("finetune", "sequence-classification", "--encoder", str(files / "encoder"),
                "--train", str(files / "train.tsv"), "--validation", str(files / "dev.tsv"),
                "--out", str(out), "--device", "cpu", "--print-layers", *words)  # fmt: skip
    assert not out.exists()
