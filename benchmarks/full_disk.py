"""Claim: on a full disk a command ends in one line, and goes through once there is room.

Nine commands write to disks of memory (tmpfs, which needs root) of growing sizes, so that each disk
fills at another point of the work. Each attempt must end with status 2 and one line of error, leave
nothing half-written, and leave an older file under its name as it was. Then the disk grows, and the
same command must end well with the same result as on a large disk. A run of ``pretrain`` or
``finetune`` that has saved a checkpoint names `selfsup resume` instead, which must end so.

    python benchmarks/full_disk.py [--sizes 24] [--commands NAME …]

prints one JSON object: for each command the attempts that found the disk full, those that ended in
one line, left nothing half-written, and went through afterwards; and what failed.
"""

import argparse
import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from trial_commands import (
    ON_CPU,
    Child,
    finetune_words,
    half_written,
    import_program,
    pretrain_words,
    results_of,
    scratch,
    write_inputs,
)

_ROOM = 64 << 20
_PAGE = os.sysconf("SC_PAGESIZE")


class Case(NamedTuple):
    """A command, and what it writes.

    Attributes:
        words: takes the folder of inputs and the disk, and gives the command line.
        out: what it writes on the disk.
        replaces: whether an older file of the same kind stands there.
        prints: whether what it prints goes to ``out``.
    """

    words: Callable[[Path, Path], list[str]]
    out: str
    replaces: bool = False
    prints: bool = False


def _pretrain_from_text(inputs: Path, disk: Path) -> list[str]:
    words = pretrain_words(inputs, disk / "run", steps=20, every=5)
    return [
        words[0], f"{inputs}/texts.txt", "--vocab-size", "200", "--evaluate-every", "1", *words[2:],
    ]  # fmt: skip


CASES: dict[str, Case] = {
    "train-tokenizer": Case(
        lambda inputs, disk: [
            "train-tokenizer", f"{inputs}/texts.txt", "--vocab-size", "1000",
            "--out", f"{disk}/words",
        ],
        "words",
    ),
    "prepare": Case(
        lambda inputs, disk: [
            "prepare", f"{inputs}/texts.txt", "--tokenizer", f"{inputs}/words",
            "--out", f"{disk}/shards", "--shard-tokens", "8000", "--workers", "1",
        ],
        "shards",
    ),
    "pretrain": Case(_pretrain_from_text, "run"),
    "finetune": Case(lambda inputs, disk: finetune_words(inputs, disk / "run"), "run"),
    "evaluate": Case(
        lambda inputs, disk: [
            "evaluate", f"{inputs}/model", "--data", f"{inputs}/dev.tsv",
            "--predictions", f"{disk}/scored.jsonl", *ON_CPU,
        ],
        "scored.jsonl",
        replaces=True,
    ),
    "predict": Case(
        lambda inputs, disk: [
            "predict", f"{inputs}/model", "--data", f"{inputs}/dev.tsv",
            "--out", f"{disk}/predictions.jsonl", *ON_CPU,
        ],
        "predictions.jsonl",
        replaces=True,
    ),
    "report": Case(
        lambda inputs, disk: ["report", f"{inputs}/model", "--out", f"{disk}/report.html"],
        "report.html",
        replaces=True,
    ),
    "explain": Case(
        lambda inputs, disk: [
            "explain", "The heart pumps blood.", "--out", f"{disk}/explain.html",
        ],
        "explain.html",
        replaces=True,
    ),
    "doctor": Case(
        lambda inputs, disk: ["doctor", f"{inputs}/table.parquet.gz"], "answer.txt", prints=True
    ),
}  # fmt: skip


def main() -> None:
    """Sweep all commands and print the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--sizes", type=int, default=24, help="disks for each command")
    parser.add_argument("--commands", nargs="*", choices=CASES, default=list(CASES))
    parser.add_argument("--scratch", type=Path, help="folder for the disks and the inputs")
    arguments = parser.parse_args()
    import_program()
    with scratch(arguments.scratch) as folder:
        (folder / "inputs").mkdir()
        inputs = write_inputs(folder / "inputs")
        _write_parquet(inputs)
        (folder / "disk").mkdir()
        found = {
            name: sweep(CASES[name], inputs, folder / "disk", arguments.sizes)
            for name in arguments.commands
        }
    print(json.dumps({"benchmark": "full_disk", "commands": found}, indent=2))
    sys.exit(any(counts["failed"] for counts in found.values()))


def _write_parquet(inputs: Path) -> None:
    """A compressed table, which is unpacked to a temporary file."""
    import pyarrow
    import pyarrow.parquet

    texts = [f"A text with the number {number * number}." for number in range(20_000)]
    labels = [("up", "down")[number % 2] for number in range(20_000)]
    pyarrow.parquet.write_table(
        pyarrow.table({"text": texts, "label": labels}), inputs / "table.parquet"
    )
    data = (inputs / "table.parquet").read_bytes()
    (inputs / "table.parquet.gz").write_bytes(gzip.compress(data))


def sweep(case: Case, inputs: Path, disk: Path, sizes: int) -> dict:
    """Run a command on disks of many sizes."""
    with mounted(disk, _ROOM):
        child = _start(case, inputs, disk)
        used = UseOfDisk(disk)
        status, errors = child.wait()
        levels = used.stop()
        if status:
            sys.exit(f"{case.out}: status {status} on a large disk\n{errors}")
        whole = results_of(disk / case.out)
    counts = {"full": 0, "one_line": 0, "nothing_half_written": 0, "then_the_same": 0, "resumed": 0}
    failed: list[str] = []
    older = b""
    if case.replaces:
        content = whole[""]
        assert isinstance(content, bytes)
        older = content + b"\n"
    tried = _sizes(levels, sizes)
    for size in tried:
        with mounted(disk, size + -(-len(older) // _PAGE) * _PAGE):
            attempt(case, inputs, disk, whole, older, counts, failed, f"{size >> 10} KiB")
    return {"largest_use_kib": levels[-1] >> 10, "disks": len(tried), **counts, "failed": failed}


def _sizes(levels: list[int], count: int) -> list[int]:
    """Sizes at which a disk fills while something is written: evenly, and after a write."""
    peak = levels[-1]
    after = [levels[n * len(levels) // (count // 2)] for n in range(count // 2)]
    evenly = [peak * n // (count - len(after)) for n in range(1, count - len(after) + 1)]
    return sorted({max(1, round(size / _PAGE)) * _PAGE for size in (*after, *evenly)})


def attempt(
    case: Case,
    inputs: Path,
    disk: Path,
    whole: dict[str, object],
    older: bytes,
    counts: dict[str, int],
    failed: list[str],
    where: str,
) -> None:
    """One disk: run the command until it is full, make room, and run it again."""
    target = disk / case.out
    if case.replaces:
        target.write_bytes(older)
    status, errors = _start(case, inputs, disk).wait()
    if status == 0:
        return
    counts["full"] += 1
    lines = [line for line in errors.splitlines() if line.startswith("selfsup: error: ")]
    if status == 2 and len(lines) == 1 and "Traceback" not in errors and "full" in lines[0]:
        counts["one_line"] += 1
    else:
        failed.append(f"{where}: status {status}: {errors[-600:]}")
    left = half_written(disk)
    if case.replaces and (not target.exists() or target.read_bytes() != older):
        left.append(case.out)
    left += [] if case.prints else torn_files(target, whole)
    if left:
        failed.append(f"{where}: half-written: {' '.join(left)} ({lines})")
    else:
        counts["nothing_half_written"] += 1
    subprocess.run(["mount", "-o", f"remount,size={_ROOM}", str(disk)], check=True)
    status, errors = _start(case, inputs, disk).wait()
    if status and f"selfsup resume {target}" in errors:
        counts["resumed"] += 1
        status, errors = Child(["resume", str(target)]).wait()
    if status:
        failed.append(f"{where}: with room: status {status}: {errors[-600:]}")
    elif different := _different(results_of(target), whole):
        failed.append(f"{where}: with room: other results: {' '.join(different)}")
    else:
        counts["then_the_same"] += 1


def _start(case: Case, inputs: Path, disk: Path) -> Child:
    out = disk / case.out if case.prints else None
    return Child(case.words(inputs, disk), out=out, temporary=disk)


def _different(one: dict[str, object], other: dict[str, object]) -> list[str]:
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def torn_files(target: Path, whole: dict[str, object]) -> list[str]:
    """Files under their final names that are cut short: as JSON, YAML, weights, or text."""
    if not target.is_dir():
        return []
    return [
        str(file.relative_to(target))
        for file in sorted(target.rglob("*"))
        if file.is_file() and _is_torn(file, whole.get(str(file.relative_to(target))))
    ]


def _is_torn(file: Path, whole: object) -> bool:
    data = file.read_bytes()
    if not data and file.name != ".lock":
        return whole != b"" and file.suffix != ".jsonl"
    try:
        if file.suffix == ".json":
            json.loads(data)
        elif file.suffix == ".jsonl":
            list(map(json.loads, data.splitlines()))
        elif file.suffix == ".safetensors":
            from safetensors import safe_open

            with safe_open(file, "numpy"):
                pass
        else:
            return isinstance(whole, bytes) and whole != data and whole.startswith(data)
    except Exception:  # each kind of file has its own
        return True
    return False


@contextmanager
def mounted(folder: Path, size: int) -> Iterator[None]:
    """A disk of so many bytes at a folder."""
    words = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    subprocess.run(words, check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


class UseOfDisk:
    """Samples how much of a disk is used."""

    def __init__(self, disk: Path) -> None:
        self._disk, self._levels, self._stopped = disk, {0}, threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()

    def stop(self) -> list[int]:
        """End the sampling; the numbers of bytes that were in use, in rising order."""
        self._stopped.set()
        self._thread.join()
        return sorted(self._levels)

    def _sample(self) -> None:
        while True:
            stat = os.statvfs(self._disk)
            self._levels.add((stat.f_blocks - stat.f_bfree) * stat.f_frsize)
            if self._stopped.wait(0.0002):
                return


if __name__ == "__main__":
    main()
