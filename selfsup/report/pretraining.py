"""What a report shows of one pre-training run."""

from collections.abc import Sequence

from selfsup.report import numbers
from selfsup.report.line_chart import Level, Line, line_chart, smoothed
from selfsup.report.markup import charts, filled_masks, section, tiles
from selfsup.report.run_folder import Record, Run

# (the chart's title, the key of a held-out measurement, the label of its line)
ACCURACIES = (
    ("held_out_mlm_accuracy", "masked tokens"),
    ("held_out_nsp_accuracy", "next sentence"),
)


def pretraining_sections(run: Run) -> str:
    """Tiles, curves and filled masks."""
    examples = run.summary.get("fill_mask") or []
    return (
        pretraining_tiles(run)
        + section("Curves", charts(*_charts(run)))
        + section("What it fills in", filled_masks(examples))
    )


def pretraining_tiles(run: Run) -> str:
    """The run's results, or how far it has come where it has not ended."""
    state = final_state(run)
    entries = []
    if numbers.is_number(loss := state.get("mlm_loss")):
        baseline = run.summary.get("unigram_loss")
        about = "nats per masked token"
        if numbers.is_number(baseline):
            about += f"; {baseline:.2f} by word frequency alone"
        entries.append(("Held-out loss", f"{loss:.3f}", about))
    if numbers.is_number(accuracy := state.get("mlm_accuracy")):
        entries.append(("Masked tokens", numbers.percent(accuracy), "guessed right, held out"))
    if numbers.is_number(accuracy := state.get("nsp_accuracy")):
        entries.append(("Next sentence", numbers.percent(accuracy), "right; chance is 50\u00a0%"))
    if numbers.is_number(tokens := state.get("tokens")):
        steps = state.get("steps")
        about = f"in {steps:,} steps" if numbers.is_number(steps) else ""
        entries.append(("Tokens seen", numbers.count(tokens), about))
    if numbers.is_number(rate := state.get("tokens_per_second")):
        share = state.get("flops_utilization")
        about = "tokens a second"
        if numbers.is_number(share):
            about += f"; {numbers.percent(share, 0)} of the machine's peak"
        entries.append(("Speed", numbers.count(rate), about))
    if numbers.is_number(seconds := state.get("seconds")):
        entries.append(("Time", numbers.duration(seconds), "of training"))
    return tiles(entries)


def final_state(run: Run) -> Record:
    """The summary's figures; for a run that has not ended, the last that it logged."""
    state: Record = {}
    for line in run.metrics:
        # A training step's losses: in a summary mlm_loss means the held-out one.
        state |= {
            key: value for key, value in line.items() if key not in ("loss", "mlm_loss", "nsp_loss")
        }
    for name in ("mlm_loss", "mlm_accuracy", "nsp_accuracy"):
        if f"held_out_{name}" in state:
            state[name] = state[f"held_out_{name}"]
    if "step" in state:
        state["steps"] = state["step"]
    return state | {key: value for key, value in run.summary.items() if value is not None}


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


def _charts(run: Run) -> list[str]:
    over_tokens = {"x_label": "tokens seen", "write_x": numbers.count}
    training, evaluation = run.training, run.evaluation
    key = "mlm_loss" if any("mlm_loss" in line for line in training) else "loss"
    raw = curve("training, each step", training, "tokens", key, 2, style="faint")
    smooth = [Line("training", line.x, smoothed(line.y), 2) for line in raw]
    held_out = curve("held out", evaluation, "tokens", "held_out_mlm_loss", 1)
    unigram = run.summary.get("unigram_loss")
    levels = [Level("word frequencies alone", unigram)] if numbers.is_number(unigram) else []
    accuracies = [
        line
        for colour, (key, label) in enumerate(ACCURACIES, 1)
        for line in curve(label, evaluation, "tokens", key, colour)
    ]
    speed = curve("", training, "tokens", "tokens_per_second", 5, style="faint")
    has_nsp = any("held_out_nsp_accuracy" in line for line in evaluation)
    return [
        line_chart(
            "Loss",
            [*raw, *smooth, *held_out],
            y_label="nats per masked token",
            levels=levels,
            skip_start=0.03,
            **over_tokens,
        ),
        line_chart(
            "Held-out accuracy",
            accuracies,
            y_label="share guessed right",
            percent=True,
            levels=[Level("chance, next sentence", 0.5)] if has_nsp else (),
            from_zero=True,
            **over_tokens,
        ),
        line_chart(
            "Learning rate",
            curve("", training, "tokens", "learning_rate", 3),
            y_label="",
            write_y=numbers.scientific,
            from_zero=True,
            **over_tokens,
        ),
        line_chart(
            "Sequence length",
            curve("", training, "tokens", "max_length", 4, steps=True),
            y_label="longest, in tokens",
            from_zero=True,
            **over_tokens,
        )
        if len({line.get("max_length") for line in training}) > 1
        else "",
        line_chart(
            "Speed",
            [*speed, *(Line("", line.x, smoothed(line.y), 5) for line in speed)],
            y_label="tokens a second",
            write_y=numbers.count,
            from_zero=True,
            **over_tokens,
        ),
    ]
