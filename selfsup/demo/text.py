"""``selfsup demo``: what pre-training is worth, shown in minutes on text that is already here.

Expected on two cores of a laptop: see docs/results.md.

    selfsup demo --out runs/demo --minutes 5
"""

import json
import time
from pathlib import Path
from typing import Any

from selfsup.atomic_files import replacing
from selfsup.demo.runs import (
    DATA,
    PRETRAIN,
    REPORT,
    Trial,
    accuracies_in_test,
    demo_folder,
    machine_flags,
    say,
    seeds_of,
    with_defaults,
)
from selfsup.demo.task import (
    TEST,
    TRAIN,
    VALIDATION,
    Division,
    Example,
    divide,
    installed_documents,
)
from selfsup.encoder.huggingface.folder import MODEL_IN_RUN
from selfsup.inference.fill_mask import fill_mask
from selfsup.pretraining.run import pretrain
from selfsup.progress import format_seconds
from selfsup.report.page import write_report
from selfsup.report.sections.demo import TEXT_WAYS
from selfsup.runs.folder import write_summary
from selfsup.settings import DemoSettings, EvaluateSettings, FinetuneSettings, PretrainSettings
from selfsup.training.compute import choose_compute

ENCODER = "bert-mini"
# Random weights want a higher rate than the default for so few steps; the pre-trained do not mind.
LEARNING_RATE = 5e-4
# And longer: for the first five epochs they stay at chance.
EPOCHS, EPOCHS_FROM_SCRATCH = 12, 20
# Some 170 documents: measuring with more would take a sixth of the time of training.
HELD_OUT = 0.005
MASKED = (
    "Returns a [MASK] of the same shape as the input.",
    "The number of [MASK] in the graph.",
    "axis : [MASK], optional. The default is None.",
    "Whether or not to [MASK] the input.",
)
_TASK = "sequence-classification"
_LABEL, _TEXT, _NAME = "label", "text", "name"


def demo(settings: DemoSettings) -> dict[str, Any]:
    """Read the documentation here, pre-train on most of it, and learn a task three ways.

    Returns:
        the summary: for ``pretrained``, ``frozen`` and ``scratch`` the ``accuracy`` on test
        examples (mean, standard deviation and values over the seeds), ``pretraining`` (its
        summary), ``fill_mask``, ``task`` (its sizes), ``seconds``, ``out`` and ``report``.

    Raises:
        UserError: too little documentation is installed, or the folder holds something else.
    """
    settings = with_defaults(settings)
    choose_compute(settings.device, settings.precision, settings.threads)  # what is wrong, now
    with demo_folder(settings) as run:
        return _demo(settings, run)


def _demo(settings: DemoSettings, run: Path) -> dict[str, Any]:
    started = time.perf_counter()
    assert settings.minutes is not None
    say("1/5 Reading the documentation of the Python packages on this machine: text without any "
         "labels, which is what pre-training learns from")  # fmt: skip
    division = divide(installed_documents(settings.workers), settings.seed)
    task = _describe(division)
    say(
        f"2/5 Setting a task aside in {run / DATA}: which of {len(task['labels'])} libraries does "
        f"a description come from? {task['train_examples']} labelled examples to learn from, "
        f"{task['test_examples']} to test with; their files take no part in pre-training"
    )
    _write_data(run / DATA, division)

    say(
        f"3/5 Pre-training {ENCODER} for {format_seconds(60 * settings.minutes)} on the other "
        f"{task['pretraining_documents']:,} descriptions: some words are hidden, and it learns to "
        "guess them"
    )
    pretraining = pretrain(_pretraining(settings, run))

    say(
        f"4/5 Learning the task in three ways, {settings.seeds} times each: from the pre-trained "
        "encoder, from that encoder kept as it is (frozen), and from random weights"
    )
    trials = {
        way: [_trial(way, name, seed, settings, run) for seed in seeds_of(settings)]
        for way, name, _ in TEXT_WAYS
    }
    scores = accuracies_in_test(trials, settings)

    say("5/5 Filling in masks, and writing the report")
    summary = {
        **scores,
        "pretraining": pretraining,
        "fill_mask": [mask for text in MASKED for mask in fill_mask(run / PRETRAIN, text)],
        "task": task,
        "seconds": round(time.perf_counter() - started, 1),
    }
    write_summary(run, summary)
    write_report([run], run / REPORT)
    return {**summary, "out": str(run), "report": str(run / REPORT)}


def _describe(division: Division) -> dict[str, Any]:
    return {
        "labels": list(division.labels),
        "train_examples": len(division.examples[TRAIN]),
        "validation_examples": len(division.examples[VALIDATION]),
        "test_examples": len(division.examples[TEST]),
        "pretraining_documents": len(division.pretraining),
        "documents_left_out": division.left_out,
    }


def _write_data(folder: Path, division: Division) -> None:
    """The files that the later stages read, and that a person may look at."""
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / "pretraining.jsonl") as file:
        for document in division.pretraining:
            line = {"id": document.id, "text": document.text}
            file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
    for part, examples in division.examples.items():
        with replacing(folder / f"{part}.tsv") as file:
            file.write(_row(_LABEL, _TEXT, _NAME))
            file.writelines(map(_row_of, examples))


def _row_of(example: Example) -> bytes:
    return _row(example.label, example.text, example.name)


def _row(*fields: str) -> bytes:
    return ("\t".join(fields) + "\n").encode()


def _pretraining(settings: DemoSettings, run: Path) -> PretrainSettings:
    return PretrainSettings(
        data=(str(run / DATA / "pretraining.jsonl"),),
        out=str(run / PRETRAIN),
        encoder=ENCODER,
        budget=f"{settings.minutes:g}m",
        held_out_fraction=HELD_OUT,
        language="en",
        seed=settings.seed,
        workers=settings.workers,
        **machine_flags(settings),
    )


def _trial(way: str, name: str, seed: int, settings: DemoSettings, run: Path) -> Trial:
    finetuning = _finetuning(way, seed, settings, run)
    return Trial(f"{name}, seed {seed}", finetuning, _evaluation(finetuning.out, settings, run))


def _finetuning(way: str, seed: int, settings: DemoSettings, run: Path) -> FinetuneSettings:
    starts: dict[str, dict[str, Any]] = {
        "pretrained": {
            "encoder": str(run / PRETRAIN),
            "learning_rate": LEARNING_RATE,
            "epochs": EPOCHS,
        },
        "frozen": {"encoder": str(run / PRETRAIN), "freeze": "encoder"},
        "scratch": {
            "encoder": ENCODER,
            "tokenizer": str(run / PRETRAIN / MODEL_IN_RUN),
            "learning_rate": LEARNING_RATE,
            "epochs": EPOCHS_FROM_SCRATCH,
        },
    }
    return FinetuneSettings(
        task=_TASK,
        train=str(run / DATA / f"{TRAIN}.tsv"),
        validation=str(run / DATA / f"{VALIDATION}.tsv"),
        text_column=_TEXT,
        label_column=_LABEL,
        out=str(run / way / f"seed-{seed}"),
        seed=seed,
        **machine_flags(settings),
        **starts[way],
    )


def _evaluation(model: str, settings: DemoSettings, run: Path) -> EvaluateSettings:
    return EvaluateSettings(
        model=model,
        data=str(run / DATA / f"{TEST}.tsv"),
        text_column=_TEXT,
        label_column=_LABEL,
        **machine_flags(settings),
    )
