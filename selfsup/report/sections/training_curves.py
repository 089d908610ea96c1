"""What a pre-training run has come to, and its logged numbers as lines of a chart."""

from collections.abc import Sequence

from selfsup.report import formatting
from selfsup.report.charts.line import Level, Line, line_chart, smoothed
from selfsup.runs.reading import Record, Run
from selfsup.settings.objectives import IMAGE_OBJECTIVES, LOSSES

_HELD_OUT = "held_out_"


def final_state(run: Run) -> Record:
    """The summary's figures; for a run that has not ended, the last that it logged."""
    state: Record = {}
    for line in run.metrics:
        state |= {key: value for key, value in line.items() if key not in ("loss", *LOSSES)}
    for name in [key for key in state if key.startswith(_HELD_OUT)]:
        state[name.removeprefix(_HELD_OUT)] = state[name]
    if "step" in state:
        state["steps"] = state["step"]
    return state | {key: value for key, value in run.summary.items() if value is not None}


def is_on_images(run: Run) -> bool:
    """Whether what the run learns from is images."""
    objectives = run.settings.get("objectives") or ()
    return bool(set(IMAGE_OBJECTIVES) & set(objectives)) or "images" in final_state(run)


def effort(state: Record, counted: str) -> list[tuple[str, str, str]]:
    """Tiles of how much was seen, how fast, and in what time.

    Args:
        state: what the run has come to.
        counted: what its size is counted in, ``"tokens"`` or ``"images"``.
    """
    entries = []
    if formatting.is_number(seen := state.get(counted)):
        steps = state.get("steps")
        about = f"in {steps:,} steps" if formatting.is_number(steps) else ""
        entries.append((f"{counted.capitalize()} seen", formatting.count(seen), about))
    if formatting.is_number(rate := state.get(f"{counted}_per_second")):
        share = state.get("flops_utilization")
        about = f"{counted} a second"
        if formatting.is_number(share):
            about += f"; {formatting.percent(share, 0)} of the machine's peak"
        entries.append(("Speed", formatting.count(rate), about))
    if formatting.is_number(seconds := state.get("seconds")):
        entries.append(("Time", formatting.duration(seconds), "of training"))
    return entries


def values(records: Sequence[Record], key: str) -> list[float]:
    """A key's values, NaN where a record has none."""
    return [
        float(record[key]) if formatting.is_number(record.get(key)) else float("nan")
        for record in records
    ]


def curve(
    label: str, records: Sequence[Record], x: str, y: str, colour: int = 1, **style
) -> list[Line]:
    """The line of key `y` over key `x` in the records that have both, none if there are none."""
    both = [line for line in records if formatting.is_number(line.get(x)) and y in line]
    return [Line(label, values(both, x), values(both, y), colour, **style)] if both else []


# The charts that pre-training on text and on images have in common.


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
        write_y=formatting.scientific,
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
        write_y=formatting.count,
        from_zero=True,
        **axis_of(counted),
    )


def axis_of(counted: str) -> dict:
    """The horizontal axis of a chart over tokens or images."""
    return {"x_label": f"{counted} seen", "write_x": formatting.count}
