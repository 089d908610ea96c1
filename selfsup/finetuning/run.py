"""``selfsup finetune``: teach an encoder a task, with one seed or several.

Defaults for epochs and learning rates are those that work on few labels.
"""

import dataclasses
import math
import shutil
import time
from pathlib import Path
from typing import Any, cast

import numpy as np

from selfsup.atomic_files import locked
from selfsup.encoder.config import EncoderConfig, VitConfig
from selfsup.encoder.huggingface.folder import MODEL_IN_RUN
from selfsup.errors import UserError
from selfsup.finetuning.checkpoints import FinetuneCheckpoints
from selfsup.finetuning.compact_embedding import compact_word_embeddings
from selfsup.finetuning.data import FrozenFeatures, TaskData, encode_task_data, read_task_files
from selfsup.finetuning.layer_rules import check_layers, layer_table, notes_on_unfreezing
from selfsup.finetuning.progress import EndedSeeds
from selfsup.finetuning.setup import reinitialize_top
from selfsup.finetuning.starting_point import StartingPoint, find_starting_point
from selfsup.finetuning.summary import summarize
from selfsup.finetuning.training_run import FinetuneLog, train_with_seed
from selfsup.inference.predictions_file import write_predictions
from selfsup.inference.scoring import map_batches
from selfsup.interruption import saying_how_to_go_on
from selfsup.progress import ProgressDisplay
from selfsup.runs import CHECKPOINTS, METRICS, SETTINGS, VALIDATION_PREDICTIONS
from selfsup.runs.folder import (
    MetricsFile,
    begin_run,
    check_free,
    check_stopped,
    how_to_go_on,
    write_summary,
)
from selfsup.runs.model_cards import task_model_card
from selfsup.settings.finetune import FinetuneSettings, ResolvedFinetuneSettings
from selfsup.settings.pretrain import ResumeSettings
from selfsup.settings.yaml_file import from_yaml
from selfsup.tasks.base import Reading, Task, Units, Windows
from selfsup.tasks.held_out import hold_out
from selfsup.tasks.labels import LabelKind
from selfsup.tasks.models import TaskModule
from selfsup.tasks.registry import TASKS, save_task_model
from selfsup.training.compute import Compute, choose_compute

# Small data sets need many steps: a run that trains until its loss is near 0 fails less often than
# a short one (Mosbach et al. 2021, "On the Stability of Fine-tuning BERT", §6).
_MIN_STEPS = 600
_MIN_EPOCHS, _MAX_EPOCHS = 3, 20
# For a head over a frozen encoder: it starts from random weights, and a high rate cannot damage
# pre-trained ones (docs/log.md).
_HEAD_ONLY_RATE = 2e-3


def default_epochs(examples: int, batch_size: int, *, frozen: bool) -> int:
    """Number of epochs that gives some hundreds of steps.

    Over a ``frozen`` encoder epochs are cheap: its output for each example is computed only once.
    """
    if frozen:
        return _MAX_EPOCHS
    steps_per_epoch = max(1, math.ceil(examples / batch_size))
    return min(_MAX_EPOCHS, max(_MIN_EPOCHS, math.ceil(_MIN_STEPS / steps_per_epoch)))


def default_learning_rate(config: EncoderConfig | VitConfig, *, frozen: bool) -> float:
    """The highest learning rate for an encoder's width: small encoders need a higher one.

    3e-5 at BERT-base's width of 768 (its paper, appendix A.3), and inversely proportional to the
    square of the width below that. A head over a frozen encoder has another rate.
    """
    if frozen:
        return _HEAD_ONLY_RATE
    return min(5e-4, 3e-5 * (768 / config.hidden_size) ** 2)


def finetune(settings: FinetuneSettings, display: ProgressDisplay | None = None) -> dict[str, Any]:
    """Fine-tune, and write the run: settings, metrics, summary, best model and its predictions.

    Args:
        settings: what to learn and how.
        display: shows the progress; None to make a new one.

    Returns:
        the summary, with the run's folder as ``out``; with ``--print-layers`` only a table of the
        layers.

    Raises:
        UserError: the data, the model or a flag is wrong (nothing is written then), or every seed
            diverged.
    """
    if not settings.print_layers:
        check_free(settings.out)
    with saying_how_to_go_on(lambda: how_to_go_on(settings.out)):
        return _run(settings, display, is_resumed=False)


def resume(settings: ResumeSettings) -> dict[str, Any]:
    """Continue a run from its last checkpoint, as its ``run.yaml`` says; returns the summary.

    Raises:
        UserError: it has ended, its ``run.yaml`` lacks a line, or its data have changed.
    """
    run = Path(settings.run)
    check_stopped(run)
    written = from_yaml(ResolvedFinetuneSettings, run / SETTINGS, "finetune")
    written = dataclasses.replace(written, out=str(run))  # it may have been moved
    with saying_how_to_go_on(lambda: how_to_go_on(run)):
        return _run(written, None, is_resumed=True)


def _run(
    settings: FinetuneSettings, display: ProgressDisplay | None, is_resumed: bool
) -> dict[str, Any]:
    """Read the data and the encoder, train, and write the results."""
    started = time.perf_counter()
    compute = choose_compute(settings.device, settings.precision, settings.threads)
    task = TASKS[settings.task]
    with display or ProgressDisplay("finetune") as display:
        share, label_type = settings.validation_share, cast(LabelKind | None, settings.label_type)
        if share is not None and Path(settings.validation).exists():
            display.message(
                f"--validation {settings.validation} is a share of {settings.train}: the file of "
                f"this name is ./{settings.validation}"
            )
        reading = Reading.of(settings)
        if share is None:
            train, validation = read_task_files(task, settings.train, settings.validation, reading)
        else:
            examples = task.read_examples(settings.train, reading, labelled=True).drop_empty()
            train, validation, label_type = hold_out(
                task, examples, label_type, share, settings.seed
            )
        start = find_starting_point(settings, task, train)
        check_layers(
            settings, start.config.num_hidden_layers, start.name, new=not start.is_pretrained
        )
        data = encode_task_data(task, train, validation, label_type, start.preparation)
        resolved = with_defaults(settings, start, data)
        notes = [*data.notes, *start.notes(task), describe(resolved, start, data)]
        notes += notes_on_unfreezing(resolved, start.config.num_hidden_layers)
        for note in dict.fromkeys(notes):  # the two files may be one
            display.message(note)
        if resolved.print_layers:
            return layer_table(resolved, start.build_model(task, data.labels, resolved.seed))

        run = Path(resolved.out) if is_resumed else check_free(resolved.out)
        with locked(run):
            if is_resumed:
                check_stopped(run)
            else:
                begin_run(run, "finetune", resolved)
            checkpoints = FinetuneCheckpoints(run, resolved, task, start, data, started)
            if checkpoints.place:
                display.message(f"Going on from {checkpoints.place} of {run}")
            metrics = MetricsFile(run / METRICS, checkpoints.is_logged)
            seeds = range(resolved.seed, resolved.seed + resolved.seeds)
            log = FinetuneLog(metrics, display, seeds, checkpoints.seconds_before)
            ended = train_seeds(seeds, resolved, task, start, data, compute, log, checkpoints)
            assert ended.kept is not None
            model, best = ended.kept
            summary = summarize(resolved, task, data, ended.runs)
            if share is not None:
                summary |= {"validation_share": share, "validation_seed": resolved.seed}
            seconds = checkpoints.seconds_before + time.perf_counter() - started
            summary["seconds"] = round(seconds, 1)
            card = task_model_card(
                resolved, task, start.name, start.config.model_type, best.labels, summary
            )
            examples, encoded = data.validation.examples, data.validation.encoded
            answers = task.decode(best.scores, encoded, examples, best.labels)
            records = task.records(examples, answers)
            write_predictions(run / VALIDATION_PREDICTIONS, records, named_by_user=False)
            save_task_model(run / MODEL_IN_RUN, task, model, best.labels, start.preparation, card)
            write_summary(run, summary)
            shutil.rmtree(run / CHECKPOINTS, ignore_errors=True)
    return {**summary, "out": str(run)}


def with_defaults(
    settings: FinetuneSettings, start: StartingPoint, data: TaskData
) -> ResolvedFinetuneSettings:
    """The settings with a value for all that depends on the data and the encoder."""
    units = len(data.train.encoded.units)
    frozen = settings.freeze == "encoder"
    epochs = settings.epochs or default_epochs(units, settings.batch_size, frozen=frozen)
    rate = settings.learning_rate or default_learning_rate(start.config, frozen=frozen)
    chosen = {
        "dropout": start.config.hidden_dropout_prob,
        "epochs": epochs,
        "learning_rate": rate,
        "head_learning_rate": settings.head_learning_rate or rate,
    }
    return ResolvedFinetuneSettings(**vars(settings) | start.preparation.settings() | chosen)


def describe(settings: ResolvedFinetuneSettings, start: StartingPoint, data: TaskData) -> str:
    """One line about the run, shown before it starts."""
    how = "pre-trained" if start.is_pretrained else "from random weights"
    labels = "" if data.labels.kind in ("number", "none") else f" of {len(data.labels)} labels"
    return (
        f"{start.name}, {how}: {len(data.train):,} examples{labels}, "
        f"{len(data.validation):,} to validate; epochs {settings.epochs}, learning rate "
        f"{settings.learning_rate:.2g}, of the head {settings.head_learning_rate:.2g}"
    )


def train_seeds(
    seeds: range,
    settings: ResolvedFinetuneSettings,
    task: Task,
    start: StartingPoint,
    data: TaskData,
    compute: Compute,
    log: FinetuneLog,
    checkpoints: FinetuneCheckpoints,
) -> EndedSeeds:
    """Train once for each seed that has not ended before the run was stopped.

    Returns:
        the run of each seed, and the best model.

    Raises:
        UserError: every seed diverged.
    """
    ended, has_features = checkpoints.ended, False
    units: Units = data.train.encoded.units
    windows: Windows = data.validation.encoded.windows
    for seed in seeds:
        if seed in ended.runs:
            continue
        model = start.build_model(task, data.labels, seed)
        if settings.reinit_layers:
            reinitialize_top(model.encoder, settings.reinit_layers, seed)
        model.to(compute.device)
        # The output of a frozen pre-trained encoder is the same for every seed.
        if settings.freeze == "encoder" and not (has_features and start.is_pretrained):
            train, validation = data.train.encoded, data.validation.encoded
            units = with_features(model, train.units, train.windows, compute)
            windows = with_features(model, validation.windows, validation.windows, compute)
            has_features = True
        with compact_word_embeddings(settings, task, model, units):
            run = train_with_seed(
                settings, task, model, data, units, windows, seed, compute, log, checkpoints
            )
        ended.add(seed, run, model, task)
    if ended.kept is None:
        raise UserError(
            f"the loss grew past all numbers: give a lower --learning-rate than "
            f"{settings.learning_rate:.2g}"
        )
    return ended


def with_features(
    model: TaskModule, units: Units, windows: Windows, compute: Compute
) -> FrozenFeatures:
    """Units or windows whose batches hold the encoder's output for them instead of tokens."""
    features = map_batches(model, model.features, windows, compute)
    return FrozenFeatures(units, features, np.asarray(windows.row_counts))
