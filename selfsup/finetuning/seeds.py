"""Fine-tune once for each seed, from a head that is fitted or drawn to the best epoch."""

import numpy as np
import torch

from selfsup.errors import UserError
from selfsup.finetuning.checkpoints import FinetuneCheckpoints
from selfsup.finetuning.compact_embedding import compact_word_embeddings
from selfsup.finetuning.data import FrozenFeatures, TaskData
from selfsup.finetuning.linear_probe import fit_head, report_of_head
from selfsup.finetuning.progress import EndedSeeds, EpochReport, SeedRun
from selfsup.finetuning.setup import reinitialize_top
from selfsup.finetuning.starting_point import StartingPoint
from selfsup.finetuning.training_run import FinetuneLog, train_with_seed
from selfsup.inference.scoring import map_batches
from selfsup.settings.finetune import ResolvedFinetuneSettings
from selfsup.tasks.base import Task, Units, Windows
from selfsup.tasks.models import TaskModule
from selfsup.training.compute import Compute


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
    ended, features = checkpoints.ended, None
    units: Units = data.train.encoded.units
    windows: Windows = data.validation.encoded.windows
    for seed in seeds:
        if seed in ended.runs:
            continue
        model = start.build_model(task, data.labels, seed)
        if settings.reinit_layers:
            reinitialize_top(model.encoder, settings.reinit_layers, seed)
        model.to(compute.device)
        if (weights := data.balance.class_weights) is not None:
            model.class_weights = torch.from_numpy(weights).to(compute.device)
        first: EpochReport | None = None
        if settings.head == "fitted" or settings.freeze == "encoder":
            # The output of a pre-trained encoder is the same for every seed.
            if features is None or not start.is_pretrained:
                features = _features(model, data, compute)
            if settings.head == "fitted":
                fit_head(model, data.train, features[0].features)
                first = report_of_head(model, task, data, features[1], compute)
            if settings.freeze == "encoder":
                units, windows = features
        if settings.epochs:
            with compact_word_embeddings(settings, task, model, units):
                run = train_with_seed(
                    settings, task, model, data, units, windows, seed, compute, log, checkpoints,
                    first,
                )  # fmt: skip
        else:
            assert first is not None
            log.after_epoch(seed, first)
            run = SeedRun(first, False)
        ended.add(seed, run, model, task)
    if ended.kept is None:
        raise UserError(
            f"the loss grew past all numbers: give a lower --learning-rate than "
            f"{settings.learning_rate:.2g}"
        )
    return ended


def _features(
    model: TaskModule, data: TaskData, compute: Compute
) -> tuple[FrozenFeatures, FrozenFeatures]:
    """The units to train on and the windows to validate on, with the encoder's output for them."""
    train, validation = data.train.encoded, data.validation.encoded
    return (
        with_features(model, train.units, train.windows, compute),
        with_features(model, validation.windows, validation.windows, compute),
    )


def with_features(
    model: TaskModule, units: Units, windows: Windows, compute: Compute
) -> FrozenFeatures:
    """Units or windows whose batches hold the encoder's output for them instead of tokens."""
    features = map_batches(model, model.features, windows, compute)
    return FrozenFeatures(units, features, np.asarray(windows.row_counts))
