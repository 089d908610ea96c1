"""What a report shows of one pre-training run."""

from selfsup.report import formatting
from selfsup.report.charts.line import Level, line_chart
from selfsup.report.markup import charts, filled_masks, section, tiles
from selfsup.report.sections.images import image_pretraining_sections, image_pretraining_tiles
from selfsup.report.sections.training_curves import (
    axis_of,
    curve,
    effort,
    final_state,
    is_on_images,
    learning_rate_chart,
    loss_chart,
    speed_chart,
)
from selfsup.runs.reading import Run
from selfsup.settings.objectives import TEXT_MEASUREMENTS

# (the chart's title, the key of a held-out measurement, the label of its line)
ACCURACIES = tuple(
    (f"held_out_{number.key}", number.curve) for number in TEXT_MEASUREMENTS if number.curve
)


def pretraining_sections(run: Run) -> str:
    """Tiles, curves, and filled masks or pictures."""
    if is_on_images(run):
        return image_pretraining_sections(run)
    examples = run.summary.get("fill_mask") or []
    return (
        pretraining_tiles(run)
        + section("Curves", charts(*_charts(run)))
        + section("What it fills in", filled_masks(examples))
    )


def pretraining_tiles(run: Run) -> str:
    """The run's results, or how far it has come where it has not ended."""
    if is_on_images(run):
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
    return tiles([*entries, *effort(state, "tokens")])


def _charts(run: Run) -> list[str]:
    training, evaluation = run.training, run.evaluation
    key = "mlm_loss" if any("mlm_loss" in line for line in training) else "loss"
    unigram = run.summary.get("unigram_loss")
    levels = [Level("word frequencies alone", unigram)] if formatting.is_number(unigram) else []
    accuracies = [
        line
        for colour, (key, label) in enumerate(ACCURACIES, 1)
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
