"""How long and how fast to learn a task where the user does not say: what held up on few labels."""

import dataclasses
import math
import time
from contextlib import closing
from typing import Any, cast

import numpy as np

from selfsup.atomic_files import alone_in
from selfsup.encoder.config import EncoderConfig, VitConfig
from selfsup.encoder.huggingface.folder import MODEL_IN_RUN
from selfsup.errors import UserError
from selfsup.finetuning.data import TaskData, encode_task_data, read_task_files
from selfsup.finetuning.embedding_rows import learning_rows_in_use
from selfsup.finetuning.find_starting_point import find_starting_point
from selfsup.finetuning.layers import reinitialize_top
from selfsup.finetuning.one_seed import EpochReport, SeedRun, merit, train_one_seed
from selfsup.finetuning.plan import check_layers, layer_table, never_thawed, plan_learning
from selfsup.finetuning.starting_point import StartingPoint
from selfsup.finetuning.summary import FinetuneLog, summarize
from selfsup.inference.predictions_file import write_predictions
from selfsup.inference.scoring import map_batches
from selfsup.runs.folder import (
    METRICS,
    VALIDATION_PREDICTIONS,
    MetricsFile,
    begin_run,
    check_free,
    write_summary,
)
from selfsup.runs.model_cards import task_model_card
from selfsup.settings import FinetuneSettings
from selfsup.tasks.base import Reading, Task, TaskModule, Units, Windows
from selfsup.tasks.batches import FrozenFeatures
from selfsup.tasks.labels import LabelKind
from selfsup.tasks.registry import TASKS, save_task_model
from selfsup.training.compute import Compute, choose_compute
from selfsup.training.loop import StepSettings
from selfsup.training.progress_display import ProgressDisplay

# Mosbach et al. 2021, "On the Stability of Fine-tuning BERT", §6: small sets need many steps, and
# a run that goes on until its training loss is near 0 fails less often than a short one.
_LEAST_STEPS = 600
_LEAST_EPOCHS, _MOST_EPOCHS = 3, 20


# A head alone starts from nothing and cannot spoil anything (docs/log.md). It is quickly taught:
# what the encoder makes of each example is computed once.
_RATE_OF_A_HEAD_ALONE = 2e-3


def default_epochs(examples: int, batch_size: int, *, frozen: bool) -> int:
    """Times to go through the training examples: as many as give some hundreds of steps.

    Args:
        examples, batch_size: of the training.
        frozen: whether the encoder is, as a whole.
    """
    if frozen:
        return _MOST_EPOCHS
    steps_per_epoch = max(1, math.ceil(examples / batch_size))
    wanted = math.ceil(_LEAST_STEPS / steps_per_epoch)
    return min(_MOST_EPOCHS, max(_LEAST_EPOCHS, wanted))


def default_learning_rate(config: EncoderConfig | VitConfig, *, frozen: bool) -> float:
    """The highest rate for an encoder's width: small encoders want a larger one.

    3e-5 at BERT-base's 768, as its paper has it (appendix A.3), and inversely to the square of
    the width below that. A head over an encoder that is frozen as a whole wants a rate of its own.
    """
    if frozen:
        return _RATE_OF_A_HEAD_ALONE
    return min(5e-4, 3e-5 * (768 / config.hidden_size) ** 2)


# ``selfsup finetune``: teach an encoder a task, over one or several seeds.


def finetune(settings: FinetuneSettings, display: ProgressDisplay | None = None) -> dict[str, Any]:
    """Fine-tune, and write the run: settings, metrics, summary, the best seed's model and answers.

    Args:
        settings: what and how.
        display: where progress is shown; one of its own if None.

    Returns:
        the summary, and the run's folder as ``out``; with ``--print-layers`` only a table of the
        layers.

    Raises:
        UserError: the data, the model or a flag is wrong (nothing has then been written), or every
            seed diverged.
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
        settings = with_defaults(settings, start, data)
        notes = [*data.notes, *start.notes(task), describe(settings, start, data)]
        late = never_thawed(settings, start.config.num_hidden_layers)
        for note in (*notes, *([late] if late else [])):
            display.message(note)
        if settings.print_layers:
            return layer_table(settings, start.build_model(task, data.labels, settings.seed))

        with alone_in(check_free(settings.out)):
            run = begin_run(settings.out, settings)
            with closing(MetricsFile(run / METRICS)) as metrics:
                log = FinetuneLog(metrics, display, settings.seeds)
                runs, model, best = train_seeds(settings, task, start, data, compute, log)
            summary = summarize(settings, task, data, runs)
            if summary["failed_seeds"]:
                failed = ", ".join(map(str, summary["failed_seeds"]))
                display.message(
                    "seeds that failed to learn, no better than the same answer for every "
                    f"example: {failed}: `selfsup doctor {run}` says more"
                )
            summary["seconds"] = round(time.perf_counter() - started, 1)
            card = task_model_card(settings, task, start.name, best.labels, summary)
            examples, encoded = data.validation.examples, data.validation.encoded
            answers = task.decode(best.scores, encoded, examples, best.labels)
            write_predictions(run / VALIDATION_PREDICTIONS, task.records(examples, answers))
            # Last, since a folder with a model is never written over.
            save_task_model(run / MODEL_IN_RUN, task, model, best.labels, start.preparation, card)
            write_summary(run, summary)
    return {**summary, "out": str(run)}


def check_flags(settings: FinetuneSettings, start: StartingPoint) -> None:
    """Refuse what this encoder cannot do.

    Raises:
        UserError: the flags name more layers than it has, or pre-trained ones where there are none.
    """
    check_layers(settings, start.config.num_hidden_layers, start.name)
    if settings.reinit_layers and not start.is_pretrained:
        raise UserError(
            f"--reinit-layers {settings.reinit_layers}: all of {start.name} is new; leave it out"
        )


def with_defaults(
    settings: FinetuneSettings, start: StartingPoint, data: TaskData
) -> FinetuneSettings:
    """The settings with what was left open filled in."""
    units = len(data.train.encoded.units)
    frozen = settings.freeze == "encoder"
    epochs = settings.epochs or default_epochs(units, settings.batch_size, frozen=frozen)
    rate = settings.learning_rate or default_learning_rate(start.config, frozen=frozen)
    head_rate = settings.head_learning_rate or rate
    return dataclasses.replace(
        settings,
        **start.preparation.settings(),
        dropout=start.config.hidden_dropout_prob,
        epochs=epochs,
        learning_rate=rate,
        head_learning_rate=head_rate,
    )


def describe(settings: FinetuneSettings, start: StartingPoint, data: TaskData) -> str:
    """The run in a line."""
    how = "pre-trained" if start.is_pretrained else "from random weights"
    labels = "" if data.labels.kind in ("number", "none") else f" of {len(data.labels)} labels"
    return (
        f"{start.name}, {how}: {len(data.train):,} examples{labels}, "
        f"{len(data.validation):,} to validate; epochs {settings.epochs}, learning rate "
        f"{settings.learning_rate:.2g}, of the head {settings.head_learning_rate:.2g}"
    )


def train_seeds(
    settings: FinetuneSettings,
    task: Task,
    start: StartingPoint,
    data: TaskData,
    compute: Compute,
    log: FinetuneLog,
) -> tuple[dict[int, SeedRun], TaskModule, EpochReport]:
    """Train once for each seed.

    Returns:
        each seed's run, the model that did best, and the epoch in which it did.

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
        # What a frozen pre-trained encoder makes of a text is the same for every seed.
        if settings.freeze == "encoder" and (seed == settings.seed or not start.is_pretrained):
            train, validation = data.train.encoded, data.validation.encoded
            units = with_features(model, train.units, train.windows, compute)
            windows = with_features(model, validation.windows, validation.windows, compute)
        run = train_seed(settings, task, model, data, units, windows, seed, compute, log)
        runs[seed] = run
        if run.best is not None and (best is None or merit(run.best, task) > merit(best[1], task)):
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
    """Units, or windows, with what the encoder makes of their windows in place of tokens."""
    features = map_batches(model, model.features, windows, compute)
    return FrozenFeatures(units, features, np.asarray(windows.row_counts))


def train_seed(
    settings: FinetuneSettings,
    task: Task,
    model: TaskModule,
    data: TaskData,
    units: Units,
    windows: Windows,
    seed: int,
    compute: Compute,
    log: FinetuneLog,
) -> SeedRun:
    """Train a model as the settings say, and leave it as it was after its best epoch."""
    assert settings.epochs is not None  # see with_defaults
    features = units.features if isinstance(units, FrozenFeatures) else None
    with learning_rows_in_use(settings, task, model, units):
        plan = plan_learning(settings, model, features)
        return train_one_seed(
            plan,
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
