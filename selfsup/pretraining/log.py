"""Between the steps of pre-training: metrics, progress, held-out measurements, checkpoints."""

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import torch

from selfsup.pretraining.modality import Measured, Pretraining
from selfsup.progress import ProgressDisplay, seconds_left
from selfsup.runs.folder import MetricsFile
from selfsup.training.checkpoint import save_checkpoint
from selfsup.training.loop import Extent, RunState, StepReport

_EVALUATIONS = 10  # in a run, unless the user says how often
_CHECKPOINT_SECONDS = 300.0  # between checkpoints, unless the user says how often
_LOG_SECONDS = 1.0  # at most one training line in metrics.jsonl a second
_RATE_STEPS = 20  # speed is shown as a mean over this many steps


class PretrainingLog:
    """Keeps ``metrics.jsonl``, the display and the checkpoints of a run up to date."""

    def __init__(
        self,
        metrics: Path,
        *,
        title: str,
        pretraining: Pretraining,
        optimizer: torch.optim.Optimizer,
        checkpoints: Path,
        extent: Extent,
        state: RunState,
        measure_peak: Callable[[], float],
        learning_rate: float,
        evaluate_every: int | None,
        checkpoint_every: int | None,
    ) -> None:
        self._measure_peak = measure_peak
        self.peak_flops = measure_peak()
        self._metrics = MetricsFile(metrics, keep_until_step=state.step)
        self._display = ProgressDisplay(title)
        self._pretraining, self._optimizer = pretraining, optimizer
        self._checkpoints, self._extent, self._state = checkpoints, extent, state
        self._learning_rate = learning_rate
        self._evaluate_every, self._checkpoint_every = evaluate_every, checkpoint_every
        self._evaluations_done = int(extent.progress(state) * _EVALUATIONS)
        self._last_checkpoint = self._last_line = time.monotonic()
        self._recent: deque[StepReport] = deque(maxlen=_RATE_STEPS)
        self._held_out: Measured = {}

    def __enter__(self) -> "PretrainingLog":
        self._display.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._display.__exit__()
        self._metrics.close()

    def message(self, text: str) -> None:
        self._display.message(text)

    def after_step(self, report: StepReport) -> None:
        """Log a step, and measure or save a checkpoint when it is time to."""
        self._recent.append(report)
        progress = self._extent.progress(self._state)
        is_last = progress >= 1.0
        now = time.monotonic()
        if now - self._last_line >= _LOG_SECONDS or is_last:
            self._last_line = now
            self._metrics.write(self._training_line(report))
        self._show(report, progress)
        if self._is_time_to_evaluate(progress) and not is_last:
            self._evaluate()
        if self._is_time_to_save(now) and not is_last:
            self.save_checkpoint()

    def save_checkpoint(self) -> None:
        """Save a checkpoint now."""
        save_checkpoint(
            self._checkpoints,
            self._state.step,
            self._pretraining.model,
            self._optimizer,
            self._state.to_json(),
        )
        self._last_checkpoint = time.monotonic()

    def _is_time_to_evaluate(self, progress: float) -> bool:
        if self._evaluate_every is not None:
            return self._state.step % self._evaluate_every == 0
        done = int(progress * _EVALUATIONS)
        is_time = done > self._evaluations_done
        self._evaluations_done = done
        return is_time

    def _is_time_to_save(self, now: float) -> bool:
        if self._checkpoint_every is not None:
            return self._state.step % self._checkpoint_every == 0
        return now - self._last_checkpoint >= _CHECKPOINT_SECONDS

    def _evaluate(self) -> None:
        # Measured again, since other programs may have slowed the first measurement.
        self.peak_flops = max(self.peak_flops, self._measure_peak())
        self._held_out = self._pretraining.measure(self._pretraining.quick_size)
        line = self._where()
        for name, value in self._held_out.items():
            if value is not None:
                line[f"held_out_{name}"] = value
        self._metrics.write(line)

    def _where(self) -> dict:
        state = self._state
        return {
            "step": state.step,
            "seconds": round(state.seconds, 3),
            self._pretraining.unit: state.tokens,
        }

    def _rates(self) -> tuple[float, float]:
        """Tokens (or images) and floating-point operations a second, over the last steps."""
        seconds = sum(report.step_seconds for report in self._recent)
        tokens = sum(report.step_tokens for report in self._recent)
        return tokens / seconds, sum(report.step_flops for report in self._recent) / seconds

    def _training_line(self, report: StepReport) -> dict:
        speed, flops = self._rates()
        return {
            **self._where(),
            "loss": sum(report.losses.values()),
            **{f"{name}_loss": value for name, value in report.losses.items()},
            "learning_rate": report.learning_rate_multiplier * self._learning_rate,
            f"{self._pretraining.unit}_per_second": round(speed, 1),
            "flops_utilization": round(flops / self.peak_flops, 4),
            **report.label,
        }

    def _show(self, report: StepReport, progress: float) -> None:
        speed, flops = self._rates()
        mean = {
            name: sum(recent.losses[name] for recent in self._recent) / len(self._recent)
            for name in report.losses
        }
        fields = {"step": str(self._state.step)}
        fields |= {name: f"{value:.3f}" for name, value in mean.items()}
        for number in self._pretraining.measurements:
            value = self._held_out.get(number.key)
            if number.progress and value is not None:
                fields[number.progress] = number.progress_form.format(value)
        fields[f"{self._pretraining.unit}/s"] = f"{speed:,.0f}"
        fields["of peak"] = f"{flops / self.peak_flops:.0%}"
        self._display.update(progress, seconds_left(self._state.seconds, progress), fields)
