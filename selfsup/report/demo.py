"""What a report shows of the demo: the ways to learn its task, compared, and its pre-training."""

from html import escape

from selfsup.report import formatting
from selfsup.report.charts import Bar, bar_chart
from selfsup.report.formatting import read_score, write_score
from selfsup.report.markup import charts, filled_masks, paragraph, section, table
from selfsup.report.pretraining import pretraining_sections, pretraining_tiles
from selfsup.runs.reading import Record, Run, parts_of

# (key in the summary, name, explanation)
Way = tuple[str, str, str]

_MINUS = "\u2212"
_FINE_TUNED, _FROZEN = "all layers are trained", "only the new head is trained"
_SCRATCH = ("scratch", "from scratch", "random weights at the start")

TEXT_WAYS: tuple[Way, ...] = (
    ("pretrained", "pre-trained", _FINE_TUNED),
    ("frozen", "pre-trained, frozen", _FROZEN),
    _SCRATCH,
)
_LEARNED = ("inpainting", "jigsaw", "both")
IMAGE_WAYS: tuple[Way, ...] = (
    *((learned, learned, _FINE_TUNED) for learned in _LEARNED),
    *((f"{learned}_frozen", f"{learned}, frozen", _FROZEN) for learned in _LEARNED),
    _SCRATCH,
)


def is_image_demo(summary: Record) -> bool:
    """Whether this is the summary of the demo with images."""
    return any(key in summary for key, _, _ in IMAGE_WAYS if key != _SCRATCH[0])


def ways_of(summary: Record) -> tuple[Way, ...]:
    """The ways of the demo that wrote this summary."""
    return IMAGE_WAYS if is_image_demo(summary) else TEXT_WAYS


def accuracy_of(summary: Record, way: str) -> object:
    """The accuracy that a way to learn the task has reached, as the summary has it."""
    found = summary.get(way)
    return found.get("accuracy") if isinstance(found, dict) else None


def demo_verdict(summary: Record) -> str:
    """The demo's result in a few sentences; empty if there is nothing to compare."""
    scores = {
        key: score
        for key, _, _ in ways_of(summary)
        if (score := read_score(accuracy_of(summary, key)))
    }
    scratch = scores.get(_SCRATCH[0])
    trained = {key: scores[key] for key in ("pretrained", *_LEARNED) if key in scores}
    if not trained or not scratch:
        return ""
    points = {key: 100 * (score.mean - scratch.mean) for key, score in trained.items()}
    from_scratch = formatting.percent(scratch.mean)
    if "pretrained" in points:
        (effect,) = points.values()
        text = (
            f"Pre-training {'adds' if effect >= 0 else 'costs'} {abs(effect):.1f} points: "
            f"{formatting.percent(trained['pretrained'].mean)} of the examples are right, "
            f"{from_scratch} with random weights at the start."
        )
    else:
        each = ", ".join(f"{key} {effect:+.1f} points" for key, effect in points.items())
        text = (
            f"The effect of pre-training: {each.replace('-', _MINUS)}, compared with random "
            f"weights at the start, which get {from_scratch} of the examples right."
        )
    spread = 100 * max(score.std or 0.0 for score in (scratch, *trained.values()))
    if max(map(abs, points.values())) < spread:
        text += " Seeds differ by more than that."
    better = [
        f"{formatting.percent(frozen.mean)} against {formatting.percent(score.mean)}"
        + (f" ({key})" if key in _LEARNED else "")
        for key, score in trained.items()
        if (frozen := scores.get("frozen" if key == "pretrained" else f"{key}_frozen"))
        and frozen.mean > score.mean
    ]
    if better:
        text += f" Frozen beats fine-tuned: {', '.join(better)}."
    return text


def demo_sections(run: Run) -> str:
    """The accuracy of each way to learn the task, then the pre-training."""
    bars, rows = [], []
    for colour, (key, name, about) in enumerate(ways_of(run.summary)):
        score = read_score(accuracy_of(run.summary, key))
        if score:
            bars.append(Bar(name, score.mean, score.std, colour % 6 + 1))
            each = ", ".join(formatting.percent(value) for value in score.values)
            rows.append([name, write_score("accuracy", score), each or "–", about])
    chart = bar_chart(
        "Accuracy",
        bars,
        unit="on examples not trained on",
        write=formatting.percent,
        write_tick=formatting.round_percent,
    )
    found = demo_verdict(run.summary)
    return (
        (paragraph(found, "verdict") if found else "")
        + section(
            "The effect of pre-training",
            charts(chart),
            paragraph(demo_task(run.summary)),
            table(["Encoder", "Accuracy", "Each seed", ""], rows) if rows else "",
        )
        + _pretraining(run)
    )


def _pretraining(run: Run) -> str:
    # The log is in the demo's own folder, or in run folders of the pre-trainings inside it.
    inner = [] if run.training else [part for part in parts_of(run) if part.kind == "pretrain"]
    if len(inner) > 1:
        shown = ""
        for part in inner:
            objectives = " and ".join(part.settings.get("objectives") or [part.name])
            shown += _heading(f"Pre-training: {objectives}") + pretraining_sections(part)
        return shown
    if run.training or inner:
        body = pretraining_sections(inner[0] if inner else run)
    else:
        body = pretraining_tiles(run)
    masks = section("What it fills in", filled_masks(run.summary.get("fill_mask") or []))
    return (_heading("The pre-training") if body else "") + body + masks


def _heading(title: str) -> str:
    return f'<h2 class="part">{escape(title)}</h2>'


def demo_task(summary: Record) -> str:
    """The demo's task in words; empty if the summary does not describe it."""
    task = summary.get("task")
    task = task if isinstance(task, dict) else {}
    labels = task.get("labels") or []
    sizes = [task.get(f"{part}_examples") for part in ("train", "test")]
    if not labels or not all(map(formatting.is_number, sizes)):
        return ""
    if is_image_demo(summary):
        return (
            f"The task: which digit was written by hand, {labels[0]} to {labels[-1]}? There are "
            f"{sizes[0]} labelled images to learn from and {sizes[1]} to test with, none of them "
            f"seen in pre-training; chance gives {formatting.round_percent(1 / len(labels))}."
        )
    return (
        f"The task: which library does a description come from, {', '.join(labels[:-1])} or "
        f"{labels[-1]}? Its name is removed. There are {sizes[0]} labelled examples to learn "
        f"from and {sizes[1]} to test with, none of them seen in pre-training; chance gives "
        f"{formatting.round_percent(1 / len(labels))}."
    )
