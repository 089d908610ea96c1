"""``selfsup finetune``: teach an encoder a task, with one seed or several.

Reads the labelled files, finds the starting point, trains once per seed and writes the run folder.
Defaults for epochs and learning rates are those that work on few labels.
"""

import math
import time
from contextlib import closing
from typing import Any, cast

import numpy as np

from selfsup.atomic_files import alone_in
from selfsup.encoder.config import EncoderConfig, VitConfig
from selfsup.encoder.huggingface.folder import MODEL_IN_RUN
from selfsup.errors import UserError
from selfsup.finetuning.batches import FrozenFeatures
from selfsup.finetuning.compact_embedding import compact_word_embeddings
from selfsup.finetuning.data import TaskData, encode_task_data, read_task_files
from selfsup.finetuning.layer_rules import check_layers, layer_table, note_on_unfreezing
from selfsup.finetuning.setup import prepare_finetuning, reinitialize_top
from selfsup.finetuning.starting_point import StartingPoint, find_starting_point
from selfsup.finetuning.summary import FinetuneLog, summarize
from selfsup.finetuning.training_run import (
    EpochReport,
    SeedRun,
    selection_key,
    train_with_seed,
)
from selfsup.inference.predictions_file import write_predictions
from selfsup.inference.scoring import map_batches
from selfsup.progress import ProgressDisplay
from selfsup.runs import METRICS, VALIDATION_PREDICTIONS
from selfsup.runs.folder import MetricsFile, begin_run, check_free, write_summary
from selfsup.runs.model_cards import task_model_card
from selfsup.settings import FinetuneSettings
from selfsup.settings.finetune import ResolvedFinetuneSettings
from selfsup.tasks.base import Reading, Task, Units, Windows
from selfsup.tasks.labels import LabelKind
from selfsup.tasks.models import TaskModule
from selfsup.tasks.registry import TASKS, save_task_model
from selfsup.training.compute import Compute, choose_compute
from selfsup.training.loop import StepSettings

# Small data sets need many steps: a run that trains until its loss is near 0 fails less often than
# a short one (Mosbach et al. 2021, "On the Stability of Fine-tuning BERT", §6).
_MIN_STEPS = 600
_MIN_EPOCHS, _MAX_EPOCHS = 3, 20
# For a head over a frozen encoder: it starts from random weights, and a high rate cannot damage
# pre-trained ones (docs/log.md).
_HEAD_ONLY_RATE = 2e-3


def default_epochs(examples: int, batch_size: int, *, frozen: bool) -> int:
    """Number of epochs that gives some hundreds of steps.

    Args:
        examples: number of training examples.
        batch_size: examples in a training batch.
        frozen: whether the whole encoder is frozen. Its output for each example is then computed
            only once, and epochs are cheap.
    """
    if frozen:
        return _MAX_EPOCHS
    steps_per_epoch = max(1, math.ceil(examples / batch_size))
    wanted = math.ceil(_MIN_STEPS / steps_per_epoch)
    return min(_MAX_EPOCHS, max(_MIN_EPOCHS, wanted))


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
    started = time.perf_counter()
    if not settings.print_layers:
        check_free(settings.out)
    compute = choose_compute(settings.device, settings.precision, settings.threads)
    task = TASKS[settings.task]
    with display or ProgressDisplay("finetune") as display:
        train, validation = read_task_files(
            task, settings.train, settings.validation, Reading.of(settings)
        )
        start = find_starting_point(settings, task, train)
        check_flags(settings, start)
        label_type = cast(LabelKind | None, settings.label_type)
        data = encode_task_data(task, train, validation, label_type, start.preparation)
        resolved = with_defaults(settings, start, data)
        notes = [*data.notes, *start.notes(task), describe(resolved, start, data)]
        late = note_on_unfreezing(resolved, start.config.num_hidden_layers)
        for note in (*notes, *([late] if late else [])):
            display.message(note)
        if resolved.print_layers:
            return layer_table(resolved, start.build_model(task, data.labels, resolved.seed))

        with alone_in(check_free(resolved.out)):
            run = begin_run(resolved.out, "finetune", resolved)
            with closing(MetricsFile(run / METRICS)) as metrics:
                log = FinetuneLog(metrics, display, resolved.seeds)
                runs, model, best = train_seeds(resolved, task, start, data, compute, log)
            summary = summarize(resolved, task, data, runs)
            if summary["failed_seeds"]:
                failed = ", ".join(map(str, summary["failed_seeds"]))
                display.message(
                    "seeds that failed to learn, no better than the same answer for every "
                    f"example: {failed}: `selfsup doctor {run}` says more"
                )
            summary["seconds"] = round(time.perf_counter() - started, 1)
            card = task_model_card(resolved, task, start.name, best.labels, summary)
            examples, encoded = data.validation.examples, data.validation.encoded
            answers = task.decode(best.scores, encoded, examples, best.labels)
            write_predictions(run / VALIDATION_PREDICTIONS, task.records(examples, answers))
            # After everything else, since a folder with a model is never overwritten.
            save_task_model(run / MODEL_IN_RUN, task, model, best.labels, start.preparation, card)
            write_summary(run, summary)
    return {**summary, "out": str(run)}


def check_flags(settings: FinetuneSettings, start: StartingPoint) -> None:
    """Check that the flags fit the encoder.

    Raises:
        UserError: the flags name more layers than it has, or re-initialise layers of an encoder
            that is not pre-trained.
    """
    check_layers(settings, start.config.num_hidden_layers, start.name)
    if settings.reinit_layers and not start.is_pretrained:
        raise UserError(
            f"--reinit-layers {settings.reinit_layers}: all of {start.name} is new; leave it out"
        )


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
    settings: ResolvedFinetuneSettings,
    task: Task,
    start: StartingPoint,
    data: TaskData,
    compute: Compute,
    log: FinetuneLog,
) -> tuple[dict[int, SeedRun], TaskModule, EpochReport]:
    """Train once for each seed.

    Returns:
        the run of each seed, the best model, and its best epoch.

    Raises:
        UserError: every seed diverged.
    """
    runs: dict[int, SeedRun] = {}
    best: tuple[TaskModule, EpochReport] | None = None
    units: Units = data.train.encoded.units
    windows: Windows = data.validation.encoded.windows
    for seed in range(settings.seed, settings.seed + settings.seeds):
        model = start.build_model(task, data.labels, seed)
        if settings.reinit_layers:
            reinitialize_top(model.encoder, settings.reinit_layers, seed)
        model.to(compute.device)
        # The output of a frozen pre-trained encoder is the same for every seed.
        if settings.freeze == "encoder" and (seed == settings.seed or not start.is_pretrained):
            train, validation = data.train.encoded, data.validation.encoded
            units = with_features(model, train.units, train.windows, compute)
            windows = with_features(model, validation.windows, validation.windows, compute)
        run = train_seed(settings, task, model, data, units, windows, seed, compute, log)
        runs[seed] = run
        if run.best is not None and (
            best is None or selection_key(run.best, task) > selection_key(best[1], task)
        ):
            best = model, run.best
    if best is None:
        raise UserError(
            f"the loss grew past all numbers: give a lower --learning-rate than "
            f"{settings.learning_rate:.2g}"
        )
    return runs, *best


def with_features(
    model: TaskModule, units: Units, windows: Windows, compute: Compute
) -> FrozenFeatures:
    """Units or windows whose batches hold the encoder's output for them instead of tokens."""
    features = map_batches(model, model.features, windows, compute)
    return FrozenFeatures(units, features, np.asarray(windows.row_counts))


def train_seed(
    settings: ResolvedFinetuneSettings,
    task: Task,
    model: TaskModule,
    data: TaskData,
    units: Units,
    windows: Windows,
    seed: int,
    compute: Compute,
    log: FinetuneLog,
) -> SeedRun:
    """Train a model with one seed, and leave it with the weights of its best epoch."""
    features = units.features if isinstance(units, FrozenFeatures) else None
    with compact_word_embeddings(settings, task, model, units):
        setup = prepare_finetuning(settings, model, features)
        return train_with_seed(
            setup,
            task,
            data,
            units,
            windows,
            settings.epochs,
            settings.batch_size,
            StepSettings("linear", settings.warmup, settings.gradient_clip, 1, seed),
            compute,
            log.of_step(seed),
            log.of_epoch(seed),
        )
