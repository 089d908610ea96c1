"""Run every fuzzing target of this folder, and count what they read.

    python -m tests.fuzz.run [--inputs 20000] [--seed N] [--only WORDS] [--json FILE]

prints a line for each target: inputs, the slowest of them, the peak memory of the process, and
whether it failed. The inputs are shared out equally; slow targets take fewer. The targets of a file
run in a process of their own. A target that ends its process counts as failed, and what it read
last is shown. The exit status is 1 if a target failed.
"""

import argparse
import json
import multiprocessing
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
# Of a process, in bytes of addresses. What the libraries map is in it, so it is far above what
# ``conftest.py`` allows an input; it protects the machine.
MOST_MEMORY = 6 << 30
MINUTES = 60  # for a file's targets
# Children of a process that has imported these begin at once.
_IMPORTED = ("selfsup.tasks.registry", "selfsup.corpus.prepare", "pyarrow.parquet", "openpyxl")
_processes = multiprocessing.get_context("forkserver")
_OPTIONS = ("-q", "-s", "-p", "no:cacheprovider", "--no-header")


def main() -> int:
    """Run the targets; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz.run", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--inputs", type=int, default=20_000, help="in all (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--only", default="", help="targets whose name holds this, as pytest's -k")
    parser.add_argument("--json", type=Path, help="write what was measured to this file")
    asked = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    _processes.set_forkserver_preload(list(_IMPORTED))
    targets = _collect(asked.only)
    share = -(-asked.inputs // max(len(targets), 1))
    print(f"{len(targets)} targets, about {share:,} inputs each, seed {asked.seed}", flush=True)
    print(f"{'inputs':>8} {'slowest':>9} {'peak':>9}  target", flush=True)
    results = []
    for file in dict.fromkeys(target.partition("::")[0] for target in targets):
        waiting = [target for target in targets if target.startswith(f"{file}::")]
        while waiting:
            for result in _run(waiting, share, asked.seed):
                _show(result)
                results.append(result)
                waiting = waiting[1:]
    failed = [result["target"] for result in results if result["failed"]]
    summary = {
        "seed": asked.seed,
        "inputs": sum(result["inputs"] for result in results),
        "failures": len(failed),
        "slowest_seconds": max((result["slowest_seconds"] for result in results), default=0),
        "peak_mebibytes": max((result["peak_mebibytes"] for result in results), default=0),
        "targets": results,
    }
    if asked.json:
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        asked.json.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    print(
        f"{summary['inputs']:,} inputs to {len(targets)} targets, {len(failed)} of them failed; "
        f"slowest input {summary['slowest_seconds']:.1f} s, peak {summary['peak_mebibytes']:,} MiB"
    )
    for target in failed:
        print(f"failed: {target}")
    return int(bool(failed) or not targets)


def _collect(only: str) -> list[str]:
    """The targets' names, as pytest takes them."""
    words = [sys.executable, "-m", "pytest", "--collect-only", *_OPTIONS, "-k", only, str(HERE)]
    listed = subprocess.run(words, cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=False)
    if listed.returncode not in (0, 5):  # 5: there is none
        sys.exit(listed.stdout)
    return [line for line in listed.stdout.splitlines() if "::" in line]


def _run(targets: list[str], inputs: int, seed: int) -> Iterator[dict[str, Any]]:
    """Run targets in a process. What each measured, up to the one that ends the process, if any."""
    with tempfile.TemporaryDirectory(prefix="selfsup-fuzz-") as folder:
        record, output = Path(folder, "record.jsonl"), Path(folder, "output")
        environment = {
            "SELFSUP_FUZZ_INPUTS": str(inputs),
            "SELFSUP_FUZZ_RECORD": str(record),
            "TMPDIR": folder,
        }
        words = [*_OPTIONS, f"--hypothesis-seed={seed}", *targets]
        process = _processes.Process(target=_pytest, args=(words, environment, str(output)))
        process.start()
        count, until = 0, time.monotonic() + 60 * MINUTES
        while process.is_alive() and time.monotonic() < until:
            process.join(1)
            for line in _lines(record)[count:]:
                count += 1
                yield json.loads(line)
        process.kill()
        process.join()
        if count < len(targets):
            last = Path(f"{record}.input")
            said = [f"the process ended with status {process.exitcode}"]
            said += [path.read_text(errors="replace") for path in (output, last) if path.exists()]
            nothing = {"inputs": 0, "slowest_seconds": 0.0, "peak_mebibytes": 0}
            shown = "\n".join(said)[-8000:]
            yield {"target": targets[count], **nothing, "failed": True, "output": shown}


def _lines(record: Path) -> list[str]:
    """The whole lines of the record so far."""
    written = record.read_text(encoding="utf-8") if record.exists() else ""
    return written.split("\n")[:-1]


def _pytest(words: list[str], environment: dict[str, str], output: str) -> None:
    """Run pytest in this process, which is a child, with its output in a file."""
    with Path(output).open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.update(environment)
    os.chdir(PROJECT)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    sys.exit(pytest.main(words))


def _show(result: dict[str, Any]) -> None:
    if result["failed"]:
        print(result.get("output", ""))
    measured = f"{result['inputs']:8,} {result['slowest_seconds']:7.2f} s"
    measured += f" {result['peak_mebibytes']:5,} MiB"
    print(f"{measured}  {result['target']}{'  FAILED' if result['failed'] else ''}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
