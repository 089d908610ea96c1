"""Claim: memory does not grow with the data, nor with what a small file unpacks to.

- ``predict`` over many short texts: the peak at a fifth of them and at all of them, and whether
  line i answers text i.
- ``prepare`` on a gigabyte of text: the peak over all its processes (proportional set size).
- Files that unpack to 2 GiB (``bombs.py``), given to each command that reads such a file: it ends
  well or in one line, with less than 2 GiB.

    python benchmarks/bounded_memory.py [--parts predict prepare bombs] [--only NAME …]

prints one JSON object.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bombs import UNPACKED, write_bombs
from english_sample import CORPUS, PROJECT, VOCABULARY
from prepare_throughput import PeakMemory, descendants
from trial_commands import ON_CPU, Child, import_program, run, scratch, write_inputs

_MOST_BYTES = 2 << 30
_MOST_SECONDS = 150
_PAGE = os.sysconf("SC_PAGESIZE")
_TASK_OF = {"conll": "token-classification", "json": "question-answering"}
_LABELLED = (".csv", ".tsv", ".jsonl", ".parquet", ".xlsx", ".json", ".conll")


def main() -> None:
    """Measure the parts that are asked for, and print the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parts = ("predict", "prepare", "bombs")
    parser.add_argument("--parts", nargs="*", choices=parts, default=list(parts))
    parser.add_argument("--texts", type=int, default=1_000_000)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--only", nargs="*", help="bombs whose names contain one of these")
    parser.add_argument("--scratch", type=Path, help="folder for inputs and results")
    arguments = parser.parse_args()
    found: dict[str, object] = {"benchmark": "bounded_memory"}
    with scratch(arguments.scratch) as folder:
        if "predict" in arguments.parts:
            found["predict"] = measure_predict(folder, arguments.texts)
        if "prepare" in arguments.parts:
            found["prepare"] = measure_prepare(folder, arguments.gigabytes)
        if "bombs" in arguments.parts:
            found["bombs"] = measure_bombs(folder, arguments.only or [""])
    print(json.dumps(found, indent=2))


def measure_predict(folder: Path, texts: int) -> dict:
    """Predict for a fifth of the texts and for all of them."""
    model = _tiny_model(folder)
    peaks, in_order = {}, True
    for count in (texts // 5, texts):
        data, out = folder / "texts.csv", folder / "predictions.jsonl"
        with data.open("w") as file:
            file.write("text\n")
            file.writelines(f"{_text(number)}\n" for number in range(count))
        words = ["predict", str(model), "--data", str(data), "--out", str(out), *ON_CPU[:4]]
        status, errors, peaks[count], _ = _run_apart(words)
        if status:
            sys.exit(errors)
        lines = 0
        with out.open() as file:
            for lines, line in enumerate(file, 1):
                in_order &= json.loads(line)["text"] == _text(lines - 1)
        in_order &= lines == count
        out.unlink()
    few, many = peaks.values()
    return {
        "peak_mb": {f"{count:,} texts": round(peak / 1e6, 1) for count, peak in peaks.items()},
        "growth_percent": round(100 * (many / few - 1), 2),
        "line_i_answers_text_i": in_order,
    }


def _text(number: int) -> str:
    return f"{('fine', 'dull', 'warm', 'grim')[number % 4]} film number {number}"


def _tiny_model(folder: Path) -> Path:
    """A fine-tuned model of one layer of width 32."""
    from selfsup.corpus.tokenizer.folder import load_tokenizer
    from selfsup.corpus.tokenizer.wordpiece import vocabulary_size
    from selfsup.encoder.bert import BertEncoder
    from selfsup.encoder.config import EncoderConfig
    from selfsup.encoder.layers import initialize
    from selfsup.pretraining.text.model import TextPretrainingModel, save_pretraining

    texts = [f"The {_text(number)} is here.\n" for number in range(400)]
    (folder / "few.txt").write_text("\n".join(texts))
    run("train-tokenizer", folder / "few.txt", "--vocab-size", "90", "--out", folder / "words")
    size = vocabulary_size(load_tokenizer(folder / "words"))
    config = EncoderConfig(size, 32, 1, 2, 64, 32)
    model = TextPretrainingModel(BertEncoder(config), ("mlm",))
    initialize(model, 0.1, seed=1)
    save_pretraining(folder / "encoder", model.eval(), folder / "words", "# Tiny\n")
    rows = [f"{('up', 'down')[number % 2]}\t{_text(number)}\n" for number in range(64)]
    (folder / "train.tsv").write_text("label\ttext\n" + "".join(rows))
    run("finetune", "sequence-classification", "--encoder", folder / "encoder",
        "--train", folder / "train.tsv", "--validation", folder / "train.tsv",
        "--epochs", "2", "--max-length", "24", "--out", folder / "model", *ON_CPU)  # fmt: skip
    return folder / "model"


def measure_prepare(folder: Path, gigabytes: float) -> dict:
    """Prepare the English sample again and again, each time with other words in each paragraph."""
    from selfsup.corpus.readers.compression import decompressed

    with CORPUS.open("rb") as raw:
        documents = [json.loads(line)["text"] for line in decompressed(raw, CORPUS.name)]
    corpus, wanted, written, round_ = folder / "corpus.jsonl", int(gigabytes * 1e9), 0, 0
    with corpus.open("w") as file:
        while written < wanted:
            for number, document in enumerate(documents):
                text = "\n".join(
                    f"{paragraph} ({round_} {number})" for paragraph in document.split("\n")
                )
                file.write(json.dumps({"text": text}) + "\n")
                written += len(text.encode())
                if written >= wanted:
                    break
            round_ += 1
    tokenizer = folder / "bert"
    tokenizer.mkdir()
    (tokenizer / "vocab.txt").write_bytes(VOCABULARY.read_bytes())
    words = ["prepare", str(corpus), "--tokenizer", str(tokenizer), "--out", str(folder / "shards")]
    status, errors, _, peak = _run_apart([*words, "--json"])
    if status:
        sys.exit(errors)
    manifest = json.loads((folder / "shards" / "manifest.json").read_bytes())
    corpus.unlink()
    return {
        "text_gb": round(written / 1e9, 3),
        "tokens": manifest["tokens"],
        "processes": len(os.sched_getaffinity(0)) + 1,
        "peak_mb_of_all_processes": round(peak / 1e6, 1),
    }


def _run_apart(words: Sequence[str]) -> tuple[int, str, int, int]:
    """A command in a new interpreter.

    Returns:
        its status, its errors, its own peak (resident) and that of all its processes
        (proportional), in bytes.
    """
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "selfsup", *words], env=environment, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    of_all = PeakMemory(process.pid)
    assert process.stderr is not None
    errors = process.stderr.read().decode(errors="replace")
    of_all.stop()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, errors, usage.ru_maxrss << 10, of_all.bytes


def measure_bombs(folder: Path, wanted: list[str]) -> dict:
    """Give each bomb to each command that reads such a file."""
    import_program()
    inputs = folder / "inputs"
    inputs.mkdir()
    write_inputs(inputs)
    tried = []
    for name, path in write_bombs(folder, lambda name: any(part in name for part in wanted)):
        for command, words in _commands(name, path, inputs, folder / "out").items():
            tried.append(_try(name, command, words))
            print(json.dumps(tried[-1]), file=sys.stderr, flush=True)
            subprocess.run(["rm", "-rf", str(folder / "out")], check=True)
        if path.is_file():
            path.unlink()
    return {
        "unpacked_gib": UNPACKED >> 30,
        "tried": len(tried),
        "held": sum(each["holds"] for each in tried),
        "largest_peak_mb": max((each["peak_mb"] for each in tried), default=0),
        "failed": [each for each in tried if not each["holds"]],
        "all": tried,
    }


def _commands(name: str, path: Path, inputs: Path, out: Path) -> dict[str, list[str]]:
    """The command lines that read a file."""
    file = f"zip://texts.txt::{path}" if name.endswith(".zip") else str(path)
    if name == "images":
        return {
            "doctor": ["doctor", file],
            "pretrain": ["pretrain", file, "--objectives", "inpainting", "--encoder", "vit-mini",
                         "--image-size", "32", "--patch-size", "8", "--steps", "1",
                         "--batch-size", "2", "--out", str(out), *ON_CPU],
            "finetune": ["finetune", "image-classification", "--encoder", "vit-mini",
                         "--image-size", "32", "--patch-size", "8", "--train", file,
                         "--validation", file, "--epochs", "1", "--out", str(out), *ON_CPU],
        }  # fmt: skip
    words = {"doctor": ["doctor", file]}
    kind = next((part for part in name.split(".")[1:] if f".{part}" in _LABELLED), "")
    if kind not in _TASK_OF:
        words["train-tokenizer"] = ["train-tokenizer", file, "--out", str(out)]
        words["prepare"] = ["prepare", file, "--tokenizer", f"{inputs}/words", "--out", str(out),
                            "--workers", "2"]  # fmt: skip
    if kind:
        task = _TASK_OF.get(kind, "sequence-classification")
        words["finetune"] = ["finetune", task, "--encoder", f"{inputs}/encoder", "--train", file,
                             "--validation", file, "--epochs", "1", "--out", str(out),
                             *ON_CPU]  # fmt: skip
        words["predict"] = ["predict", f"{inputs}/model", "--data", file, "--out",
                            f"{out}.jsonl", *ON_CPU]  # fmt: skip
    if kind and kind not in _TASK_OF:
        words["evaluate"] = ["evaluate", f"{inputs}/model", "--data", file, *ON_CPU]
    return words


def _try(name: str, command: str, words: list[str]) -> dict:
    """One bomb and one command: how it ended, and the peak of its memory."""
    begun = time.monotonic()
    child, peak, stopped = Child(words), 0, ""
    while not child.has_ended:
        peak = max(peak, sum(map(_resident, descendants(child.pid))))
        if peak > _MOST_BYTES or time.monotonic() - begun > _MOST_SECONDS:
            stopped = "too much memory" if peak > _MOST_BYTES else "still at work"
            child.kill()
            break
        time.sleep(0.02)
    status, errors = child.wait()
    peak = max(peak, child.peak_bytes)
    lines = [line for line in errors.splitlines() if line.startswith("selfsup: error: ")]
    in_one_line = status == 2 and len(lines) == 1 and "Traceback" not in errors
    return {
        "file": name,
        "command": command,
        "holds": peak <= _MOST_BYTES and (status == 0 or in_one_line or stopped == "still at work"),
        "ended": stopped or (lines[0] if in_one_line else f"status {status}"),
        "peak_mb": round(peak / 1e6),
        "seconds": round(time.monotonic() - begun, 1),
        **({} if status == 0 or in_one_line else {"errors": errors[-500:]}),
    }


def _resident(pid: int) -> int:
    """The resident memory of a process; 0 if it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except OSError:
        return 0


if __name__ == "__main__":
    main()
