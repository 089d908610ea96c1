"""Claim: a command that is killed at any moment goes on, and ends as one that never was.

``pretrain``, ``prepare`` and ``finetune`` are killed again and again: at random instants, while a
checkpoint or a shard is written, and while the results are written. Every fourth kill is SIGTERM,
the others are SIGKILL. After each kill the same command is given again; where it answers with
`selfsup resume`, that is given. After three kills a run is left alone until it is done. Then its
weights, shards, predictions, metrics and summary are compared with those of a run that was never
stopped, bit for bit but for times.

    python benchmarks/kill_trials.py [--kills 20] [--commands NAME …]

prints one JSON object: for each command the kills by instant and by signal, the runs that they
make up, how many of those ended equal, and what failed.
"""

import argparse
import json
import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from trial_commands import (
    Child,
    finetune_words,
    half_written,
    import_program,
    pretrain_words,
    results_of,
    scratch,
    write_inputs,
)

_KILLS_OF_A_RUN = 3
_INSTANTS = ("random", "while saving", "at the end")
_LONGEST_SAVING = 0.01  # seconds, about


class Case(NamedTuple):
    """A command that is killed.

    Attributes:
        words: takes the folder of inputs and of results, and gives the command line.
        saving: matches the names of what is written on the way, in the folder of results.
        ending: matches those of what is written at the end.
    """

    words: Callable[[Path, Path], list[str]]
    saving: str
    ending: str


CASES: dict[str, Case] = {
    "pretrain": Case(
        lambda inputs, out: pretrain_words(inputs, out, steps=30, every=3),
        r"checkpoints/\.step",
        r"model|\.summary",
    ),
    "prepare": Case(
        lambda inputs, out: [
            "prepare", f"{inputs}/texts.txt", "--tokenizer", f"{inputs}/words",
            "--out", str(out), "--shard-tokens", "8000", "--workers", "2",
        ],
        r"\.(shard|progress|problems).*tmp",
        r"\.?manifest",
    ),
    "finetune": Case(
        lambda inputs, out: finetune_words(inputs, out, epochs=3, every=1),
        r"checkpoints/\.step",
        r"model|\.summary|\.validation_predictions",
    ),
}  # fmt: skip


def main() -> None:
    """Kill all commands and print the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--kills", type=int, default=20, help="for each command")
    parser.add_argument("--commands", nargs="*", choices=CASES, default=list(CASES))
    parser.add_argument("--seed", type=int, default=0, help="of the random instants")
    parser.add_argument("--scratch", type=Path, help="folder for inputs and results")
    arguments = parser.parse_args()
    import_program()
    found = {}
    with scratch(arguments.scratch) as folder:
        inputs = folder / "inputs"
        inputs.mkdir()
        write_inputs(inputs, documents=1500)
        for name in arguments.commands:
            trial = Trial(CASES[name], inputs, folder / name, arguments.seed)
            found[name] = trial.run(arguments.kills)
    print(json.dumps({"benchmark": "kill_trials", "commands": found}, indent=2))
    sys.exit(any(counts["failed"] for counts in found.values()))


class Trial:
    """Kills one command again and again."""

    def __init__(self, case: Case, inputs: Path, folder: Path, seed: int) -> None:
        self._case, self._inputs, self._folder = case, inputs, folder
        self._random = np.random.default_rng(seed)
        self._kills: Counter[str] = Counter()
        self._signals: Counter[str] = Counter()
        self._failed: list[str] = []

    def run(self, kills: int) -> dict:
        """Kill so often; the counts."""
        begun = time.monotonic()
        status, errors = self._start(self._folder / "whole" / "out").wait()
        self._seconds = time.monotonic() - begun
        if status:
            sys.exit(f"status {status} without a kill\n{errors}")
        self._whole = results_of(self._folder / "whole" / "out")
        runs = equal = 0
        while self._kills.total() < kills and len(self._failed) < 10:
            left = min(_KILLS_OF_A_RUN, kills - self._kills.total())
            runs += 1
            equal += self._run_killed(self._folder / f"run-{runs}" / "out", left)
        return {
            "kills": self._kills.total(),
            "instants": dict(self._kills),
            "signals": dict(self._signals),
            "runs": runs,
            "equal": equal,
            "seconds_without_a_kill": round(self._seconds, 1),
            "failed": self._failed,
        }

    def _run_killed(self, out: Path, kills: int) -> bool:
        """Kill a run a few times, let it end, and say whether it ended as the whole one."""
        words, tries = self._case.words(self._inputs, out), 0
        while True:
            tries += 1
            child = Child(words)
            # Instants that come too late do not count; some tries are enough for three kills.
            if kills and tries < 12 and self._kill(child, out):
                kills -= 1
            status, errors = child.wait()
            if status == 0 or "has ended" in errors or "holds the results of a run" in errors:
                break
            if f"selfsup resume {out}" in errors and status == 2:
                words = ["resume", str(out)]
            elif status in (-signal.SIGKILL, -signal.SIGTERM, 128 + signal.SIGTERM):
                if "Traceback" in errors:
                    self._failed.append(f"{out.parent.name}: status {status}: {errors[-600:]}")
                words = self._case.words(self._inputs, out)
            else:
                self._failed.append(f"{out.parent.name}: status {status}: {errors[-600:]}")
                return False
        results = results_of(out)
        names = sorted(results.keys() | self._whole.keys())
        different = [name for name in names if results.get(name) != self._whole.get(name)]
        different += half_written(out)
        if different:
            self._failed.append(f"{out.parent.name}: differs in {' '.join(different)}")
        return not different

    def _kill(self, child: Child, out: Path) -> bool:
        """Kill a command at the next kind of instant; whether it was still at work."""
        kills = self._kills.total()
        instant = _INSTANTS[kills % len(_INSTANTS)]
        number = signal.SIGTERM if kills % 4 == 3 else signal.SIGKILL
        if instant == "random":
            until = time.monotonic() + self._random.uniform(0, self._seconds)
            while time.monotonic() < until and not child.has_ended:
                time.sleep(0.001)
        else:
            is_end = instant == "at the end"
            pattern = re.compile(self._case.ending if is_end else self._case.saving)
            times = 1 if is_end else self._random.integers(1, 6)
            self._wait_for(pattern, int(times), child, out)
            time.sleep(self._random.uniform(0, _LONGEST_SAVING))
        if child.has_ended:
            return False
        child.kill(number)
        self._kills[instant] += 1
        self._signals[signal.Signals(number).name] += 1
        return True

    def _wait_for(self, pattern: re.Pattern, times: int, child: Child, out: Path) -> None:
        """Wait until names that match have appeared so often, or the command has ended."""
        before: set[str] = set()
        while times and not child.has_ended:
            names = {name for name in _names(out) if pattern.match(name)}
            times -= bool(names - before)
            before = names

    def _start(self, out: Path) -> Child:
        return Child(self._case.words(self._inputs, out))


def _names(folder: Path) -> list[str]:
    """What lies in a folder and in its ``checkpoints``."""
    names = []
    for below in ("", "checkpoints/"):
        try:
            names += [f"{below}{name}" for name in os.listdir(folder / below)]  # noqa: PTH208 - fast
        except OSError:
            continue
    return names


if __name__ == "__main__":
    main()
