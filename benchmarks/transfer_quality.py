r"""Claim: an encoder pre-trained for ten minutes beats random weights on every task.

Each task of the sample data is trained in three ways, over several seeds: with the pre-trained
encoder fine-tuned, with it frozen, and from random weights (with a tokenizer trained on the task's
own texts). Fine-tuning and random weights have the same epochs, batches and learning rates. The
head of a frozen encoder is cheap to train, so it has more epochs and a higher learning rate. The
metric is that of the best epoch on the validation file.

Each cell of the table is a run of ``selfsup finetune`` under ``--out``. Finished cells are not run
again, so an interrupted benchmark continues, and several benchmarks may share a folder.

    selfsup pretrain DATA/text/wiki-en.jsonl.xz --encoder bert-mini --vocab-size 16384 \
        --budget 10m --out runs/en
    selfsup pretrain DATA/text/wiki-ko.jsonl.xz --encoder bert-mini --vocab-size 16384 \
        --budget 10m --out runs/ko
    python benchmarks/transfer_quality.py --english runs/en --korean runs/ko --out runs/transfer

prints one JSON object; metrics are between 0 and 1, except correlations.
"""

import argparse
import json
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from english_sample import DATA

FINE_TUNED, FROZEN, SCRATCH = "pretrained", "frozen", "scratch"
FROZEN_FLAGS = ["--freeze", "encoder", "--epochs", "20", "--learning-rate", "2e-3"]


@dataclass(frozen=True)
class Trial:
    """A task's files and its number of epochs.

    Attributes:
        task: its name in ``selfsup finetune``.
        language: language of its texts, "english" or "korean".
        train, validation: file paths inside the data folder.
        metric: the metric to compare.
        epochs: number of epochs in fine-tuning and from random weights.
        flags: other flags that its files need.
    """

    task: str
    language: str
    train: str
    validation: str
    metric: str
    epochs: int
    flags: tuple[str, ...] = ()


TRIALS = {
    "sst2": Trial(
        "sequence-classification", "english", "sst2/train.tsv", "sst2/dev.tsv", "accuracy", 5
    ),
    "snli": Trial(
        "pair-classification", "english", "snli/train.tsv", "snli/dev.tsv", "accuracy", 3
    ),
    "squad": Trial(
        "question-answering", "english", "squad/train-v1.1.json", "squad/dev-v1.1.json", "f1", 2
    ),
    "wnut17": Trial(
        "token-classification", "english", "wnut17/train.conll", "wnut17/dev.conll", "f1", 8
    ),
    "nsmc": Trial(
        "sequence-classification", "korean", "nsmc/train.tsv", "nsmc/dev.tsv", "accuracy", 2,
        ("--text-column", "document", "--label-column", "label"),
    ),
    "korsts": Trial(
        "pair-classification", "korean", "korsts/train.tsv", "korsts/dev.tsv", "pearson", 4,
        ("--label-type", "number"),
    ),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--english", required=True, help="a pre-trained model or its run folder")
    parser.add_argument("--korean", required=True, help="the same for Korean text")
    parser.add_argument("--encoder", default="bert-mini", help="size of the untrained encoder")
    parser.add_argument("--out", type=Path, required=True, help="folder of all the runs")
    parser.add_argument("--data", type=Path, default=DATA / "tasks")
    parser.add_argument("--tasks", nargs="+", choices=TRIALS, default=list(TRIALS))
    parser.add_argument("--ways", nargs="+", default=[FINE_TUNED, SCRATCH, FROZEN])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--report", action="store_true", help="only report finished cells")
    arguments = parser.parse_args()
    table: dict[str, dict] = {}
    for seed in arguments.seeds:
        for name in arguments.tasks:
            for way in arguments.ways:
                value = cell(arguments, name, way, seed)
                if value is not None:
                    row = table.setdefault(name, {"metric": TRIALS[name].metric})
                    row.setdefault(way, {"values": []})["values"].append(value)
    for row in table.values():
        for way in row.keys() & set(arguments.ways):
            values = row[way]["values"]
            row[way]["mean"] = statistics.fmean(values)
            row[way]["std"] = statistics.stdev(values) if len(values) > 1 else 0.0
    print(json.dumps(table, indent=2))


def cell(arguments: argparse.Namespace, name: str, way: str, seed: int) -> float | None:
    """The metric of a cell, which is run first if needed; None if ``--report`` forbids that."""
    run = arguments.out / f"{name}-{way}-{seed}"
    if not (run / "summary.json").exists():
        if arguments.report:
            return None
        command = command_of(arguments, TRIALS[name], way, seed, run)
        print(" ".join(command), file=sys.stderr)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    return summary["metrics"][TRIALS[name].metric]["mean"]


def command_of(
    arguments: argparse.Namespace, trial: Trial, way: str, seed: int, run: Path
) -> list[str]:
    """The command line of a cell."""
    pretrained = getattr(arguments, trial.language)
    return [
        sys.executable,
        *("-m", "selfsup", "finetune", trial.task),
        *("--encoder", arguments.encoder if way == SCRATCH else str(pretrained)),
        *("--train", str(arguments.data / trial.train)),
        *("--validation", str(arguments.data / trial.validation)),
        *("--out", str(run), "--seed", str(seed), "--json"),
        *trial.flags,
        *(FROZEN_FLAGS if way == FROZEN else ("--epochs", str(trial.epochs))),
    ]


if __name__ == "__main__":
    main()
