"""What the pages of all pre-training runs share: their final figures, and charts of their logs."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from selfsup.report import formatting
from selfsup.report.line_chart import Line, line_chart, smoothed
from selfsup.runs.reading import Record, Run
from selfsup.settings.objectives import IMAGE_OBJECTIVES, LOSSES

_HELD_OUT = "held_out_"

NamedRuns = list[tuple[str, Run]]

# The horizontal axis of a chart over epochs.
EPOCHS: dict[str, Any] = {"x_label": "epoch", "write_x": "{:g}".format, "whole_x": True}


def final_state(run: Run) -> Record:
    """The summary's figures, or the last logged ones if the run has not ended."""
    state: Record = {}
    for line in run.metrics:
        state |= {key: value for key, value in line.items() if key not in ("loss", *LOSSES)}
    for name in [key for key in state if key.startswith(_HELD_OUT)]:
        state[name.removeprefix(_HELD_OUT)] = state[name]
    if "step" in state:
        state["steps"] = state["step"]
    return state | {key: value for key, value in run.summary.items() if value is not None}


def counted_by(run: Run) -> Literal["tokens", "images"]:
    """The unit of the amount of data that a pre-training run learned from."""
    objectives = run.settings.get("objectives") or ()
    on_images = set(IMAGE_OBJECTIVES) & set(objectives) or "images" in final_state(run)
    return "images" if on_images else "tokens"


def throughput_tiles(state: Record, counted: str) -> list[tuple[str, str, str]]:
    """Tiles of the amount of data (``counted``: tokens or images), the speed and the time."""
    entries = []
    if formatting.is_number(seen := state.get(counted)):
        steps = state.get("steps")
        about = f"in {steps:,} step{'s' * (steps != 1)}" if formatting.is_number(steps) else ""
        entries.append((f"{counted.capitalize()} seen", formatting.count(seen), about))
    if formatting.is_number(rate := state.get(f"{counted}_per_second")):
        share = state.get("flops_utilization")
        about = f"{counted} a second"
        if formatting.is_number(share):
            about += f"; hardware utilisation {formatting.percent(share, 0)}"
        entries.append(("Speed", formatting.count(rate), about))
    if formatting.is_number(seconds := state.get("seconds")):
        entries.append(("Time", formatting.duration(seconds), "of training"))
    return entries


def values(records: Iterable[Record], key: str) -> list[float]:
    """A key's values; NaN where a record has none."""
    return [
        float(record[key]) if formatting.is_number(record.get(key)) else float("nan")
        for record in records
    ]


def curve(
    label: str, records: Sequence[Record], x: str, y: str, colour: int = 1, **style
) -> list[Line]:
    """The line of key `y` over key `x` in the records that have both; empty if none has."""
    both = [line for line in records if formatting.is_number(line.get(x)) and y in line]
    return [Line(label, values(both, x), values(both, y), colour, **style)] if both else []


def of_steps(label: str, run: Run, counted: str, key: str, colour: int) -> list[Line]:
    """What each training step logged, faint, and the same smoothed."""
    name = f"{label}, each step" if label else ""
    raw = curve(name, run.training, counted, key, colour, style="faint")
    return [*raw, *(Line(label, line.x, smoothed(line.y), colour) for line in raw)]


def speed_chart(lines: Sequence[Line], counted: str) -> str:
    """Tokens or images per second, over the tokens or images seen."""
    return line_chart(
        "Speed",
        lines,
        y_label=f"{counted} a second",
        write_y=formatting.count,
        from_zero=True,
        **axis_of(counted),
    )


def axis_of(counted: str) -> dict[str, Any]:
    """The horizontal axis of a chart over tokens or images."""
    return {"x_label": f"{counted} seen", "write_x": formatting.count}
