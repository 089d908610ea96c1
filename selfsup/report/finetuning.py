"""What a report shows of one fine-tuning run, and of the demo."""

from dataclasses import dataclass

from selfsup.report import numbers
from selfsup.report.bar_chart import Bar, bar_chart
from selfsup.report.line_chart import Line, line_chart
from selfsup.report.markup import (
    charts,
    confusion_matrix,
    filled_masks,
    paragraph,
    section,
    table,
    tiles,
)
from selfsup.report.pretraining import pretraining_sections, pretraining_tiles, values
from selfsup.report.run_folder import Record, Run, parts_of

# The metrics that are shares, written in per cent; the correlations are not.
_ANSWERS = ("exact_match", "f1", "has_answer_exact_match", "has_answer_f1",
            "no_answer_exact_match", "no_answer_f1")  # fmt: skip
SHARES = frozenset(("accuracy", "precision", "recall", "f1_macro", "subset_accuracy", *_ANSWERS))

# The demo's three ways to learn one task: (key, its name on the page, what it means).
WAYS = (
    ("pretrained", "pre-trained", "all layers learn on"),
    ("frozen", "pre-trained, frozen", "only the head learns"),
    ("scratch", "from scratch", "random weights at the start"),
)


@dataclass(frozen=True)
class Score:
    """A metric over one run or several."""

    mean: float
    std: float | None = None
    values: tuple[float, ...] = ()


def finetuning_sections(run: Run) -> str:
    """Tiles, the validation curve of each seed, and the confusion matrix."""
    confusion = run.summary.get("confusion") or {}
    matrix = (
        confusion_matrix(confusion["labels"], confusion["matrix"])
        if {"labels", "matrix"} <= set(confusion)
        else ""
    )
    return (
        tiles(_tiles(run))
        + section("Curves", charts(*_charts(run)))
        + section("Where it errs", matrix)
    )


def demo_sections(run: Run) -> str:
    """The three ways to learn the task side by side, then the pre-training."""
    bars, rows = [], []
    for colour, (key, name, about) in enumerate(WAYS, 1):
        score = read_score((run.summary.get(key) or {}).get("accuracy"))
        if score:
            bars.append(Bar(name, score.mean, score.std, colour))
            each = ", ".join(numbers.percent(value) for value in score.values)
            rows.append([name, about, write_score("accuracy", score), each or "–"])
    # The demo's own lines are those of its pre-training, unless that has a folder of its own.
    inner = [part for part in parts_of(run) if part.kind == "pretrain"]
    if run.training:
        body = pretraining_sections(run)
    elif inner:
        body = pretraining_sections(inner[0])
    else:
        body = pretraining_tiles(run)
    masks = section("What it fills in", filled_masks(run.summary.get("fill_mask") or []))
    return section(
        "What pre-training is worth",
        charts(
            bar_chart(
                "Accuracy",
                bars,
                unit="on examples not trained on",
                write=numbers.percent,
                write_tick=numbers.round_percent,
            ),
            paragraph(verdict(run.summary), "verdict"),
        ),
        paragraph(demo_task(run.summary)),
        table(["Encoder", "", "Accuracy", "Each seed"], rows) if rows else "",
    ) + (f'<h2 class="part">The pre-training</h2>{body}{masks}' if body else masks)


def verdict(summary: Record) -> str:
    """The demo's result in a sentence, or nothing where half of it is missing."""
    pretrained, scratch = (
        read_score((summary.get(key) or {}).get("accuracy")) for key in ("pretrained", "scratch")
    )
    if not pretrained or not scratch:
        return ""
    points = 100 * (pretrained.mean - scratch.mean)
    worth = "is worth" if points >= 0 else "costs"
    return (
        f"Pre-training {worth} {abs(points):.1f} points: {numbers.percent(pretrained.mean)} of the "
        f"examples right, where random weights get to {numbers.percent(scratch.mean)}."
    )


def demo_task(summary: Record) -> str:
    """What the demo's task was, or nothing where the summary does not say."""
    task = summary.get("task") or {}
    labels = task.get("labels") or []
    sizes = [task.get(f"{part}_examples") for part in ("train", "test")]
    if not labels or not all(map(numbers.is_number, sizes)):
        return ""
    return (
        f"The task: which library does a description come from, {', '.join(labels[:-1])} or "
        f"{labels[-1]}? Its name is taken out. There are {sizes[0]} labelled examples to learn "
        f"from and {sizes[1]} to test with, none of them seen in pre-training; chance gives "
        f"{numbers.round_percent(1 / len(labels))}."
    )


def read_score(entry: object) -> Score | None:
    """A metric of a summary, which gives one number, or mean, std and values over seeds."""
    if numbers.is_number(entry):
        return Score(float(entry))
    if not isinstance(entry, dict) or not numbers.is_number(entry.get("mean")):
        return None
    values = tuple(float(value) for value in entry.get("values", []) if numbers.is_number(value))
    several = numbers.is_number(entry.get("std")) and len(values) != 1
    return Score(float(entry["mean"]), float(entry["std"]) if several else None, values)


def write_score(name: str, score: Score) -> str:
    """`71.2 % ± 1.1 %`, or the one number where there is one run."""
    mean = write_metric(name, score.mean)
    return mean if score.std is None else f"{mean} ± {write_metric(name, score.std)}"


def write_metric(name: str, value: float) -> str:
    """A metric's value: shares in per cent, correlations and losses as they are."""
    return numbers.percent(value) if name in SHARES else f"{value:.3f}"


def metric_title(name: str) -> str:
    """`matthews_correlation` → `Matthews correlation`; `no_answer_f1` → `No answer F1`."""
    return name.replace("_", " ").capitalize().replace("f1", "F1")


def _tiles(run: Run) -> list[tuple[str, str, str]]:
    entries = []
    for name, entry in (run.summary.get("metrics") or {}).items():
        if not (score := read_score(entry)):
            continue
        about = ""
        if score.std is not None:
            about = f"± {write_metric(name, score.std)} over {len(score.values)} seeds"
        entries.append((metric_title(name), write_metric(name, score.mean), about))
    if numbers.is_number(seconds := run.summary.get("seconds")):
        entries.append(("Time", numbers.duration(seconds), "of fine-tuning"))
    return entries


def _charts(run: Run) -> list[str]:
    seeds = sorted({line.get("seed", 0) for line in run.epochs})
    by_seed = {seed: [line for line in run.epochs if line.get("seed", 0) == seed] for seed in seeds}
    names = {name for line in run.epochs for name in line["validation"]}
    # In the order of the summary, what is not in it after that.
    order = list(run.summary.get("metrics") or {})
    figures = []
    for name in sorted(names, key=lambda name: (order.index(name) if name in order else 99, name)):
        lines = [
            Line(
                f"seed {seed}" if len(seeds) > 1 else "",
                _epochs(records),
                values([record["validation"] for record in records], name),
                colour % 6 + 1,
            )
            for colour, (seed, records) in enumerate(by_seed.items())
        ]
        figures.append(
            line_chart(
                f"Validation: {metric_title(name)}",
                lines,
                x_label="epoch",
                whole_x=True,
                y_label="",
                write_x=lambda x: f"{x:g}",
                percent=name in SHARES,
            )
        )
    losses = [
        Line(
            f"seed {seed}" if len(seeds) > 1 else "",
            _epochs(records),
            values(records, "train_loss"),
            colour % 6 + 1,
        )
        for colour, (seed, records) in enumerate(by_seed.items())
    ]
    figures.append(
        line_chart(
            "Training loss",
            losses,
            x_label="epoch",
            whole_x=True,
            y_label="nats an example",
            write_x=lambda x: f"{x:g}",
            write_y=lambda y: f"{y:.3g}",
            from_zero=True,
        )
    )
    return figures


def _epochs(records: list[Record]) -> list[float]:
    return [float(record.get("epoch", number)) for number, record in enumerate(records, 1)]
