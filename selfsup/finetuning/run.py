"""``selfsup finetune``: teach an encoder a task, with one seed or several."""

import dataclasses
import shutil
import time
from pathlib import Path
from typing import Any, cast

from selfsup.atomic_files import locked
from selfsup.encoder.huggingface.folder import MODEL_IN_RUN
from selfsup.finetuning.balance import balance_of
from selfsup.finetuning.checkpoints import FinetuneCheckpoints
from selfsup.finetuning.data import encode_task_data, read_task_files
from selfsup.finetuning.defaults import describe, with_defaults
from selfsup.finetuning.layer_rules import check_layers, layer_table, notes_on_unfreezing
from selfsup.finetuning.seeds import train_seeds
from selfsup.finetuning.starting_point import find_starting_point
from selfsup.finetuning.summary import summarize
from selfsup.finetuning.training_run import FinetuneLog
from selfsup.finetuning.worth import compare, models_without_encoder
from selfsup.inference.predictions_file import write_predictions
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
from selfsup.tasks.base import Reading
from selfsup.tasks.held_out import hold_out
from selfsup.tasks.labels import LabelKind
from selfsup.tasks.registry import TASKS, save_task_model
from selfsup.training.compute import choose_compute


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
        balance = balance_of(settings, task, data.train.encoded, data.labels)
        data = dataclasses.replace(data, balance=balance)
        resolved, start = with_defaults(settings, task, start, data, compute)
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
            if resolved.baselines and (others := models_without_encoder(task, data)):
                mean = summary["metrics"][summary["selection_metric"]]["mean"]
                summary["comparison"] = compare(task, data, best, mean, others)
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
