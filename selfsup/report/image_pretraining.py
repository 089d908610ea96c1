"""What a report shows of pre-training on images."""

import math

from selfsup.report import numbers
from selfsup.report.filled_images import filled_images
from selfsup.report.line_chart import Level, line_chart
from selfsup.report.markup import charts, section, tiles
from selfsup.report.run_folder import Run
from selfsup.report.run_state import curve, effort, final_state
from selfsup.report.training_charts import axis_of, learning_rate_chart, loss_chart, speed_chart

LOSS_UNIT = "squared error of normalised pixels"
PIXEL_UNIT = "mean squared error of missing pixels"


def image_pretraining_sections(run: Run) -> str:
    """Tiles, pictures and curves."""
    return (
        image_pretraining_tiles(run)
        + section("What it makes of images it never saw", *filled_images(run))
        + section("Curves", charts(*_charts(run)))
    )


def image_pretraining_tiles(run: Run) -> str:
    """The run's results, or how far it has come where it has not ended."""
    state = final_state(run)
    entries = []
    error, baseline = state.get("inpainting_pixel_error"), state.get("mean_colour_error")
    if numbers.is_number(error) and numbers.is_number(baseline) and baseline > 0:
        change = f"{100 * (error / baseline - 1):+.1f}\u00a0%".replace("-", "\u2212")
        about = f"squared error beside the mean colour's: {error:.4f} against {baseline:.4f}"
        entries.append(("Inpainting", change, about))
    if numbers.is_number(loss := state.get("inpainting_loss")):
        entries.append(("Inpainting loss", f"{loss:.3f}", f"{LOSS_UNIT}, held out"))
    if numbers.is_number(accuracy := state.get("jigsaw_accuracy")):
        chance = state.get("jigsaw_chance")
        about = "of the tiles put right"
        if numbers.is_number(chance):
            about += f"; chance is {numbers.percent(chance)}"
        entries.append(("Jigsaw", numbers.percent(accuracy), about))
    return tiles([*entries, *effort(state, "images")])


def _charts(run: Run) -> list[str]:
    # Beside the curves stands what was measured with them, on as many images.
    measured = (run.evaluation or [run.summary])[-1]
    mean_colour = measured.get("held_out_mean_colour_error")
    chance = measured.get("held_out_jigsaw_chance")
    if not numbers.is_number(chance) or not 0 < chance <= 1:
        chance = None
    return [
        loss_chart(
            "Inpainting loss",
            run,
            "images",
            "inpainting_loss",
            "held_out_inpainting_loss",
            LOSS_UNIT,
        ),
        line_chart(
            "Reconstruction",
            curve("held out", run.evaluation, "images", "held_out_inpainting_pixel_error"),
            y_label=PIXEL_UNIT,
            levels=[Level("mean colour", mean_colour)] if numbers.is_number(mean_colour) else (),
            from_zero=True,
            **axis_of("images"),
        ),
        loss_chart(
            "Jigsaw loss",
            run,
            "images",
            "jigsaw_loss",
            "held_out_jigsaw_loss",
            "nats a tile",
            [Level("guessing", -math.log(chance))] if chance is not None else (),
        ),
        line_chart(
            "Jigsaw",
            curve("held out", run.evaluation, "images", "held_out_jigsaw_accuracy"),
            y_label="share of tiles put right",
            percent=True,
            levels=[Level("chance", chance)] if chance is not None else (),
            from_zero=True,
            **axis_of("images"),
        ),
        learning_rate_chart(run, "images"),
        speed_chart(run, "images"),
    ]
