"""What a report shows of one pre-training run, and of several in common charts."""

from collections.abc import Callable, Sequence

from selfsup.report import formatting
from selfsup.report.image_pretraining import (
    LOSS_UNIT,
    PIXEL_UNIT,
    filled_images_comparison,
    image_pretraining_sections,
    image_pretraining_tiles,
)
from selfsup.report.line_chart import Level, Line, line_chart, smoothed
from selfsup.report.markup import charts, filled_masks, section, table, tiles
from selfsup.report.training_curves import (
    NamedRuns,
    axis_of,
    curve,
    final_state,
    is_image_pretraining,
    learning_rate_chart,
    loss_chart,
    speed_chart,
    throughput_tiles,
)
from selfsup.runs.reading import Run
from selfsup.settings.objectives import TEXT_MEASUREMENTS

# (key of a measurement on held-out data, label of its line)
_ACCURACIES = tuple(
    (f"held_out_{number.key}", number.curve) for number in TEXT_MEASUREMENTS if number.curve
)


def pretraining_sections(run: Run) -> str:
    """Tiles, curves, and filled masks or filled-in images."""
    if is_image_pretraining(run):
        return image_pretraining_sections(run)
    examples = run.summary.get("fill_mask") or []
    return (
        pretraining_tiles(run)
        + section("Curves", charts(*_charts(run)))
        + section("What it fills in", filled_masks(examples))
    )


def pretraining_tiles(run: Run) -> str:
    """The run's results, or its latest figures if it has not ended."""
    if is_image_pretraining(run):
        return image_pretraining_tiles(run)
    state = final_state(run)
    entries = []
    if formatting.is_number(loss := state.get("mlm_loss")):
        baseline = run.summary.get("unigram_loss")
        about = "nats per masked token"
        if formatting.is_number(baseline):
            about += f"; {baseline:.2f} by word frequency alone"
        entries.append(("Held-out loss", f"{loss:.3f}", about))
    if formatting.is_number(accuracy := state.get("mlm_accuracy")):
        entries.append(("Masked tokens", formatting.percent(accuracy), "guessed right, held out"))
    if formatting.is_number(accuracy := state.get("nsp_accuracy")):
        entries.append(
            ("Next sentence", formatting.percent(accuracy), "right; chance is 50\u00a0%")
        )
    return tiles([*entries, *throughput_tiles(state, "tokens")])


def _charts(run: Run) -> list[str]:
    training, evaluation = run.training, run.evaluation
    key = "mlm_loss" if any("mlm_loss" in line for line in training) else "loss"
    unigram = run.summary.get("unigram_loss")
    levels = [Level("word frequencies alone", unigram)] if formatting.is_number(unigram) else []
    accuracies = [
        line
        for colour, (key, label) in enumerate(_ACCURACIES, 1)
        for line in curve(label, evaluation, "tokens", key, colour)
    ]
    has_nsp = any("held_out_nsp_accuracy" in line for line in evaluation)
    return [
        loss_chart(
            "Loss", run, "tokens", key, "held_out_mlm_loss", "nats per masked token", levels
        ),
        line_chart(
            "Held-out accuracy",
            accuracies,
            y_label="share guessed right",
            percent=True,
            levels=[Level("chance, next sentence", 0.5)] if has_nsp else (),
            from_zero=True,
            **axis_of("tokens"),
        ),
        learning_rate_chart(run, "tokens"),
        line_chart(
            "Sequence length",
            curve("", training, "tokens", "max_length", 4, steps=True),
            y_label="longest, in tokens",
            from_zero=True,
            **axis_of("tokens"),
        )
        if len({line.get("max_length") for line in training}) > 1
        else "",
        speed_chart(run, "tokens"),
    ]


# (key in the final state, name, format, whether more is better; None: neither more nor less)
Result = tuple[str, str, Callable[[float], str], bool | None]

_RESULTS: tuple[Result, ...] = (
    ("mlm_loss", "Held-out loss", "{:.3f}".format, False),
    ("mlm_accuracy", "Masked tokens", formatting.percent, True),
    ("nsp_accuracy", "Next sentence", formatting.percent, True),
    ("tokens", "Tokens seen", formatting.count, None),
    ("steps", "Steps", "{:,.0f}".format, None),
    ("tokens_per_second", "Tokens a second", formatting.count, True),
    ("flops_utilization", "Utilisation", formatting.percent, True),
    ("seconds", "Time", formatting.duration, None),
)
_IMAGE_RESULTS: tuple[Result, ...] = (
    ("inpainting_loss", "Inpainting loss", "{:.3f}".format, False),
    ("inpainting_pixel_error", "Squared error of missing pixels", "{:.5f}".format, False),
    ("mean_colour_error", "The same, with the mean colour", "{:.5f}".format, None),
    ("jigsaw_loss", "Jigsaw loss", "{:.3f}".format, False),
    ("jigsaw_accuracy", "Tiles put right", formatting.percent, True),
    ("jigsaw_chance", "The same by chance", formatting.percent, None),
    ("images", "Images seen", formatting.count, None),
    ("steps", "Steps", "{:,.0f}".format, None),
    ("images_per_second", "Images a second", formatting.count, True),
    ("flops_utilization", "Utilisation", formatting.percent, True),
    ("seconds", "Time", formatting.duration, None),
)


def pretraining_comparison(runs: NamedRuns) -> str:
    """One section for runs on text, and one for runs on images."""
    on_images = [(name, run) for name, run in runs if is_image_pretraining(run)]
    on_text = [(name, run) for name, run in runs if not is_image_pretraining(run)]
    title = "Pre-training: {}" if on_images and on_text else "Pre-training"
    return section(title.format("text"), *_of_text(on_text)) + section(
        title.format("images"), *_of_images(on_images)
    )


def _of_text(runs: NamedRuns) -> list[str]:
    if not runs:
        return []
    loss = {"y_label": "nats per masked token", "skip_start": 0.03}
    share = {"y_label": "share guessed right", "percent": True}
    tokens, time, size = axis_of("tokens"), *_time_axis(runs)
    held_out_nsp = _overlaid(runs, "tokens", "held_out_nsp_accuracy")
    chance = [Level("chance", 0.5)] if held_out_nsp else []
    return [
        charts(
            line_chart(
                "Held-out loss", _overlaid(runs, "tokens", "held_out_mlm_loss"), **loss, **tokens
            ),
            line_chart(
                "Held-out loss, against time",
                _overlaid(runs, "seconds", "held_out_mlm_loss", size),
                **loss,
                **time,
            ),
            line_chart(
                "Masked tokens",
                _overlaid(runs, "tokens", "held_out_mlm_accuracy"),
                **share,
                **tokens,
            ),
            line_chart("Next sentence", held_out_nsp, levels=chance, **share, **tokens),
            _speed(runs, "tokens"),
        ),
        _results(runs, _RESULTS),
    ]


def _of_images(runs: NamedRuns) -> list[str]:
    if not runs:
        return []
    images, time, size = axis_of("images"), *_time_axis(runs)
    error, accuracy = "held_out_inpainting_pixel_error", "held_out_jigsaw_accuracy"
    reconstruction = {
        "y_label": PIXEL_UNIT,
        "levels": _levels(runs, "mean colour", "held_out_mean_colour_error"),
        "from_zero": True,
    }
    jigsaw = {
        "y_label": "share of tiles put right",
        "levels": _levels(runs, "chance", "held_out_jigsaw_chance"),
        "percent": True,
        "from_zero": True,
    }
    return [
        charts(
            line_chart(
                "Inpainting loss",
                _overlaid(runs, "images", "held_out_inpainting_loss"),
                y_label=LOSS_UNIT,
                skip_start=0.03,
                **images,
            ),
            line_chart(
                "Reconstruction", _overlaid(runs, "images", error), **reconstruction, **images
            ),
            line_chart(
                "Reconstruction, against time",
                _overlaid(runs, "seconds", error, size),
                **reconstruction,
                **time,
            ),
            line_chart("Jigsaw", _overlaid(runs, "images", accuracy), **jigsaw, **images),
            line_chart(
                "Jigsaw, against time",
                _overlaid(runs, "seconds", accuracy, size),
                **jigsaw,
                **time,
            ),
            _speed(runs, "images"),
        ),
        _results(runs, _IMAGE_RESULTS),
        *filled_images_comparison(runs),
    ]


def _overlaid(runs: NamedRuns, x: str, y: str, divide_by: float = 1.0) -> list[Line]:
    """The runs' curves of a measurement on held-out data, or of the speed; one colour per run."""
    is_speed = not y.startswith("held_out")
    return [
        Line(
            name,
            [value / divide_by for value in line.x],
            smoothed(line.y) if is_speed else line.y,
            colour % 6 + 1,
        )
        for colour, (name, run) in enumerate(runs)
        for line in curve(name, run.training if is_speed else run.evaluation, x, y)
    ]


def _levels(runs: NamedRuns, label: str, key: str) -> list[Level]:
    """The levels to compare the measurements with, one for each different value."""
    by_value: dict[float, list[str]] = {}
    for name, run in runs:
        level = run.evaluation[-1].get(key) if run.evaluation else None
        if formatting.is_number(level):
            by_value.setdefault(round(level, 6), []).append(name)
    if len(by_value) == 1:
        return [Level(label, level) for level in by_value]
    return [Level(f"{label}, {', '.join(names)}", level) for level, names in by_value.items()]


def _speed(runs: NamedRuns, counted: str) -> str:
    return line_chart(
        "Speed",
        _overlaid(runs, counted, f"{counted}_per_second"),
        y_label=f"{counted} a second",
        write_y=formatting.count,
        from_zero=True,
        **axis_of(counted),
    )


def _time_axis(runs: NamedRuns) -> tuple[dict, float]:
    """A time axis and the seconds in its unit, of which the longest run takes three or more."""
    longest = max((final_state(run).get("seconds") or 0 for _, run in runs), default=0)
    unit, size = next(
        entry for entry in (("hours", 3600), ("minutes", 60), ("seconds", 1))
        if longest >= 3 * entry[1] or entry[1] == 1
    )  # fmt: skip
    return {"x_label": unit, "write_x": lambda x: f"{x:.4g}"}, size


def _results(runs: NamedRuns, results: Sequence[Result]) -> str:
    states = [final_state(run) for _, run in runs]
    rows, strong = [], set()
    for key, name, write, more_is_better in results:
        given = [state.get(key) for state in states]
        known = [value for value in given if formatting.is_number(value)]
        if not known:
            continue
        rows.append([name] + [write(v) if formatting.is_number(v) else "–" for v in given])
        if more_is_better is not None and len(set(known)) > 1:
            best = (max if more_is_better else min)(known)
            strong |= {(len(rows) - 1, column) for column, v in enumerate(given, 1) if v == best}
    return table(["", *(name for name, _ in runs)], rows, strong=strong) if rows else ""
