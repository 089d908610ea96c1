"""Claim: ``prepare`` is faster than ``datasets.map`` as run_mlm.py uses it.

Both read the same JSON lines from disk, use the same BERT vocabulary (30,522), and may use all
cores; in each round they take turns. The peer does the same as the example script of
``transformers``: ``load_dataset("json")``, ``map(tokenize)``, ``map(group_texts)``, all batched,
with its cache in an empty folder. It runs in two ways, with one process for each core and with the
tokenizer's own threads; the faster counts. Ours also normalises to Unicode NFC, splits sentences,
drops duplicates and writes checksums in that time.

    python benchmarks/prepare_throughput.py [--corpus FILE.jsonl[.xz]] [--rounds 3]

prints one JSON object: MB of text a second for each (median over the rounds), their ratio, the
ratio to the peer's reading and tokenizing alone, and the peak memory of ours over all processes.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("SELFSUP_DATA") or PROJECT.parent / "shared" / "data")
MAX_LENGTH = 512


def main() -> None:
    """Run the rounds and print the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--corpus", type=Path, default=DATA / "text" / "wiki-en.jsonl.xz")
    parser.add_argument(
        "--vocabulary", type=Path, default=DATA / "tokenizer" / "bert-base-uncased.vocab.txt"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", nargs=4, metavar=("NAME", "CORPUS", "TOKENIZER", "OUT"))
    arguments = parser.parse_args()
    if arguments.one:
        name, corpus, tokenizer, out = arguments.one
        CONTENDERS[name](corpus, tokenizer, out)
        return
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(arguments, Path(folder)), indent=2))


def measure(arguments: argparse.Namespace, folder: Path) -> dict:
    """Run every contender once a round, each in its own process."""
    corpus, text_bytes = write_plain_corpus(arguments.corpus, folder / "corpus.jsonl")
    tokenizer = folder / "tokenizer"
    tokenizer.mkdir()
    shutil.copy(arguments.vocabulary, tokenizer / "vocab.txt")
    (tokenizer / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True})
    )
    seconds: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    until_tokenized: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    peaks = []
    for _ in range(arguments.rounds):
        for name in CONTENDERS:
            out = folder / "out"
            elapsed, peak = run_apart(name, corpus, tokenizer, out)
            seconds[name].append(elapsed["all"])
            until_tokenized[name].append(elapsed["until tokenized"])
            if name == "selfsup":
                peaks.append(peak)
            shutil.rmtree(out)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    peers = [name for name in CONTENDERS if name != "selfsup"]
    best_peer = min(peers, key=medians.__getitem__)
    return {
        "benchmark": "prepare_throughput",
        "corpus": arguments.corpus.name,
        "text_mb": round(text_bytes / 1e6, 1),
        "cores": len(os.sched_getaffinity(0)),
        "rounds": arguments.rounds,
        "seconds": {name: [round(value, 2) for value in times] for name, times in seconds.items()},
        "mb_per_second": {
            name: round(text_bytes / 1e6 / median, 2) for name, median in medians.items()
        },
        "best_peer": best_peer,
        "ratio": round(medians[best_peer] / medians["selfsup"], 2),
        "ratio_to_reading_and_tokenizing_alone": round(
            min(statistics.median(until_tokenized[name]) for name in peers) / medians["selfsup"], 2
        ),
        "peak_memory_mb": round(max(peaks) / 1e6),
        "ours_also_does": "NFC, sentences, duplicates dropped, checksums",
    }


def write_plain_corpus(source: Path, destination: Path) -> tuple[Path, int]:
    """Decompress the corpus; return its path and the bytes of text in it."""
    from selfsup.corpus.readers.compression import decompressed

    text_bytes = 0
    with source.open("rb") as raw, destination.open("wb") as out:
        for line in decompressed(raw, source.name):
            out.write(line)
            text_bytes += len(json.loads(line)["text"].encode())
    return destination, text_bytes


def run_apart(name: str, corpus: Path, tokenizer: Path, out: Path) -> tuple[dict[str, float], int]:
    """Run one contender in a new process; return the seconds it reports and its peak memory."""
    command = [sys.executable, __file__, "--one", name, str(corpus), str(tokenizer), str(out)]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    peak = PeakMemory(process.pid)
    output, errors = process.communicate()
    peak.stop()
    if process.returncode:
        sys.exit(errors.decode())
    return json.loads(output.splitlines()[-1]), peak.bytes


class PeakMemory:
    """Samples the memory of a process and all its descendants (proportional set size, Linux)."""

    def __init__(self, pid: int) -> None:
        self.bytes = 0
        self._pid = pid
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()

    def stop(self) -> None:
        """End the sampling."""
        self._stopped.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stopped.wait(0.25):
            self.bytes = max(self.bytes, sum(map(memory_of, descendants(self._pid))))


def descendants(pid: int) -> list[int]:
    """The process and all its descendants."""
    found = [pid]
    for parent in found:
        for path in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += map(int, path.read_text().split())
            except OSError:
                continue
    return found


def memory_of(pid: int) -> int:
    """Proportional set size in bytes; 0 if the process has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def run_selfsup(corpus: str, tokenizer: str, out: str) -> None:
    """Run ours with its defaults."""
    from selfsup.corpus.prepare import prepare

    start = time.perf_counter()
    prepare([corpus], tokenizer, out, show_progress=False)
    seconds = time.perf_counter() - start
    print(json.dumps({"until tokenized": seconds, "all": seconds}))


def run_datasets(corpus: str, tokenizer_folder: str, out: str, processes: int | None) -> None:
    """Run the peer, as in run_mlm.py without ``--line_by_line``."""
    import datasets
    from transformers import AutoTokenizer

    datasets.disable_progress_bars()

    def group_texts(examples: dict) -> dict:
        concatenated = {key: list(chain(*examples[key])) for key in examples}
        total = len(concatenated["input_ids"]) // MAX_LENGTH * MAX_LENGTH
        return {
            key: [values[i : i + MAX_LENGTH] for i in range(0, total, MAX_LENGTH)]
            for key, values in concatenated.items()
        }

    start = time.perf_counter()
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    raw = datasets.load_dataset("json", data_files=corpus, split="train", cache_dir=out)
    tokenized = raw.map(
        lambda examples: tokenizer(examples["text"], return_special_tokens_mask=True),
        batched=True,
        num_proc=processes,
        remove_columns=raw.column_names,
    )
    until_tokenized = time.perf_counter() - start
    tokenized.map(group_texts, batched=True, num_proc=processes)
    seconds = time.perf_counter() - start
    print(json.dumps({"until tokenized": until_tokenized, "all": seconds}))


CONTENDERS: dict[str, Callable[[str, str, str], None]] = {
    "selfsup": run_selfsup,
    "datasets, a process a core": lambda *paths: run_datasets(
        *paths, processes=len(os.sched_getaffinity(0))
    ),
    "datasets, the tokenizer's threads": lambda *paths: run_datasets(*paths, processes=None),
}

if __name__ == "__main__":
    main()
