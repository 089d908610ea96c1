"""What a report shows of one pre-training run, and of several in common charts.

Which measurements there are, and how each is shown, ``settings.objectives`` says.
"""

from collections.abc import Callable, Sequence
from functools import partial

from selfsup.report import formatting
from selfsup.report.line_chart import Level, Line, line_chart, smoothed
from selfsup.report.markup import (
    best_in_bold,
    charts,
    filled_masks,
    paragraph,
    section,
    table,
    tiles,
)
from selfsup.report.pictures import filled_images, filled_images_comparison
from selfsup.report.training_curves import (
    NamedRuns,
    axis_of,
    counted_by,
    curve,
    final_state,
    of_steps,
    speed_chart,
    throughput_tiles,
)
from selfsup.runs.reading import Record, Run
from selfsup.settings.objectives import IMAGES, TEXT, Measurement

_NOT_RANKED = (
    "These runs differ in what they were measured on (held-out data, tokenizer or patches), so "
    "they are not ranked."
)
# Figures that are equal in runs measured on the same held-out data with the same tokenizer.
_OF_THE_DATA = ("unigram_loss", "mean_colour_error", "jigsaw_chance", "held_out_documents",
                "held_out_images")  # fmt: skip
_MEASUREMENTS = [number for each in (*TEXT, *IMAGES) for number in each.measurements]
# Of training, where no objective's own loss is drawn.
_TOTAL_LOSS = Measurement("loss", name="Loss", unit="nats")
# A loss falls so steeply in this share of the training that the rest would look flat.
_STEEP_START = 0.03


def pretraining_sections(run: Run) -> str:
    """Tiles, curves, and filled masks or filled-in images."""
    return (
        pretraining_tiles(run)
        + section("What it makes of images it never saw", *filled_images(run))
        + section("Curves", charts(*_charts(run)))
        + section("What it fills in", filled_masks(run.summary.get("fill_mask") or []))
    )


def pretraining_tiles(run: Run) -> str:
    """The run's results, or its latest figures if it has not ended."""
    state = final_state(run)
    entries = []
    for objective in (*TEXT, *IMAGES):
        # A result relative to a baseline sums up its objective, and comes first.
        for number in sorted(objective.measurements, key=lambda number: not number.relative):
            value, baseline = state.get(number.key), _baseline(number, state)
            if not number.about or not formatting.is_number(value):
                continue
            title, about, shown = number.name, number.about, _written(number, value)
            if number.relative:
                if not baseline:
                    continue
                title = objective.name.capitalize()
                shown = formatting.spaced(f"{value / baseline - 1:+.1%}").replace("-", "\u2212")
            if baseline is not None:
                about += number.compared.format(value=value, baseline=baseline)
            entries.append((title, shown, formatting.spaced(about)))
    return tiles([*entries, *throughput_tiles(state, counted_by(run))])


def _baseline(number: Measurement, state: Record) -> float | None:
    """What a measurement is to be compared with, if it is known."""
    known = state.get(number.baseline) if isinstance(number.baseline, str) else number.baseline
    return known if formatting.is_number(known) else None


def _charts(run: Run) -> list[str]:
    counted = counted_by(run)
    shown = [number for number in _MEASUREMENTS if number.unit]
    if not any(number.key in line for number in shown for line in run.training):
        shown.insert(0, _TOTAL_LOSS)
    by_title: dict[str, list[Measurement]] = {}
    for number in shown:
        by_title.setdefault(number.chart or number.name, []).append(number)
    figures = [_chart(title, numbers, run, counted) for title, numbers in by_title.items()]
    rate = curve("", run.training, counted, "learning_rate", 3)
    look = {"from_zero": True, **axis_of(counted)}
    figures.append(line_chart("Learning rate", rate, write_y=formatting.scientific, **look))
    if len({line.get("max_length") for line in run.training}) > 1:
        lengths = curve("", run.training, counted, "max_length", 4, steps=True)
        figures.append(line_chart("Sequence length", lengths, y_label="longest, in tokens", **look))
    speed = of_steps("", run, counted, f"{counted}_per_second", 5)
    return [*figures, speed_chart(speed, counted)]


def _chart(title: str, numbers: list[Measurement], run: Run, counted: str) -> str:
    """A chart of measurements that share it; with one, the name of its curve is not needed."""
    state = final_state(run)
    lines: list[Line] = []
    levels = []
    for colour, number in enumerate(numbers, 1):
        name = number.name.lower() if len(numbers) > 1 else ""
        drawn = of_steps("training", run, counted, number.key, 2) if number.is_loss else []
        drawn += curve(name or "held out", run.evaluation, counted, _held_out(number), colour)
        baseline = _baseline(number, state)
        if drawn and baseline is not None:
            label = f"{number.level}, {name}" if name else number.level
            levels.append(Level(label, number.height(baseline)))
        lines += drawn
    is_loss = numbers[0].is_loss
    return line_chart(
        title,
        lines,
        y_label=numbers[0].unit,
        percent=_is_share(numbers[0]),
        levels=levels,
        from_zero=not is_loss,
        skip_start=_STEEP_START if is_loss else 0,
        **axis_of(counted),
    )


def _written(number: Measurement, value: float) -> str:
    return formatting.spaced(number.form.format(value))


def _held_out(number: Measurement) -> str:
    return f"held_out_{number.key}"


def _is_share(number: Measurement) -> bool:
    return "%" in number.form


def pretraining_comparison(runs: NamedRuns) -> str:
    """One section for runs on text, and one for runs on images."""
    by_source = {
        source: [(name, run) for name, run in runs if counted_by(run) == counted]
        for source, counted in (("text", "tokens"), ("images", "images"))
    }
    title = "Pre-training: {}" if all(by_source.values()) else "Pre-training"
    return "".join(
        section(title.format(source), *_compared(some, counted_by(some[0][1])))
        for source, some in by_source.items()
        if some
    )


def _compared(runs: NamedRuns, counted: str) -> list[str]:
    """Charts of what has a tile, the main results against time as well; a table; pictures."""
    time, size = _time_axis(runs)
    figures = []
    for number in _MEASUREMENTS:
        if not number.about:
            continue
        look = {
            "y_label": number.unit,
            "percent": _is_share(number),
            "levels": _levels(runs, number),
            "from_zero": number.main and not number.is_loss,
            "skip_start": _STEEP_START if number.is_loss else 0,
        }
        seen = _overlaid(runs, counted, number)
        figures.append(line_chart(number.name, seen, **look, **axis_of(counted)))
        if number.main:
            timed = _overlaid(runs, "seconds", number, size)
            figures.append(line_chart(f"{number.name}, against time", timed, **look, **time))
    speeds = [
        Line(name, line.x, smoothed(line.y), colour % 6 + 1)
        for colour, (name, run) in enumerate(runs)
        for line in curve(name, run.training, counted, f"{counted}_per_second")
    ]
    figures.append(speed_chart(speeds, counted))
    states = [final_state(run) for _, run in runs]
    ranked = all(_is_shared(key, states) for key in _OF_THE_DATA)
    return [
        "" if ranked else paragraph(_NOT_RANKED, "note"),
        charts(*figures),
        _results(runs, counted, ranked=ranked),
        *filled_images_comparison(runs),
    ]


def _is_shared(key: str, states: Sequence[Record]) -> bool:
    """Whether a figure is equal, but for rounding, in all runs that have it."""
    return (
        len({f"{state[key]:.3g}" for state in states if formatting.is_number(state.get(key))}) < 2
    )


def _overlaid(runs: NamedRuns, x: str, number: Measurement, divide_by: float = 1) -> list[Line]:
    """The runs' curves of a measurement on held-out data; one colour per run."""
    return [
        Line(name, [value / divide_by for value in line.x], line.y, colour % 6 + 1)
        for colour, (name, run) in enumerate(runs)
        for line in curve(name, run.evaluation, x, _held_out(number))
    ]


def _levels(runs: NamedRuns, number: Measurement) -> list[Level]:
    """The levels to compare a measurement with, one for each different value."""
    by_value: dict[float, list[str]] = {}
    for name, run in runs:
        measured = run.evaluation[-1] if run.evaluation else {}
        state = {key.removeprefix("held_out_"): value for key, value in measured.items()}
        level = _baseline(number, state)
        if level is not None:
            by_value.setdefault(round(level, 6), []).append(name)
    if len(by_value) == 1:
        return [Level(number.level, level) for level in by_value]
    return [
        Level(f"{number.level}, {', '.join(names)}", level) for level, names in by_value.items()
    ]


def _time_axis(runs: NamedRuns) -> tuple[dict, float]:
    """A time axis and the seconds in its unit, of which the longest run takes three or more."""
    longest = max((final_state(run).get("seconds") or 0 for _, run in runs), default=0)
    unit, size = next(
        entry for entry in (("hours", 3600), ("minutes", 60), ("seconds", 1))
        if longest >= 3 * entry[1] or entry[1] == 1
    )  # fmt: skip
    return {"x_label": unit, "write_x": lambda x: f"{x:.4g}"}, size


def _results(runs: NamedRuns, counted: str, *, ranked: bool) -> str:
    """A row for each measurement, and for the amount of data, the speed and the time.

    ranked: write the best in bold.
    """
    # (key in the final state, name, format, whether the most, the least or none of them is best)
    results: list[tuple[str, str, Callable[[float], str], Callable[..., float] | None]] = []
    for number in _MEASUREMENTS:
        best_of = min if formatting.less_is_better(number.key) else max
        name = number.row or number.name
        results.append(
            (number.key, name, partial(_written, number), best_of if number.unit else None)
        )
    results += [
        (counted, f"{counted.capitalize()} seen", formatting.count, None),
        ("steps", "Steps", formatting.whole, None),
        (f"{counted}_per_second", f"{counted.capitalize()} a second", formatting.count, max),
        ("flops_utilization", "Hardware utilisation", formatting.percent, max),
        ("seconds", "Time", formatting.duration, None),
    ]
    states = [final_state(run) for _, run in runs]
    rows = []
    for key, name, write, best_of in results:
        given = [state.get(key) for state in states]
        known = [value for value in given if formatting.is_number(value)]
        if not known:
            continue
        cells = [write(v) if formatting.is_number(v) else "–" for v in given]
        if ranked and best_of and len(set(known)) > 1:
            cells = best_in_bold(cells, given, best_of)
        rows.append([name, *cells])
    return table(["", *(name for name, _ in runs)], rows) if rows else ""
