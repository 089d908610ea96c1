"""What a report shows of the demo."""

from selfsup.report import numbers
from selfsup.report.bar_chart import Bar, bar_chart
from selfsup.report.markup import charts, filled_masks, paragraph, section, table
from selfsup.report.pretraining import pretraining_sections, pretraining_tiles
from selfsup.report.run_folder import Record, Run, parts_of
from selfsup.report.scores import read_score, write_score

# The demo's three ways to learn one task: (key, its name on the page, what it means).
WAYS = (
    ("pretrained", "pre-trained", "all layers learn on"),
    ("frozen", "pre-trained, frozen", "only the head learns"),
    ("scratch", "from scratch", "random weights at the start"),
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
