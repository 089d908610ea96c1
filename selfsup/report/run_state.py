"""What a pre-training run has come to, and its logged numbers as lines of a chart."""

from collections.abc import Sequence

from selfsup.report import numbers
from selfsup.report.line_chart import Line
from selfsup.report.run_folder import Record, Run

# What a log calls a training step's loss, and a summary the loss on held-out data.
_LOSSES = ("mlm_loss", "nsp_loss", "inpainting_loss", "jigsaw_loss")
_HELD_OUT = "held_out_"
IMAGE_OBJECTIVES = ("inpainting", "jigsaw")


def final_state(run: Run) -> Record:
    """The summary's figures; for a run that has not ended, the last that it logged."""
    state: Record = {}
    for line in run.metrics:
        state |= {key: value for key, value in line.items() if key not in ("loss", *_LOSSES)}
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
    if numbers.is_number(seen := state.get(counted)):
        steps = state.get("steps")
        about = f"in {steps:,} steps" if numbers.is_number(steps) else ""
        entries.append((f"{counted.capitalize()} seen", numbers.count(seen), about))
    if numbers.is_number(rate := state.get(f"{counted}_per_second")):
        share = state.get("flops_utilization")
        about = f"{counted} a second"
        if numbers.is_number(share):
            about += f"; {numbers.percent(share, 0)} of the machine's peak"
        entries.append(("Speed", numbers.count(rate), about))
    if numbers.is_number(seconds := state.get("seconds")):
        entries.append(("Time", numbers.duration(seconds), "of training"))
    return entries


def values(records: Sequence[Record], key: str) -> list[float]:
    """A key's values, NaN where a record has none."""
    return [
        float(record[key]) if numbers.is_number(record.get(key)) else float("nan")
        for record in records
    ]


def curve(
    label: str, records: Sequence[Record], x: str, y: str, colour: int = 1, **style
) -> list[Line]:
    """The line of key `y` over key `x` in the records that have both, none if there are none."""
    both = [line for line in records if numbers.is_number(line.get(x)) and y in line]
    return [Line(label, values(both, x), values(both, y), colour, **style)] if both else []
