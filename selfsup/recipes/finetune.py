"""``selfsup finetune``: teach an encoder a task, over one or several seeds."""

import dataclasses
import statistics
import time
from contextlib import closing
from typing import Any

from selfsup.encoder.model_location import MODEL_IN_RUN
from selfsup.errors import UserError
from selfsup.evaluation.scoring import map_batches
from selfsup.recipes.finetune_log import FinetuneLog
from selfsup.recipes.learning_plan import plan_learning
from selfsup.recipes.one_seed import SeedRun, merit, train_one_seed
from selfsup.recipes.run_folder import METRICS, begin_run, check_free, write_summary
from selfsup.recipes.starting_point import StartingPoint, find_starting_point, tokenizer_folder
from selfsup.recipes.task_data import TaskData, encode_task_data, read_task_files
from selfsup.recipes.task_model_card import task_model_card
from selfsup.settings import FinetuneSettings
from selfsup.tasks.columns import Columns
from selfsup.tasks.encoded_texts import EncodedTexts
from selfsup.tasks.example_batches import LabelledExamples
from selfsup.tasks.frozen_features import FrozenFeatures
from selfsup.tasks.sequence_classification import SequenceClassifier
from selfsup.tasks.table import TASKS
from selfsup.tasks.task import Task
from selfsup.tasks.task_folder import save_task_model
from selfsup.training.compute import Compute, choose_compute
from selfsup.training.loop import StepSettings
from selfsup.training.metrics_file import MetricsFile
from selfsup.training.progress import ProgressDisplay
from selfsup.transfer.defaults import default_epochs, default_learning_rate


def finetune(settings: FinetuneSettings, display: ProgressDisplay | None = None) -> dict[str, Any]:
    """Fine-tune, and write the run: settings, metrics, summary, and the best seed's model.

    Args:
        settings: what and how.
        display: where progress is shown; one of its own if None.

    Returns:
        the summary, and the run's folder as ``out``.

    Raises:
        UserError: the data, the model or a flag is wrong (nothing has then been written), or every
            seed diverged.
    """
    started = time.perf_counter()
    check_free(settings.out)
    compute = choose_compute(settings.device, settings.precision, settings.threads)
    task = TASKS[settings.task]
    with display or ProgressDisplay("finetune") as display:
        columns = Columns(settings.text_column, settings.label_column)
        train, validation = read_task_files(task, settings.train, settings.validation, columns)
        start = find_starting_point(
            settings.encoder, settings.tokenizer, settings.dropout, train.texts
        )
        check_flags(settings, start)
        data = encode_task_data(task, train, validation, start, settings.max_length)
        settings = with_defaults(settings, start, len(data.train))
        for note in (*data.notes, describe(settings, start, data)):
            display.message(note)

        run = begin_run(settings.out, settings)
        with closing(MetricsFile(run / METRICS)) as metrics:
            log = FinetuneLog(metrics, display, settings.seeds)
            runs, model = train_seeds(settings, task, start, data, compute, log)
        summary = summarize(settings, task, data, runs)
        if summary["failed_seeds"]:
            failed = ", ".join(map(str, summary["failed_seeds"]))
            display.message(f"failed to learn, no better than the most frequent label: {failed}")
        summary["seconds"] = round(time.perf_counter() - started, 1)
        card = task_model_card(settings, start.name, data.labels, summary)
        save_task_model(
            run / MODEL_IN_RUN, task, model, data.labels, tokenizer_folder(start, run),
            settings.max_length, card,
        )  # fmt: skip
        write_summary(run, summary)
    return {**summary, "out": str(run)}


def check_flags(settings: FinetuneSettings, start: StartingPoint) -> None:
    """Refuse what this encoder cannot do.

    Raises:
        UserError: texts longer than its positions, or more frozen layers than it has.
    """
    config = start.config
    if settings.max_length > config.max_position_embeddings:
        raise UserError(
            f"--max-length {settings.max_length}: {start.name} has positions for "
            f"{config.max_position_embeddings} tokens at most"
        )
    freeze = settings.freeze
    if freeze is not None and freeze.isdecimal() and int(freeze) > config.num_hidden_layers:
        raise UserError(
            f"--freeze {freeze}: {start.name} has {config.num_hidden_layers} layers; "
            "--freeze encoder freezes all"
        )


def with_defaults(
    settings: FinetuneSettings, start: StartingPoint, train_examples: int
) -> FinetuneSettings:
    """The settings with what was left open filled in."""
    epochs = settings.epochs or default_epochs(train_examples, settings.batch_size)
    rate = settings.learning_rate or default_learning_rate(start.config)
    head_rate = settings.head_learning_rate or rate
    return dataclasses.replace(
        settings, epochs=epochs, learning_rate=rate, head_learning_rate=head_rate
    )


def describe(settings: FinetuneSettings, start: StartingPoint, data: TaskData) -> str:
    """The run in a line."""
    how = "pre-trained" if start.is_pretrained else "from random weights"
    return (
        f"{start.name}, {how}: {len(data.train):,} examples of {len(data.labels)} labels, "
        f"{len(data.validation):,} to validate; {settings.epochs} epochs, learning rate "
        f"{settings.learning_rate:.2g}, of the head {settings.head_learning_rate:.2g}"
    )


def train_seeds(
    settings: FinetuneSettings,
    task: Task,
    start: StartingPoint,
    data: TaskData,
    compute: Compute,
    log: FinetuneLog,
) -> tuple[dict[int, SeedRun], SequenceClassifier]:
    """Train once for each seed; return each seed's run, and the model that did best.

    Raises:
        UserError: every seed diverged.
    """
    runs: dict[int, SeedRun] = {}
    best_model, best_merit = None, (-1.0, 0.0)
    examples: tuple[LabelledExamples, LabelledExamples] = (data.train, data.validation)
    for seed in range(settings.seed, settings.seed + settings.seeds):
        model = start.build_model(task, len(data.labels), seed).to(compute.device)
        # What a frozen pre-trained encoder makes of a text is the same for every seed.
        if settings.freeze == "encoder" and (seed == settings.seed or not start.is_pretrained):
            examples = (
                frozen_features(model, data.train, compute),
                frozen_features(model, data.validation, compute),
            )
        run = train_seed(settings, task, model, examples, seed, compute, log)
        runs[seed] = run
        if run.best is not None and merit(run.best, task) > best_merit:
            best_model, best_merit = model, merit(run.best, task)
    if best_model is None:
        raise UserError(
            f"the loss grew past all numbers: give a lower --learning-rate than "
            f"{settings.learning_rate:.2g}"
        )
    return runs, best_model


def frozen_features(
    model: SequenceClassifier, encoded: EncodedTexts, compute: Compute
) -> FrozenFeatures:
    """What the encoder makes of each text."""
    return FrozenFeatures(map_batches(model, model.features, encoded, compute), encoded.labels)


def train_seed(
    settings: FinetuneSettings,
    task: Task,
    model: SequenceClassifier,
    examples: tuple[LabelledExamples, LabelledExamples],
    seed: int,
    compute: Compute,
    log: FinetuneLog,
) -> SeedRun:
    """Train a model as the settings say, and leave it as it was after its best epoch."""
    assert settings.epochs is not None  # see with_defaults
    plan = plan_learning(settings, model)
    return train_one_seed(
        *plan,
        task,
        *examples,
        settings.epochs,
        settings.batch_size,
        StepSettings("linear", settings.warmup, settings.gradient_clip, 1, seed),
        compute,
        log.of_step(seed),
        log.of_epoch(seed),
    )


def summarize(
    settings: FinetuneSettings, task: Task, data: TaskData, runs: dict[int, SeedRun]
) -> dict[str, Any]:
    """The run's results: each metric's mean, standard deviation and values over the seeds.

    A seed has failed if its loss diverged, or if it does no better than the most frequent label.
    """
    best = {seed: run.best for seed, run in runs.items() if run.best is not None}
    best_seed = max(best, key=lambda seed: merit(best[seed], task))
    chance = task.chance(data.validation.labels)
    names = [name for name in best[best_seed].validation if name != "loss"]
    return {
        "task": task.NAME,
        "metrics": {
            name: mean_and_std([report.validation[name] for report in best.values()])
            for name in names
        },
        "seeds": list(runs),
        "failed_seeds": [
            seed
            for seed, run in runs.items()
            if run.diverged
            or run.best is None
            or run.best.validation[task.SELECTION_METRIC] <= chance
        ],
        "best_seed": best_seed,
        "best_epochs": {str(seed): report.epoch for seed, report in best.items()},
        "epochs": settings.epochs,
        "train_examples": len(data.train),
        "validation_examples": len(data.validation),
        "confusion": task.confusion(best[best_seed].scores, data.validation.labels, data.labels),
    }


def mean_and_std(values: list[float]) -> dict[str, Any]:
    """Mean, sample standard deviation (0 of one value), and the values."""
    std = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": statistics.fmean(values), "std": std, "values": values}
