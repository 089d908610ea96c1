"""``selfsup pretrain`` and ``selfsup resume``: from data without labels to a pre-trained model.

What differs between text and images is in ``TextPretraining`` and ``ImagePretraining``.
"""

import dataclasses
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from selfsup.atomic_files import locked
from selfsup.encoder.huggingface.folder import MODEL_IN_RUN
from selfsup.errors import UserError
from selfsup.pretraining.images.pretraining import ImagePretraining
from selfsup.pretraining.log import PretrainingLog
from selfsup.pretraining.modality import (
    Modality,
    Pretraining,
    modality_of_objectives,
    modality_of_pretraining,
)
from selfsup.pretraining.text.pretraining import TextPretraining
from selfsup.runs import CHECKPOINTS, METRICS, SETTINGS
from selfsup.runs.folder import begin_run, check_free, write_summary
from selfsup.runs.reading import check_kind, read_run
from selfsup.settings.pretrain import (
    PretrainSettings,
    ResolvedPretrainSettings,
    ResumeSettings,
    seconds_in,
)
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
_PRETRAININGS: dict[Modality, type[Pretraining]] = {
    "text": TextPretraining,
    "images": ImagePretraining,
}


def resolve(settings: PretrainSettings) -> ResolvedPretrainSettings:
    """Choose all that the settings leave open, to suit the encoder and the data.

    Raises:
        UserError: the settings do not go together, or do not fit the data.
    """
    return _PRETRAININGS[modality_of_pretraining(settings)].resolve(settings)


def build_optimizer(
    model: nn.Module, settings: ResolvedPretrainSettings, dtype: torch.dtype
) -> torch.optim.Optimizer:
    """AdamW for all parameters, or Muon for the encoder layers' matrices and AdamW for the others.

    Args:
        model: its encoder's layers are named ``encoder.layers.N.…``.
        settings: of the run.
        dtype: the precision of matrix products on this machine.
    """
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


def pretrain(settings: PretrainSettings) -> dict[str, Any]:
    """Pre-train as the settings say; returns the contents of ``summary.json``.

    Raises:
        UserError: the settings do not fit the data or the machine.
    """
    resolved = resolve(settings)
    compute = choose_compute(settings.device, settings.precision, settings.threads)
    check_free(settings.out)
    _class_for(resolved).check_data(resolved)
    with locked(check_free(settings.out)):
        run = begin_run(settings.out, "pretrain", resolved)
        if settings.steps is None and settings.budget is None:
            print(
                f"Training for {resolved.budget}: --budget or --steps says otherwise",
                file=sys.stderr,
            )
        return _run(resolved, run, compute, is_resumed=False)


def _class_for(settings: ResolvedPretrainSettings) -> type[Pretraining]:
    return _PRETRAININGS[modality_of_objectives(settings) or "text"]


def resume(settings: ResumeSettings) -> dict[str, Any]:
    """Continue a run from its last checkpoint, as its ``run.yaml`` says.

    Raises:
        UserError: there is no such run, or it has ended.
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
    original = _read_resolved(run / SETTINGS, run)
    compute = choose_compute(original.device, original.precision, original.threads)
    with locked(run):
        if latest_checkpoint(run / CHECKPOINTS) is None and (run / MODEL_IN_RUN).exists():
            raise UserError(f"{run}: this run has ended; its model is in {run / MODEL_IN_RUN}")
        return _run(original, run, compute, is_resumed=True)


def _read_resolved(file: Path, run: Path) -> ResolvedPretrainSettings:
    """The settings that ``run.yaml`` holds, with ``out`` where the run is now.

    Raises:
        UserError: someone took a line out of the file; the message names it.
    """
    written = dataclasses.replace(from_yaml(PretrainSettings, file, "pretrain"), out=str(run))
    modality = modality_of_objectives(written)
    settings_class = _PRETRAININGS[modality or "text"].resolved_class
    if name := settings_class.open_field(written):
        raise UserError(f"{file}: {name} has no value: put it back as it was")
    return settings_class.complete(written)


def _run(
    settings: ResolvedPretrainSettings, run: Path, compute: Compute, is_resumed: bool
) -> dict[str, Any]:
    """Train to the end, from the last checkpoint or from the start; write model and summary."""
    checkpoint = latest_checkpoint(run / CHECKPOINTS)
    pretraining = _class_for(settings)(
        settings, run, compute.device, is_resumed, is_new=checkpoint is None
    )
    optimizer = build_optimizer(pretraining.model, settings, compute.dtype)
    state = RunState(data_sha256=pretraining.data_sha256)
    if checkpoint is not None:
        state = RunState(**load_checkpoint(checkpoint, pretraining.model, optimizer))
        if state.data_sha256 != pretraining.data_sha256:
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
        pretraining=pretraining,
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
                    pretraining.model,
                    optimizer,
                    pretraining.stages,
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
                    pretraining.model.training_flops,
                    lambda: stop.requested,
                    pretraining.count,
                )
                if not all(weights.isfinite().all() for weights in pretraining.model.parameters()):
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
            log.message(f"Measuring on the held-out {pretraining.held_out_unit}")
            result = pretraining.measure(None)
        except KeyboardInterrupt:
            log.message(f"Stopped at step {state.step}. To go on: selfsup resume {run}")
            raise
    summary = {
        "steps": state.step,
        pretraining.unit: state.tokens,
        "seconds": round(state.seconds, 3),
        f"{pretraining.unit}_per_second": round(state.tokens / state.seconds, 1),
        "flops_utilization": round(state.flops / state.seconds / log.peak_flops, 4),
        **result,
        **pretraining.facts(),
        "out": str(run),
    }
    pretraining.save(run / MODEL_IN_RUN, summary)
    write_summary(run, summary)
    remove_checkpoints(run / CHECKPOINTS)
    return summary
