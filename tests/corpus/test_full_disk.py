"""A full disk is one line of error, and leaves what was there before as it was."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from selfsup.atomic_files import replacing, write_bytes
from selfsup.corpus.duplicates import SeenHashes
from selfsup.corpus.prepare import prepare
from selfsup.corpus.tokenizer.folder import load_tokenizer, save_tokenizer
from selfsup.corpus.tokenizer.training import train_tokenizer
from selfsup.errors import UserError

TEXTS = ["The red fox runs home.", "The grey wolf howls at the moon.", "A bear sleeps."]


@pytest.fixture
def disk(tmp_path):
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if (
        not sys.platform.startswith("linux")
        or subprocess.run(mount, capture_output=True, check=False).returncode
    ):
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def tokenizer_folder(tmp_path):
    save_tokenizer(train_tokenizer(TEXTS * 3, vocab_size=80, allow_fewer=True), tmp_path / "t")
    return tmp_path / "t"


def write_corpus(path: Path, documents: int) -> str:
    lines = [
        json.dumps({"text": f"The fox runs home {n} times. {TEXTS[n % 3]}"})
        for n in range(documents)
    ]
    path.write_text("\n".join(lines))
    return str(path)


def test_prepare_on_a_full_disk_stops_and_goes_on_when_there_is_room(
    disk, tmp_path, tokenizer_folder
):
    corpus = write_corpus(tmp_path / "c.jsonl", 8000)
    options = {"shard_tokens": 30_000, "show_progress": False, "workers": 1}
    filler = disk / "filler"
    filler.write_bytes(bytes(600_000))
    out = disk / "out"
    with pytest.raises(UserError, match="the disk is full") as caught:
        prepare([corpus], tokenizer_folder, out, **options)
    assert "\n" not in str(caught.value)
    left = files_of(out)
    assert "shard-00000.safetensors" in left
    assert not [name for name in left if name.startswith(".")]
    filler.unlink()
    prepare([corpus], tokenizer_folder, out, **options)
    prepare([corpus], tokenizer_folder, tmp_path / "elsewhere", **options)
    assert files_of(out) == files_of(tmp_path / "elsewhere")


def test_a_tokenizer_that_does_not_fit_leaves_the_old_one(disk):
    save_tokenizer(train_tokenizer(TEXTS * 3, vocab_size=40), disk / "t")
    before = files_of(disk / "t")
    (disk / "filler").write_bytes(bytes((1 << 20) - (16 << 12)))
    words = [f"{chr(97 + n % 26)}{n}" for n in range(20_000)]
    large = train_tokenizer([" ".join(words * 2)], vocab_size=15_000)
    with pytest.raises(UserError, match="the disk is full"):
        save_tokenizer(large, disk / "t")
    assert files_of(disk / "t") == before
    assert load_tokenizer(disk / "t").get_vocab_size() == 40


def test_a_table_of_hashes_that_does_not_fit_is_an_error_not_a_crash(disk):
    seen = SeenHashes(disk, capacity=1 << 10, memory_bytes=1 << 14)
    keys = np.random.default_rng(0).integers(1, 2**63, 200_000).astype(np.uint64)
    with pytest.raises(UserError, match="the disk is full"):
        seen.add(keys)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_a_refused_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, number):
    path = tmp_path / "file"
    write_bytes(path, b"old")

    def refuse(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(UserError, match=f"cannot write {path}: "):
        write_bytes(path, b"new")
    assert files_of(tmp_path) == {"file": b"old"}


def test_an_error_while_writing_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "file"
    write_bytes(path, b"old")

    def fail_in_the_middle() -> None:
        with replacing(path) as file:
            file.write(b"new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_in_the_middle()
    assert files_of(tmp_path) == {"file": b"old"}


def test_what_was_written_is_there_whole(tmp_path):
    with replacing(tmp_path / "file") as file:
        file.write(b"new")
        assert not (tmp_path / "file").exists()
    assert files_of(tmp_path) == {"file": b"new"}
