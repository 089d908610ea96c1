"""What can be wrong with a run: it has not ended, a file is missing, or it has learned nothing."""

import itertools
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from selfsup.demo.run import PRETRAIN
from selfsup.doctor import Problem
from selfsup.doctor.unlabelled import pair_problems, unknown_problems
from selfsup.encoder.huggingface.folder import MODEL_IN_RUN
from selfsup.errors import UserError
from selfsup.pretraining.text.data import SHARDS
from selfsup.report.formatting import is_number
from selfsup.report.verdict import failures
from selfsup.runs import CHECKPOINTS
from selfsup.runs.reading import Run, read_run
from selfsup.shards.folder import MANIFEST_FILE, first_damage, read_manifest
from selfsup.shards.tokens import TOKEN_SHARDS, Shards, open_shards
from selfsup.training.checkpoint import latest_checkpoint, step_of

_NOT_ENDED = "has not ended (or is still running)"
_MODEL_FILES = ("config.json", "model.safetensors")
_TOKENIZER, _IMAGE_PROCESSOR = "tokenizer.json", "preprocessor_config.json"
_OLD_TOKENIZER = "vocab.txt"
# A model that uses the context has a loss this far below that of word frequencies, in nats per
# masked token.
_MIN_GAIN = 0.3
# What is looked at where a run has this key.
_RESULTS = {
    "loss": "training loss",
    "train_loss": "training loss",
    "unigram_loss": "held-out loss",
    "nsp_accuracy": "next-sentence accuracy",
    "jigsaw_accuracy": "jigsaw accuracy",
    "mean_colour_error": "error of missing pixels",
    "failed_seeds": "each seed beside a constant answer",
}
_MAX_RISE = 0.3  # by which the training loss may rise again by chance, in nats
_MIN_NEXT_SENTENCE_ACCURACY = 0.55
_MIN_TIMES_CHANCE = 2  # of the jigsaw's accuracy


def run_kind(folder: Path) -> str:
    """The kind of run, in words."""
    kinds = {"pretrain": "a pre-training run", "finetune": "a fine-tuning run", "demo": "a demo"}
    return kinds.get(read_run(folder).kind, "a run")


def examined(folder: Path) -> list[str]:
    """What ``run_problems`` looks at in this run."""
    runs = [read_run(part) for part in (folder, *_demo_pretrainings(folder))]
    logged = {
        key
        for run in runs
        for line in (*run.metrics, run.summary)
        for key, value in line.items()
        if value is not None
    }
    return ["files of the run", *(name for key, name in _RESULTS.items() if key in logged)]


def run_problems(folder: Path) -> Iterator[Problem]:
    """Check a run's files, then its losses and scores."""
    run = read_run(folder)
    has_ended = (folder / "summary.json").exists()
    for note in run.notes:
        if has_ended or "has not ended" not in note:
            yield Problem(note, "run the command again, or fix the file")
    if not (folder / "run.yaml").exists():
        yield Problem(
            f"{folder / 'run.yaml'} is missing: the settings of this run are unknown",
            "put it back if there is a copy; a stopped run cannot be resumed without it",
        )
    if run.kind == "unknown":
        return
    if not has_ended:
        yield _unfinished(run)
    elif run.kind != "demo":
        yield from _missing_files(run)
    if run.kind == "pretrain":
        yield from _pretraining_problems(run)
    elif run.kind == "finetune":
        yield from _finetuning_problems(run)
    elif run.kind == "demo":
        for pretraining in _demo_pretrainings(folder):
            yield from run_problems(pretraining)


def _demo_pretrainings(folder: Path) -> list[Path]:
    """The runs inside a demo's folder; the demo with images has several."""
    return [file.parent for file in sorted(folder.glob(f"{PRETRAIN}*/run.yaml"))]


def _unfinished(run: Run) -> Problem:
    if run.kind == "demo":
        return Problem(f"{run.folder}: this demo {_NOT_ENDED}", "run selfsup demo again")
    checkpoint = latest_checkpoint(run.folder / CHECKPOINTS)
    if checkpoint is None:
        return Problem(
            f"{run.folder}: this run {_NOT_ENDED}, and nothing of it was saved yet",
            f"selfsup resume {run.folder} starts it again",
        )
    return Problem(
        f"{run.folder}: this run {_NOT_ENDED}; it was saved at step {step_of(checkpoint):,}",
        f"selfsup resume {run.folder}",
    )


def _missing_files(run: Run) -> Iterator[Problem]:
    folder = run.folder
    settings = run.settings
    on_images = settings.get("image_size") or settings.get("task") == "image-classification"
    model = folder / MODEL_IN_RUN
    tokenizer = _OLD_TOKENIZER if (model / _OLD_TOKENIZER).exists() else _TOKENIZER
    for name in (*_MODEL_FILES, _IMAGE_PROCESSOR if on_images else tokenizer):
        if not (model / name).exists():
            yield Problem(
                f"{model / name} is missing",
                "copy the whole run folder again, or run the command again in another one",
            )
    if not (folder / "metrics.jsonl").exists():
        yield Problem(
            f"{folder / 'metrics.jsonl'} is missing: a report has no curves to show",
            "copy the whole run folder again; the model itself is not affected",
        )


def _pretraining_problems(run: Run) -> Iterator[Problem]:
    yield from _training_loss_problems(run)
    if ((shards := run.folder / SHARDS) / MANIFEST_FILE).exists():
        manifest = read_manifest(shards, TOKEN_SHARDS)
        if damage := first_damage(shards, manifest["shards"]):
            yield Problem(damage, "this harms no model that is finished; to train on, start again")
        yield from unknown_problems(manifest)
    summary = run.summary
    loss, unigram = summary.get("mlm_loss"), summary.get("unigram_loss")
    if is_number(loss) and is_number(unigram) and loss > unigram - _MIN_GAIN:
        structured = (
            "" if run.settings.get("start") == "structured" else ", or with --start structured"
        )
        yield Problem(
            f"the held-out loss, {loss:.2f}, is that of guessing by word frequency "
            f"({unigram:.2f}): the model does not use the context yet",
            f"train longer (--budget), on more text{structured}",
        )
    accuracy = summary.get("nsp_accuracy")
    if is_number(accuracy) and accuracy < _MIN_NEXT_SENTENCE_ACCURACY:
        yield Problem(
            f"next sentences are recognised {accuracy:.0%} of the time, where chance gives 50%",
            "train longer; if documents hold unrelated sentences, --objectives mlm",
        )
    if is_number(accuracy) and (shards := _shards_of(run)) is not None:
        yield from pair_problems(shards, accuracy)
    right, chance = summary.get("jigsaw_accuracy"), summary.get("jigsaw_chance")
    if is_number(right) and is_number(chance) and right < _MIN_TIMES_CHANCE * chance:
        yield Problem(
            f"{right:.1%} of the tiles are put right, where chance gives {chance:.1%}",
            "train longer (--budget), on more images, or with larger patches (--patch-size)",
        )
    error, level = summary.get("inpainting_pixel_error"), summary.get("mean_colour_error")
    if is_number(error) and is_number(level) and error >= level:
        yield Problem(
            f"the error of the missing pixels, {error:.4f}, is no less than that of the mean "
            f"colour ({level:.4f})",
            "train longer (--budget), on more images, or with a lower --mask-ratio",
        )


def _shards_of(run: Run) -> Shards | None:
    """The shards in a run's folder, or those that it was given; None if they cannot be opened."""
    for folder in (run.folder / SHARDS, *map(Path, run.settings.get("data") or ())):
        with suppress(UserError):
            return open_shards(folder, verify=True)
    return None


def _training_loss_problems(run: Run) -> Iterator[Problem]:
    losses = [(line.get("step"), line.get("loss")) for line in run.training]
    bad = next((step for step, loss in losses if loss is None or not is_number(loss)), None)
    if bad is not None:
        yield Problem(
            f"the loss is not a number from step {bad} on",
            "start again with a lower --learning-rate, or with --precision float32",
        )
        return
    finite = [(step, loss) for step, loss in losses if is_number(loss)]
    window = len(finite) // 10
    if window < 3:
        return
    sums = [0.0, *itertools.accumulate(loss for _, loss in finite)]
    means = [
        (finite[end - 1][0], (sums[end] - sums[end - window]) / window)
        for end in range(window, len(finite) + 1)
    ]
    lowest_step, lowest = min(means, key=lambda entry: entry[1])
    last_step, last = means[-1]
    if last > lowest + _MAX_RISE:
        yield Problem(
            f"the training loss has risen from {lowest:.2f} at step {lowest_step:,} to {last:.2f} "
            f"at step {last_step:,}",
            "start again with a lower --learning-rate or a longer --warmup",
        )


def _finetuning_problems(run: Run) -> Iterator[Problem]:
    for line in run.epochs:
        if "train_loss" in line and not is_number(line["train_loss"]):
            yield Problem(
                f"the loss of seed {line.get('seed')} is not a number in epoch {line.get('epoch')}",
                "a lower --learning-rate",
            )
            break
    if failed := failures(run.summary):
        yield Problem(
            failed.removesuffix("."),
            "a lower --learning-rate, more --epochs, or more labelled examples",
        )
