"""``selfsup pretrain`` and ``selfsup resume``: from data without labels to a pre-trained model.

What differs between text and images is in ``TextPretraining`` and ``ImagePretraining``.
"""

import dataclasses
import shutil
import time
from collections import deque
from pathlib import Path
from typing import Any

import torch

from selfsup.atomic_files import locked
from selfsup.encoder.huggingface.folder import MODEL_IN_RUN
from selfsup.errors import UserError
from selfsup.interruption import saying_how_to_go_on
from selfsup.pretraining.images.pretraining import ImagePretraining
from selfsup.pretraining.modality import Pretraining, choose_modality, modality_of_objectives
from selfsup.pretraining.text.pretraining import TextPretraining
from selfsup.pretraining.wall_clock import WallClock
from selfsup.progress import ProgressDisplay, seconds_left
from selfsup.runs import CHECKPOINTS, METRICS, SETTINGS
from selfsup.runs.folder import (
    MetricsFile,
    begin_run,
    check_free,
    check_stopped,
    how_to_go_on,
    write_summary,
)
from selfsup.runs.reading import kind_to_resume
from selfsup.settings.pretrain import (
    PretrainSettings,
    ResolvedPretrainSettings,
    ResumeSettings,
    seconds_in,
)
from selfsup.settings.yaml_file import from_yaml
from selfsup.structured_files import check
from selfsup.terminal import say
from selfsup.training.checkpoint import (
    START_AGAIN,
    CheckpointClock,
    latest_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from selfsup.training.compute import Compute, choose_compute
from selfsup.training.loop import (
    Extent,
    NotFinite,
    RunState,
    StepReport,
    StepSettings,
    StopOnSignal,
    train,
)
from selfsup.training.optimizers import build_optimizer

_EVALUATIONS = 10  # in a run, unless the user says how often
_LOG_SECONDS = 1.0  # at most one training line in metrics.jsonl a second
_RATE_STEPS = 20  # speed is shown as a mean over this many steps
_PRETRAININGS: dict[str, type[Pretraining]] = {"text": TextPretraining, "images": ImagePretraining}


def resolve(settings: PretrainSettings) -> ResolvedPretrainSettings:
    """Choose all that the settings leave open, to suit the encoder and the data.

    Raises:
        UserError: the settings do not go together, or do not fit the data.
    """
    return _PRETRAININGS[choose_modality(settings)].resolve(settings)


def pretrain(settings: PretrainSettings, started: float | None = None) -> dict[str, Any]:
    """Pre-train as the settings say; returns the contents of ``summary.json``.

    ``started`` is when the command began, as ``time.monotonic()`` tells it; now, if None.

    Raises:
        UserError: the settings do not fit the data or the machine.
    """
    started = time.monotonic() if started is None else started
    resolved = resolve(settings)
    compute = choose_compute(settings.device, settings.precision, settings.threads)
    check_free(settings.out)
    _class_for(resolved).check_data(resolved)
    with saying_how_to_go_on(lambda: how_to_go_on(settings.out)), locked(check_free(settings.out)):
        run = begin_run(settings.out, "pretrain", resolved)
        if resolved.budget != settings.budget:
            say(
                f"Training for {resolved.budget}, without preparing, measuring and saving: "
                "--budget, --wall-clock or --steps says otherwise"
            )
        return _run(resolved, run, compute, started, False, settings.objectives is None)


def _class_for(settings: PretrainSettings) -> type[Pretraining]:
    return _PRETRAININGS[modality_of_objectives(settings) or "text"]


def resume(settings: ResumeSettings, started: float | None = None) -> dict[str, Any]:
    """Continue a run from its last checkpoint, as its ``run.yaml`` says.

    ``started`` is as for ``pretrain``.

    Raises:
        UserError: there is no such run, it has ended, or its ``run.yaml`` lacks a line.
    """
    started = time.monotonic() if started is None else started
    run = Path(settings.run)
    kind_to_resume(run)
    written = from_yaml(PretrainSettings, run / SETTINGS, "pretrain")
    written = dataclasses.replace(written, out=str(run))  # it may have been moved
    settings_class = _class_for(written).resolved_class
    if name := settings_class.open_field(written):
        raise UserError(f"{run / SETTINGS}: {name} has no value: put it back as it was")
    original = settings_class.complete(written)
    compute = choose_compute(original.device, original.precision, original.threads)
    with saying_how_to_go_on(lambda: how_to_go_on(run)), locked(run):
        check_stopped(run)
        # If it was stopped while it read the data, nobody knows any more who chose several.
        by_default = len(original.objectives) > 1
        return _run(original, run, compute, started, True, by_default)


def _run(
    settings: ResolvedPretrainSettings,
    run: Path,
    compute: Compute,
    started: float,
    is_resumed: bool,
    objectives_by_default: bool,
) -> dict[str, Any]:
    """Train to the end, from the last checkpoint or from the start; write model and summary."""
    checkpoint = latest_checkpoint(run / CHECKPOINTS)
    pretraining = _class_for(settings)(
        settings, run, compute.device, is_resumed, checkpoint is None, objectives_by_default
    )
    if pretraining.settings != settings:
        settings = pretraining.settings
        begin_run(run, "pretrain", settings)  # writes run.yaml again
    model = pretraining.model
    optimizer = build_optimizer(model, settings, compute.dtype)
    state = RunState(data_sha256=pretraining.data_sha256)
    if checkpoint is not None:
        saved = load_checkpoint(checkpoint, model, optimizer)
        state = check(saved, RunState, checkpoint / "state.json", START_AGAIN)
        if sum(state.batches_taken) != state.step * settings.accumulate:
            raise UserError(
                f"{checkpoint / 'state.json'}: damaged (batches_taken and step contradict each "
                f"other): {START_AGAIN}"
            )
        if state.data_sha256 != pretraining.data_sha256:
            raise UserError(
                f"{run}: its data ({' '.join(settings.data)}) are others than when it began: put "
                "them back, or give the pretrain command again with another --out"
            )
        say(f"Going on from step {state.step} of {run}")
    clock = None
    extent = Extent(settings.steps)
    if settings.budget is not None:
        extent = Extent(seconds=seconds_in(settings.budget))
    if settings.wall_clock is not None:
        clock = WallClock(seconds_in(settings.wall_clock), state.wall_seconds, started)
        extent = Extent(seconds_left=clock.seconds_left)
    log = PretrainingLog(run, settings, pretraining, optimizer, compute, extent, state, clock)
    if clock is not None:
        clock.estimate(pretraining)
        if not state.step:
            clock.check(run, settings.wall_clock)
    with log.display:
        with StopOnSignal() as stop:
            try:
                train(
                    model,
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
                    model.training_flops,
                    lambda: stop.requested,
                    pretraining.count,
                )
                if not all(weights.isfinite().all() for weights in model.parameters()):
                    raise NotFinite(f"the weights are not finite after step {state.step}")
            except NotFinite as error:
                raise UserError(
                    f"{run}: {error}: try a --learning-rate below {settings.learning_rate:g}, or "
                    "--precision float32"
                ) from error
            has_ended = extent.progress(state) >= 1.0
            log.save_checkpoint()
        if not has_ended or stop.requested:
            raise stop.interruption(f"stopped at step {state.step}. To go on: selfsup resume {run}")
        log.display.message(f"Measuring on the held-out {pretraining.held_out_unit}")
        result = pretraining.measure(None)
    seconds = max(state.seconds, 1e-9)
    summary = {
        "steps": state.step,
        pretraining.unit: state.tokens,
        "seconds": round(state.seconds, 3),
        f"{pretraining.unit}_per_second": round(state.tokens / seconds, 1),
        "flops_utilization": round(state.flops / seconds / log.peak_flops, 4),
        **result,
        **pretraining.facts(),
        "out": str(run),
    }
    pretraining.save(run / MODEL_IN_RUN, summary)
    write_summary(run, summary)
    shutil.rmtree(run / CHECKPOINTS, ignore_errors=True)
    return summary


class PretrainingLog:
    """Keeps ``metrics.jsonl``, the display and the checkpoints of a run up to date."""

    def __init__(
        self,
        run: Path,
        settings: ResolvedPretrainSettings,
        pretraining: Pretraining,
        optimizer: torch.optim.Optimizer,
        compute: Compute,
        extent: Extent,
        state: RunState,
        clock: WallClock | None,
    ) -> None:
        self._clock = clock
        self._measure_peak = compute.matmul_peak
        self.peak_flops = compute.matmul_peak()
        self.metrics = MetricsFile(run / METRICS, lambda line: line["step"] <= state.step)
        self.display = ProgressDisplay(
            f"pretrain {Path(settings.init or settings.encoder or '').name}"
        )
        self._settings, self._pretraining, self._optimizer = settings, pretraining, optimizer
        self._checkpoints, self._extent, self._state = run / CHECKPOINTS, extent, state
        self._evaluations_done = int(extent.progress(state) * _EVALUATIONS)
        self._last_line = time.monotonic()
        self._checkpoint_clock = CheckpointClock(settings.checkpoint_every)
        self._recent: deque[StepReport] = deque(maxlen=_RATE_STEPS)
        self._held_out: dict[str, float | None] = {}

    def after_step(self, report: StepReport) -> None:
        """Log a step, and measure or save a checkpoint when it is time to."""
        self._recent.append(report)
        progress = self._extent.progress(self._state)
        is_last = progress >= 1.0
        now = time.monotonic()
        if now - self._last_line >= _LOG_SECONDS or is_last:
            self._last_line = now
            self.metrics.write(self._training_line(report))
        self._show(report, progress)
        if self._is_time_to_evaluate(progress) and not is_last:
            self._evaluate()
        if self._checkpoint_clock.is_due(self._state.step) and not is_last:
            self.save_checkpoint()

    def save_checkpoint(self) -> None:
        """Save a checkpoint now."""
        begun = time.monotonic()
        if self._clock is not None:
            self._state.wall_seconds = self._clock.used
        save_checkpoint(
            self._checkpoints,
            self._state.step,
            self._pretraining.model,
            self._optimizer,
            dataclasses.asdict(self._state),
        )
        seconds = time.monotonic() - begun
        self._checkpoint_clock.saved(seconds)
        if self._clock is not None:
            self._clock.time_saving(seconds)

    def _is_time_to_evaluate(self, progress: float) -> bool:
        if self._settings.evaluate_every is not None:
            return self._state.step % self._settings.evaluate_every == 0
        done = int(progress * _EVALUATIONS)
        is_time = done > self._evaluations_done
        self._evaluations_done = done
        return is_time

    def _evaluate(self) -> None:
        limit = self._pretraining.quick_size
        if self._clock is not None:
            self._held_out = self._clock.measure(self._pretraining, limit)
        else:
            # Measured again, since other programs may have slowed the first measurement.
            self.peak_flops = max(self.peak_flops, self._measure_peak())
            self._held_out = self._pretraining.measure(limit)
        held_out = {
            f"held_out_{name}": value for name, value in self._held_out.items() if value is not None
        }
        self.metrics.write(self._position() | held_out)

    def _position(self) -> dict:
        state, unit = self._state, self._pretraining.unit
        return {"step": state.step, "seconds": round(state.seconds, 3), unit: state.tokens}

    def _rates(self) -> tuple[float, float]:
        """Tokens (or images) and floating-point operations a second, over the last steps."""
        seconds = sum(report.step_seconds for report in self._recent)
        tokens = sum(report.step_tokens for report in self._recent)
        return tokens / seconds, sum(report.step_flops for report in self._recent) / seconds

    def _training_line(self, report: StepReport) -> dict:
        speed, flops = self._rates()
        return {
            **self._position(),
            "loss": sum(report.losses.values()),
            **{f"{name}_loss": value for name, value in report.losses.items()},
            "learning_rate": report.learning_rate_multiplier * self._settings.learning_rate,
            f"{self._pretraining.unit}_per_second": round(speed, 1),
            "flops_utilization": round(flops / self.peak_flops, 4),
            **report.label,
        }

    def _show(self, report: StepReport, progress: float) -> None:
        speed, flops = self._rates()
        fields = {"step": str(self._state.step)}
        for name in report.losses:
            mean = sum(recent.losses[name] for recent in self._recent) / len(self._recent)
            fields[name] = f"{mean:.3f}"
        for number in self._pretraining.measurements:
            value = self._held_out.get(number.key)
            if number.progress and value is not None:
                fields[number.progress] = number.progress_form.format(value)
        fields[f"{self._pretraining.unit}/s"] = f"{speed:,.0f}"
        fields["of peak"] = f"{flops / self.peak_flops:.0%}"
        self.display.update(progress, seconds_left(self._state.seconds, progress), fields)
