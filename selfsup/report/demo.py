"""The ways in which a demo learns its task, and what they come to in a sentence."""

from html import escape

from selfsup.report import formatting
from selfsup.report.bar_and_scatter_charts import Bar, bar_chart
from selfsup.report.markup import charts, filled_masks, paragraph, section, table
from selfsup.report.pretraining import pretraining_sections, pretraining_tiles
from selfsup.report.scores import read_score, write_score
from selfsup.runs.reading import Record, Run, parts_of

# (key in the summary, name, what it means)
Way = tuple[str, str, str]

_FINE_TUNED, _FROZEN = "all layers learn on", "only the new head learns"
_SCRATCH = ("scratch", "from scratch", "random weights at the start")

TEXT_WAYS: tuple[Way, ...] = (
    ("pretrained", "pre-trained", _FINE_TUNED),
    ("frozen", "pre-trained, frozen", _FROZEN),
    _SCRATCH,
)
IMAGE_WAYS: tuple[Way, ...] = (
    ("inpainting", "inpainting", _FINE_TUNED),
    ("jigsaw", "jigsaw", _FINE_TUNED),
    ("both", "both", _FINE_TUNED),
    ("inpainting_frozen", "inpainting, frozen", _FROZEN),
    ("jigsaw_frozen", "jigsaw, frozen", _FROZEN),
    ("both_frozen", "both, frozen", _FROZEN),
    _SCRATCH,
)


def is_on_images(summary: Record) -> bool:
    """Whether a demo's summary is of the one with images."""
    return any(key in summary for key, _, _ in IMAGE_WAYS if key != _SCRATCH[0])


def ways_of(summary: Record) -> tuple[Way, ...]:
    """Those of the demo that a summary is of."""
    return IMAGE_WAYS if is_on_images(summary) else TEXT_WAYS


def verdict(summary: Record) -> str:
    """The demo's result in a sentence, or nothing where half of it is missing."""
    scores = {
        key: score
        for key, _, about in ways_of(summary)
        if about != _FROZEN and (score := read_score((summary.get(key) or {}).get("accuracy")))
    }
    scratch = scores.pop(_SCRATCH[0], None)
    if not scores or not scratch:
        return ""
    points = {key: 100 * (score.mean - scratch.mean) for key, score in scores.items()}
    from_scratch = formatting.percent(scratch.mean)
    if "pretrained" in points:
        (worth,) = points.values()
        return (
            f"Pre-training {'is worth' if worth >= 0 else 'costs'} {abs(worth):.1f} points: "
            f"{formatting.percent(scores['pretrained'].mean)} of the examples right, where random "
            f"weights get to {from_scratch}."
        )
    each = [f"{key} {worth:+.1f} points".replace("-", "\u2212") for key, worth in points.items()]
    return (
        f"What pre-training is worth: {', '.join(each)}, where random weights get "
        f"{from_scratch} of the examples right."
    )


# What a report shows of the demo.


def demo_sections(run: Run) -> str:
    """The ways to learn the task side by side, then the pre-training."""
    bars, rows = [], []
    for colour, (key, name, about) in enumerate(ways_of(run.summary)):
        score = read_score((run.summary.get(key) or {}).get("accuracy"))
        if score:
            bars.append(Bar(name, score.mean, score.std, colour % 6 + 1))
            each = ", ".join(formatting.percent(value) for value in score.values)
            rows.append([name, about, write_score("accuracy", score), each or "–"])
    return section(
        "What pre-training is worth",
        charts(
            bar_chart(
                "Accuracy",
                bars,
                unit="on examples not trained on",
                write=formatting.percent,
                write_tick=formatting.round_percent,
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
    if not labels or not all(map(formatting.is_number, sizes)):
        return ""
    if is_on_images(summary):
        return (
            f"The task: which digit was written by hand, {labels[0]} to {labels[-1]}? There are "
            f"{sizes[0]} labelled images to learn from and {sizes[1]} to test with, none of them "
            f"seen in pre-training; chance gives {formatting.round_percent(1 / len(labels))}."
        )
    return (
        f"The task: which library does a description come from, {', '.join(labels[:-1])} or "
        f"{labels[-1]}? Its name is taken out. There are {sizes[0]} labelled examples to learn "
        f"from and {sizes[1]} to test with, none of them seen in pre-training; chance gives "
        f"{formatting.round_percent(1 / len(labels))}."
    )
