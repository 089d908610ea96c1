"""``selfsup demo``: the effect of pre-training, measured in minutes on text that is already here.

How long it takes and what it gives on two cores of a laptop: see docs/results.md.

    selfsup demo --out runs/demo --minutes 5
"""

import json
from pathlib import Path
from typing import Any, ClassVar

from selfsup.atomic_files import replacing
from selfsup.demo.run import DATA, PRETRAIN, TEST, TRAIN, VALIDATION, Recipe
from selfsup.demo.task import Division, divide, library_documents
from selfsup.encoder.huggingface.folder import MODEL_IN_RUN
from selfsup.inference.fill_mask import fill_mask
from selfsup.pretraining.run import pretrain
from selfsup.progress import format_seconds
from selfsup.report.demo import TEXT_WAYS
from selfsup.settings.pretrain import PretrainSettings
from selfsup.terminal import say

ENCODER = "bert-mini"
# Random weights need a higher rate than the default in so few steps; it does not harm the
# pre-trained ones.
LEARNING_RATE = 5e-4
# Random weights also need more epochs: in the first five they stay at chance.
EPOCHS, EPOCHS_FROM_SCRATCH = 12, 20
# About 170 documents: measuring on more would take a sixth of the training time.
HELD_OUT = 0.005
MASKED = (
    "Returns a [MASK] of the same shape as the input.",
    "The number of [MASK] in the graph.",
    "axis : [MASK], optional. The default is None.",
    "Whether or not to [MASK] the input.",
)


class TextDemo(Recipe):
    """Documentation to pre-train on; the task is to tell the libraries apart.

    The summary's ``fill_mask`` holds guesses for the masks in ``MASKED``. There is a ``UserError``
    if too little documentation is installed.
    """

    usual_out, usual_minutes = "runs/demo", 5.0
    task_name, suffix = "sequence-classification", ".tsv"
    columns: ClassVar = {"text_column": "text", "label_column": "label"}
    ways = TEXT_WAYS
    learning_stage = (
        "4/5 Learning the task in three ways, {seeds} times each: from the pre-trained encoder, "
        "from that encoder kept as it is (frozen), and from random weights"
    )
    last_stage = "5/5 Filling in masks, and writing the report"

    def write_data(self) -> dict[str, Any]:
        say("1/5 Reading the documentation of Python and of the libraries that selfsup depends "
             "on: text without any labels, which is what pre-training learns from")  # fmt: skip
        division = divide(library_documents(self.settings.workers), self.settings.seed)
        sizes = {part: len(division.examples[part]) for part in (TRAIN, VALIDATION, TEST)}
        say(
            f"2/5 Setting a task aside in {self.folder / DATA}: which of {len(division.labels)} "
            f"libraries does a description come from? {sizes[TRAIN]} labelled examples to learn "
            f"from, {sizes[TEST]} to test with; their files take no part in pre-training"
        )
        _write_data(self.folder / DATA, division)
        return {
            "labels": list(division.labels),
            **{f"{part}_examples": size for part, size in sizes.items()},
            "pretraining_documents": len(division.pretraining),
            "documents_left_out": division.left_out,
        }

    def pretrain(self, task: dict[str, Any]) -> dict[str, Any]:
        say(
            f"3/5 Pre-training {ENCODER} for {format_seconds(60 * self.minutes)} on the other "
            f"{task['pretraining_documents']:,} descriptions: some words are hidden, and it learns "
            "to guess them"
        )
        return pretrain(
            PretrainSettings(
                data=(str(self.folder / DATA / "pretraining.jsonl"),),
                out=str(self.folder / PRETRAIN),
                encoder=ENCODER,
                budget=f"{self.minutes:g}m",
                held_out_fraction=HELD_OUT,
                language="en",
                seed=self.settings.seed,
                workers=self.settings.workers,
                **self.machine_flags(),
            )
        )

    def start(self, way: str) -> dict[str, Any]:
        pretrained = self.folder / PRETRAIN
        if way == "frozen":
            return {"encoder": str(pretrained), "freeze": "encoder"}
        flags = {"encoder": str(pretrained), "epochs": EPOCHS}
        if way == "scratch":
            tokenizer = str(pretrained / MODEL_IN_RUN)
            flags = {"encoder": ENCODER, "epochs": EPOCHS_FROM_SCRATCH, "tokenizer": tokenizer}
        return flags | {"learning_rate": LEARNING_RATE}

    def samples(self) -> dict[str, Any]:
        run = self.folder / PRETRAIN
        return {"fill_mask": [mask for text in MASKED for mask in fill_mask(run, text)]}


def _write_data(folder: Path, division: Division) -> None:
    """Write the files that the later stages read, and that a person may want to read."""
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / "pretraining.jsonl") as file:
        for document in division.pretraining:
            line = {"id": document.id, "text": document.text}
            file.write(json.dumps(line, ensure_ascii=False, allow_nan=False).encode() + b"\n")
    for part, examples in division.examples.items():
        with replacing(folder / f"{part}.tsv") as file:
            for row in [("label", "text", "name"), *((e.label, e.text, e.name) for e in examples)]:
                file.write(("\t".join(row) + "\n").encode())
