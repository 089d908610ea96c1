"""The optimizer that pre-training uses."""

import dataclasses
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from selfsup.atomic_files import alone_in
from selfsup.encoder.huggingface.folder import MODEL_IN_RUN
from selfsup.errors import UserError
from selfsup.pretraining.images import setup as image_road
from selfsup.pretraining.kind import Kind, kind_of_objectives, kind_of_pretraining
from selfsup.pretraining.log import PretrainingLog
from selfsup.pretraining.setup import Road
from selfsup.pretraining.text import setup as text_road
from selfsup.runs import CHECKPOINTS, METRICS, SETTINGS
from selfsup.runs.folder import begin_run, check_free, write_summary
from selfsup.runs.reading import check_kind, read_run
from selfsup.settings import PretrainSettings, ResumeSettings
from selfsup.settings.fields import seconds_in
from selfsup.settings.yaml_file import from_yaml
from selfsup.training.checkpoint import latest_checkpoint, load_checkpoint, remove_checkpoints
from selfsup.training.compute import Compute, choose_compute
from selfsup.training.interrupt import StopOnSignal
from selfsup.training.loop import Extent, NotFinite, RunState, StepSettings, train
from selfsup.training.optimizers import (
    PRETRAINING_BETAS,
    PRETRAINING_EPS,
    Muon,
    adamw,
    parameter_groups,
)

# The rate of the layers' matrices under Muon, as a multiple of --learning-rate (docs/log.md).
_MATRIX_RATE = 2.0
_ROUNDS = 5
_LAYERS = "encoder.layers."  # not those of a decoder beside it


def build_optimizer(
    model: nn.Module, settings: PretrainSettings, dtype: torch.dtype
) -> torch.optim.Optimizer:
    """AdamW for all parameters; or Muon for the matrices of the encoder's layers, AdamW for others.

    Args:
        model: its encoder's layers are named ``encoder.layers.N.…``.
        settings: with an optimizer and a learning rate chosen.
        dtype: the precision of matrix products on this machine.
    """
    assert settings.learning_rate is not None  # see pretraining_defaults
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    named.sort(key=lambda item: item[1].ndim <= 1)  # matrices first: checkpoints have this order
    rates = dict.fromkeys(dict(named), settings.learning_rate)
    if settings.optimizer == "adamw":
        groups = parameter_groups(named, rates, settings.weight_decay)
        return adamw(groups, PRETRAINING_BETAS, PRETRAINING_EPS)
    matrices = {name: p for name, p in named if name.startswith(_LAYERS) and p.ndim == 2}
    return Muon(
        [(p, 3 if "query_key_value" in name else 1) for name, p in matrices.items()],
        parameter_groups(
            [(n, p) for n, p in named if n not in matrices], rates, settings.weight_decay
        ),
        _MATRIX_RATE * settings.learning_rate,
        settings.weight_decay,
        _ROUNDS,
        dtype,
    )


# ``selfsup pretrain`` and ``selfsup resume``: from data without labels to a pre-trained model.
#
# What is particular to text and to images is in ``text_road`` and ``image_road``.


_ROADS: dict[Kind, Road] = {"text": text_road, "images": image_road}


def pretrain(settings: PretrainSettings) -> dict[str, Any]:
    """Pre-train as the settings say; returns what goes into ``summary.json``.

    Raises:
        UserError: the settings do not fit the data or the machine.
    """
    road = _ROADS[kind_of_pretraining(settings)]
    is_open_ended = settings.steps is None and settings.budget is None
    settings = road.with_defaults(settings)
    compute = choose_compute(settings.device, settings.precision, settings.threads)
    check_free(settings.out)
    road.check_data(settings)
    with alone_in(check_free(settings.out)):
        run = begin_run(settings.out, "pretrain", settings)
        if is_open_ended:
            print(
                f"Training for {settings.budget}: --budget or --steps says otherwise",
                file=sys.stderr,
            )
        return _run(settings, run, compute, is_resumed=False)


def resume(settings: ResumeSettings) -> dict[str, Any]:
    """Go on with a run from its last checkpoint, as its ``run.yaml`` says.

    Raises:
        UserError: there is no such run, or it has come to its end.
    """
    run = Path(settings.run)
    if not (run / SETTINGS).exists():
        raise UserError(f"{run}: no run that can be resumed (it has no {SETTINGS})")
    described = read_run(run)
    check_kind(described)
    kind = described.kind
    if kind in ("finetune", "demo"):
        what = "fine-tuning" if kind == "finetune" else "a demo"
        raise UserError(f"{run}: {what} cannot be resumed, only pre-training: run it again")
    original = dataclasses.replace(
        from_yaml(PretrainSettings, run / SETTINGS, "pretrain"), out=str(run)
    )
    _check_complete(original, run / SETTINGS)
    compute = choose_compute(original.device, original.precision, original.threads)
    with alone_in(run):
        if latest_checkpoint(run / CHECKPOINTS) is None and (run / MODEL_IN_RUN).exists():
            raise UserError(
                f"{run}: this run has come to its end; its model is in {run / MODEL_IN_RUN}"
            )
        return _run(original, run, compute, is_resumed=True)


def _check_complete(settings: PretrainSettings, file: Path) -> None:
    """Refuse settings of a run in which something is left open, as none was when it began.

    Raises:
        UserError: someone took a line out of the file; the message names it.
    """
    open_fields = ["objectives"] if settings.objectives is None else []
    if not open_fields:
        road = _ROADS[kind_of_objectives(settings) or "text"]
        closed = dataclasses.asdict(road.with_defaults(settings))
        open_fields = [
            name for name, value in dataclasses.asdict(settings).items() if value != closed[name]
        ]
    if open_fields:
        raise UserError(f"{file}: {open_fields[0]} has no value: put it back as it was")


def _run(
    settings: PretrainSettings, run: Path, compute: Compute, is_resumed: bool
) -> dict[str, Any]:
    """Train from the last checkpoint, or from the start, to the end; write model and summary."""
    assert settings.learning_rate is not None  # as is all else that with_defaults fills in
    road = _ROADS[kind_of_objectives(settings) or "text"]
    checkpoint = latest_checkpoint(run / CHECKPOINTS)
    setup = road.set_up(settings, run, compute.device, is_resumed, is_new=checkpoint is None)
    optimizer = build_optimizer(setup.model, settings, compute.dtype)
    state = RunState(data_sha256=setup.data_sha256)
    if checkpoint is not None:
        state = RunState(**load_checkpoint(checkpoint, setup.model, optimizer))
        if state.data_sha256 != setup.data_sha256:
            raise UserError(
                f"{run}: its data ({' '.join(settings.data)}) are others than when it began: put "
                "them back, or give the pretrain command again with another --out"
            )
        print(f"Going on from step {state.step} of {run}", file=sys.stderr)
    extent = Extent(
        steps=settings.steps,
        seconds=None if settings.budget is None else seconds_in(settings.budget),
    )
    log = PretrainingLog(
        run / METRICS,
        title=f"pretrain {Path(settings.init or settings.encoder or '').name}",
        setup=setup,
        optimizer=optimizer,
        checkpoints=run / CHECKPOINTS,
        extent=extent,
        state=state,
        measure_peak=compute.matmul_peak,
        learning_rate=settings.learning_rate,
        evaluate_every=settings.evaluate_every,
        checkpoint_every=settings.checkpoint_every,
    )
    with log:
        with StopOnSignal() as stop:
            try:
                train(
                    setup.model,
                    optimizer,
                    setup.stages,
                    extent,
                    StepSettings(
                        settings.schedule,
                        settings.warmup,
                        settings.gradient_clip,
                        settings.accumulate,
                        settings.seed,
                    ),
                    compute,
                    state,
                    log.after_step,
                    setup.model.training_flops,
                    lambda: stop.requested,
                    setup.count,
                )
                if not all(weights.isfinite().all() for weights in setup.model.parameters()):
                    raise NotFinite(f"the weights are not finite after step {state.step}")
            except NotFinite as error:
                raise UserError(
                    f"{run}: {error}: try a --learning-rate below {settings.learning_rate:g}, or "
                    "--precision float32"
                ) from error
            log.save_checkpoint()
        try:
            if extent.progress(state) < 1.0:
                raise KeyboardInterrupt
            log.message(f"Measuring on the held-out {setup.held_out}")
            result = setup.measure(None)
        except KeyboardInterrupt:
            log.message(f"Stopped at step {state.step}. To go on: selfsup resume {run}")
            raise
    summary = {
        "steps": state.step,
        setup.counted: state.tokens,
        "seconds": round(state.seconds, 3),
        f"{setup.counted}_per_second": round(state.tokens / state.seconds, 1),
        "flops_utilization": round(state.flops / state.seconds / log.peak_flops, 4),
        **dataclasses.asdict(result),
        **setup.facts(),
        "out": str(run),
    }
    setup.save(run / MODEL_IN_RUN, summary)
    write_summary(run, summary)
    remove_checkpoints(run / CHECKPOINTS)
    return summary
