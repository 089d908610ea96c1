"""Claim: selfsup fine-tunes a checkpoint as well as transformers.Trainer, or better.

A real checkpoint is fine-tuned on SST-2 (100, 500 and all examples), SNLI, SQuAD 1.1 and WNUT-17,
and evaluated on their validation files, over several seeds:

- ``theirs``: ``transformers.Trainer`` with the recipe of its example scripts, after the last epoch;
- ``equal``: selfsup with the same epochs, batch size, learning rate and schedule, after the last
  epoch;
- ``default``: selfsup with the defaults of ``selfsup finetune``, at the best epoch.

The best epoch of each is reported too. The seed also chooses the examples of a small training set.
Each cell of the table runs in its own process; all of them take hours on two cores. With ``--out``
finished cells are kept in that folder, one file for each task, and an interrupted benchmark
continues from there. Several benchmarks with different tasks may share the folder.

    python benchmarks/finetune_quality.py [--tasks sst2 snli] [--seeds 3] [--out FOLDER]

prints one JSON object; metrics are between 0 and 1.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from english_sample import DATA
from finetune_checkpoint import CHECKPOINT, checkpoint_folder

THEIRS, EQUAL, DEFAULT = "theirs", "equal", "default"


@dataclass(frozen=True)
class Recipe:
    """A task's files, and how the example scripts of transformers fine-tune on it.

    Attributes:
        task: its name in ``selfsup finetune``.
        train, validation: file paths inside the data folder.
        metric: the metric to compare.
        epochs, batch_size, learning_rate: as in run_glue.py, run_qa.py, run_ner.py and their docs.
        max_length: maximum tokens of a sequence.
        examples: number of training examples to use; all if None.
    """

    task: str
    train: str
    validation: str
    metric: str
    epochs: int
    batch_size: int
    learning_rate: float
    max_length: int = 128
    examples: int | None = None


def sentiment(examples: int | None) -> Recipe:
    files = "sst2/train.tsv", "sst2/dev.tsv"
    return Recipe(
        "sequence-classification", *files, "accuracy", 3, 32, 2e-5, examples=examples
    )  # fmt: skip


RECIPES = {
    "sst2-100": sentiment(100),
    "sst2-500": sentiment(500),
    "sst2": sentiment(None),
    "snli": Recipe(
        "pair-classification", "snli/train.tsv", "snli/dev.tsv", "accuracy", 3, 32, 2e-5
    ),
    "squad": Recipe(
        "question-answering", "squad/train-v1.1.json", "squad/dev-v1.1.json", "f1", 2, 12, 3e-5, 384
    ),
    "wnut17": Recipe(
        "token-classification", "wnut17/train.conll", "wnut17/dev.conll", "f1", 3, 8, 5e-5
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--checkpoint", default=CHECKPOINT, help="a model folder or a package")
    parser.add_argument("--data", type=Path, default=DATA / "tasks")
    parser.add_argument("--tasks", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--examples", type=int, help="for a trial: train on this many, and evaluate on the same"
    )
    parser.add_argument("--epochs", type=int, help="for a trial")
    parser.add_argument("--learning-rate", type=float, help="learning rate of theirs and equal")
    parser.add_argument("--jobs", type=int, default=1, help="cells that run at the same time")
    parser.add_argument("--out", type=Path, help="folder that keeps finished cells")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.data, **json.loads(arguments.one))))
        return
    cells = {name: read_cells(arguments, name) for name in arguments.tasks}
    missing = [
        (name, key)
        for seed in range(arguments.seeds)
        for name in arguments.tasks
        for side in (THEIRS, EQUAL, DEFAULT)
        if (key := key_of(arguments, name, side, seed)) not in cells[name]
    ]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        results = [pool.submit(run_cell, arguments.data, key) for _, key in missing]
        for (name, key), result in zip(missing, results, strict=True):
            cells[name][key] = result.result()
            print(f"{key}: {cells[name][key]}", file=sys.stderr)
            if arguments.out:
                write_cells(arguments, name, cells[name])
    table = {name: report(arguments, name, of_task) for name, of_task in cells.items()}
    print(json.dumps(table, indent=2))


def run_cell(data: Path, key: str) -> dict:
    """Compute a cell in its own process, and return its result."""
    command = [sys.executable, __file__, "--data", str(data), "--one", key]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout.splitlines()[-1])


def read_cells(arguments: argparse.Namespace, name: str) -> dict[str, dict]:
    """Read the finished cells of a task, by key."""
    file = arguments.out and arguments.out / f"{name}.json"
    return json.loads(file.read_text(encoding="utf-8")) if file and file.exists() else {}


def write_cells(arguments: argparse.Namespace, name: str, cells: dict[str, dict]) -> None:
    arguments.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(cells, indent=1) + "\n"
    (arguments.out / f"{name}.json").write_text(text, encoding="utf-8")


def key_of(arguments: argparse.Namespace, name: str, side: str, seed: int) -> str:
    """Everything that a cell's result depends on except the data, as JSON."""
    cell = {
        "name": name,
        "side": side,
        "seed": seed,
        "checkpoint": arguments.checkpoint,
        "examples": arguments.examples,
        "epochs": arguments.epochs,
        "learning_rate": None if side == DEFAULT else arguments.learning_rate,
    }
    return json.dumps(cell)


def report(arguments: argparse.Namespace, name: str, cells: dict[str, dict]) -> dict:
    """Mean, standard deviation and values over the seeds, and our lead over theirs."""
    result: dict = {"metric": RECIPES[name].metric}
    for side in (THEIRS, EQUAL, DEFAULT):
        seeds = range(arguments.seeds)
        of_seeds = [cells[key_of(arguments, name, side, seed)] for seed in seeds]
        for which in ("last", "best"):
            values = [epochs[which] for epochs in of_seeds]
            std = statistics.stdev(values) if len(values) > 1 else 0.0
            summary = {"mean": statistics.fmean(values), "std": std, "values": values}
            result.setdefault(side, {})[f"{which}_epoch"] = summary
    theirs, equal, default = (result[side] for side in (THEIRS, EQUAL, DEFAULT))
    last = theirs["last_epoch"]["mean"]
    result["equal_ahead_by"] = equal["last_epoch"]["mean"] - last
    result["default_ahead_by"] = default["best_epoch"]["mean"] - last
    best = theirs["best_epoch"]["mean"]
    result["default_ahead_of_their_best_epoch_by"] = default["best_epoch"]["mean"] - best
    return result


def measure(
    data: Path,
    name: str,
    side: str,
    seed: int,
    checkpoint: str,
    examples: int | None,
    epochs: int | None,
    learning_rate: float | None,
) -> dict:
    """Compute one cell: the metric after the last epoch and after the best one."""
    recipe = RECIPES[name]
    folder = checkpoint_folder(checkpoint)
    with tempfile.TemporaryDirectory() as work:
        most = [count for count in (examples, recipe.examples) if count is not None]
        train = write_sample(
            data / recipe.train, Path(work, "train"), min(most, default=None), seed
        )
        # A few examples may lack a label that the validation file has.
        is_trial = examples is not None
        validation = train if is_trial else data / recipe.validation
        if side == DEFAULT:
            return fine_tune(recipe, folder, train, validation, Path(work), seed, epochs=epochs)
        epochs, learning_rate = epochs or recipe.epochs, learning_rate or recipe.learning_rate
        if side == EQUAL:
            is_windowed = recipe.task == "question-answering"
            return fine_tune(
                recipe,
                folder,
                train,
                validation,
                Path(work),
                seed,
                epochs=epochs,
                batch_size=recipe.batch_size,
                learning_rate=learning_rate,
                max_length=recipe.max_length,
                doc_stride=128 if is_windowed else None,
                warmup=0.0,
                weight_decay=0.0,
            )
        from finetune_with_trainer import fine_tune_with_trainer

        values = fine_tune_with_trainer(
            recipe.task,
            folder,
            train,
            validation,
            metric=recipe.metric,
            epochs=epochs,
            batch_size=recipe.batch_size,
            learning_rate=learning_rate,
            max_length=recipe.max_length,
            seed=seed,
        )
        return {"last": values[-1], "best": max(values)}


def fine_tune(
    recipe: Recipe, checkpoint: Path, train: Path, validation: Path, work: Path, seed: int, **how
) -> dict:
    """Fine-tune with selfsup, with these settings and the defaults of all others."""
    from selfsup.finetuning.run import finetune
    from selfsup.settings.finetune import FinetuneSettings

    settings = FinetuneSettings(
        task=recipe.task,
        encoder=str(checkpoint),
        train=str(train),
        validation=str(validation),
        out=str(work / "run"),
        seed=seed,
        **how,
    )
    summary = finetune(settings)
    lines = (work / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    last = json.loads(lines[-1])["validation"][recipe.metric]
    return {"last": last, "best": summary["metrics"][recipe.metric]["mean"]}


def write_sample(source: Path, target: Path, count: int | None, seed: int) -> Path:
    """Write ``count`` examples, chosen by the seed, to a file; all of them if None."""
    target = target.with_suffix(source.suffix)
    if count is None:
        target.write_bytes(source.read_bytes())
        return target
    text = source.read_text(encoding="utf-8")
    if source.suffix == ".json":
        squad = json.loads(text)
        questions = [qa["id"] for _, qa in questions_of(squad)]
        chosen = set(chosen_of(questions, count, seed))
        for paragraph, _ in list(questions_of(squad)):
            paragraph["qas"] = [qa for qa in paragraph["qas"] if qa["id"] in chosen]
        target.write_text(json.dumps(squad), encoding="utf-8")
    elif source.suffix == ".conll":
        sentences = [part for part in text.split("\n\n") if part.strip()]
        target.write_text("\n\n".join(chosen_of(sentences, count, seed)) + "\n", encoding="utf-8")
    else:
        header, *rows = text.splitlines()
        lines = [header, *chosen_of(rows, count, seed)]
        target.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return target


def chosen_of(examples: list[str], count: int, seed: int) -> list[str]:
    return random.Random(seed).sample(examples, min(count, len(examples)))


def questions_of(squad: dict):
    """Yield each question as (paragraph, question)."""
    for article in squad["data"]:
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                yield paragraph, question


if __name__ == "__main__":
    main()
