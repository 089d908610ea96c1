"""What a report shows of the demo."""

from html import escape

from selfsup.report import numbers
from selfsup.report.bar_chart import Bar, bar_chart
from selfsup.report.demo_ways import is_on_images, verdict, ways_of
from selfsup.report.markup import charts, filled_masks, paragraph, section, table
from selfsup.report.pretraining import pretraining_sections, pretraining_tiles
from selfsup.report.run_folder import Record, Run, parts_of
from selfsup.report.scores import read_score, write_score


def demo_sections(run: Run) -> str:
    """The ways to learn the task side by side, then the pre-training."""
    bars, rows = [], []
    for colour, (key, name, about) in enumerate(ways_of(run.summary)):
        score = read_score((run.summary.get(key) or {}).get("accuracy"))
        if score:
            bars.append(Bar(name, score.mean, score.std, colour % 6 + 1))
            each = ", ".join(numbers.percent(value) for value in score.values)
            rows.append([name, about, write_score("accuracy", score), each or "–"])
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
    ) + _pretraining(run)


def _pretraining(run: Run) -> str:
    # The demo's own lines are those of its pre-training, unless that has a folder of its own.
    inner = [] if run.training else [part for part in parts_of(run) if part.kind == "pretrain"]
    masks = section("What it fills in", filled_masks(run.summary.get("fill_mask") or []))
    if len(inner) > 1:
        return "".join(
            _heading(f"Pre-training: {_objectives(part)}") + pretraining_sections(part)
            for part in inner
        )
    if run.training or inner:
        body = pretraining_sections(inner[0] if inner else run)
    else:
        body = pretraining_tiles(run)
    return (_heading("The pre-training") if body else "") + body + masks


def _heading(title: str) -> str:
    return f'<h2 class="part">{escape(title)}</h2>'


def _objectives(run: Run) -> str:
    return " and ".join(run.settings.get("objectives") or [run.name])


def demo_task(summary: Record) -> str:
    """What the demo's task was, or nothing where the summary does not say."""
    task = summary.get("task") or {}
    labels = task.get("labels") or []
    sizes = [task.get(f"{part}_examples") for part in ("train", "test")]
    if not labels or not all(map(numbers.is_number, sizes)):
        return ""
    if is_on_images(summary):
        return (
            f"The task: which digit was written by hand, {labels[0]} to {labels[-1]}? There are "
            f"{sizes[0]} labelled images to learn from and {sizes[1]} to test with, none of them "
            f"seen in pre-training; chance gives {numbers.round_percent(1 / len(labels))}."
        )
    return (
        f"The task: which library does a description come from, {', '.join(labels[:-1])} or "
        f"{labels[-1]}? Its name is taken out. There are {sizes[0]} labelled examples to learn "
        f"from and {sizes[1]} to test with, none of them seen in pre-training; chance gives "
        f"{numbers.round_percent(1 / len(labels))}."
    )
