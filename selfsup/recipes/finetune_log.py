"""What a fine-tuning run tells while it goes on: a line of metrics an epoch, and its progress."""

import time
from collections.abc import Callable

from selfsup.recipes.one_seed import EpochReport
from selfsup.training.loop import StepReport
from selfsup.training.metrics_file import MetricsFile
from selfsup.training.progress import ProgressDisplay


class FinetuneLog:
    """Writes ``metrics.jsonl`` and shows how far the seeds are together."""

    def __init__(self, metrics: MetricsFile, display: ProgressDisplay, seeds: int) -> None:
        self._metrics, self._display, self._seeds = metrics, display, seeds
        self._started = time.perf_counter()
        self._begun: list[int] = []

    def of_step(self, seed: int) -> Callable[[StepReport], None]:
        """To be called after each step of a seed."""
        self._begun.append(seed)
        before = len(self._begun) - 1

        def show(report: StepReport) -> None:
            share = (before + report.progress) / self._seeds
            spent = time.perf_counter() - self._started
            fields = {"step": f"{report.state.step}", "loss": f"{sum(report.losses.values()):.3f}"}
            if self._seeds > 1:
                fields = {"seed": f"{seed}", **fields}
            self._display.update(share, spent * (1 / share - 1) if share else None, fields)

        return show

    def of_epoch(self, seed: int) -> Callable[[EpochReport], None]:
        """To be called after each epoch of a seed."""

        def write(report: EpochReport) -> None:
            self._metrics.write(
                {
                    "seed": seed,
                    "epoch": report.epoch,
                    "step": report.step,
                    "train_loss": report.train_loss,
                    "validation": report.validation,
                }
            )
            shown = ", ".join(
                f"{name.replace('_', ' ')} {value:.3f}" for name, value in report.validation.items()
            )
            self._display.message(f"seed {seed}, epoch {report.epoch}: {shown}")

        return write
