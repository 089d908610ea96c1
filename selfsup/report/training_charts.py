"""The charts that pre-training on text and on images have in common."""

from collections.abc import Sequence

from selfsup.report import numbers
from selfsup.report.line_chart import Level, Line, line_chart, smoothed
from selfsup.report.run_folder import Run
from selfsup.report.run_state import curve


def loss_chart(
    title: str,
    run: Run,
    counted: str,
    trained: str,
    held_out: str,
    unit: str,
    levels: Sequence[Level] = (),
) -> str:
    """A loss of each training step, its course, and the loss that was measured on held-out data.

    Args:
        title: of the chart.
        run: with its metrics.
        counted: what the run's size is counted in, ``"tokens"`` or ``"images"``.
        trained: the key of the loss in the lines of training steps.
        held_out: its key in the lines of measurements.
        unit: what it is measured in.
        levels: to compare it with.
    """
    raw = curve("training, each step", run.training, counted, trained, 2, style="faint")
    smooth = [Line("training", line.x, smoothed(line.y), 2) for line in raw]
    measured = curve("held out", run.evaluation, counted, held_out, 1)
    return line_chart(
        title,
        [*raw, *smooth, *measured],
        y_label=unit,
        levels=levels,
        skip_start=0.03,
        **axis_of(counted),
    )


def learning_rate_chart(run: Run, counted: str) -> str:
    """The learning rate over what was seen."""
    return line_chart(
        "Learning rate",
        curve("", run.training, counted, "learning_rate", 3),
        y_label="",
        write_y=numbers.scientific,
        from_zero=True,
        **axis_of(counted),
    )


def speed_chart(run: Run, counted: str) -> str:
    """What was seen a second, over what was seen."""
    speed = curve("", run.training, counted, f"{counted}_per_second", 5, style="faint")
    return line_chart(
        "Speed",
        [*speed, *(Line("", line.x, smoothed(line.y), 5) for line in speed)],
        y_label=f"{counted} a second",
        write_y=numbers.count,
        from_zero=True,
        **axis_of(counted),
    )


def axis_of(counted: str) -> dict:
    """The horizontal axis of a chart over tokens or images."""
    return {"x_label": f"{counted} seen", "write_x": numbers.count}
