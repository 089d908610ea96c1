"""What pre-training can learn, as plain data that needs no torch.

Each objective's own module in ``selfsup.pretraining`` says how it is computed. What stands here is
read by the command line, by reports and by model cards.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Measurement:
    """A number measured on held-out data.

    Attributes:
        key: its name in ``summary.json``; ``metrics.jsonl`` has it as ``held_out_`` and the key.
        title: its row in a model card; empty if it has none.
        form: how it is written, a format string.
        progress: its label in the line of progress; empty if it is not shown there.
        progress_form: how it is written there.
        curve: its label among the report's curves of accuracy on held-out text; empty if it has
            none.
    """

    key: str
    title: str = ""
    form: str = "{:.3f}"
    progress: str = ""
    progress_form: str = "{:.3f}"
    curve: str = ""


@dataclass(frozen=True)
class ObjectiveInfo:
    """An objective's name, what it is in a few words, and what is measured of it."""

    name: str
    about: str
    measurements: tuple[Measurement, ...]


TEXT = (
    ObjectiveInfo(
        "mlm",
        "masked language modelling",
        (
            Measurement("mlm_loss", "masked-LM loss (nats a masked token)", progress="held out"),
            Measurement("mlm_accuracy", "masked-LM accuracy", "{:.1%}", curve="masked tokens"),
        ),
    ),
    ObjectiveInfo(
        "nsp",
        "next-sentence prediction",
        (Measurement("nsp_accuracy", "next-sentence accuracy", "{:.1%}", curve="next sentence"),),
    ),
)
IMAGES = (
    ObjectiveInfo(
        "inpainting",
        "missing patches",
        (
            Measurement(
                "inpainting_loss", "inpainting loss (of normalised pixels)", progress="held out"
            ),
            Measurement(
                "inpainting_pixel_error", "squared error of the reconstructed pixels", "{:.5f}"
            ),
            Measurement("mean_colour_error", "the same, filling in the mean colour", "{:.5f}"),
        ),
    ),
    ObjectiveInfo(
        "jigsaw",
        "where shuffled tiles belong",
        (
            Measurement("jigsaw_loss"),
            Measurement(
                "jigsaw_accuracy",
                "jigsaw: tiles put right",
                "{:.1%}",
                progress="tiles right",
                progress_form="{:.0%}",
            ),
            Measurement("jigsaw_chance", "the same by chance", "{:.1%}"),
        ),
    ),
)

TEXT_OBJECTIVES = tuple(objective.name for objective in TEXT)
IMAGE_OBJECTIVES = tuple(objective.name for objective in IMAGES)
OBJECTIVES = TEXT_OBJECTIVES + IMAGE_OBJECTIVES
TEXT_MEASUREMENTS = tuple(number for objective in TEXT for number in objective.measurements)
IMAGE_MEASUREMENTS = tuple(number for objective in IMAGES for number in objective.measurements)
# What metrics.jsonl calls a training step's losses, and summary.json the losses on held-out data.
LOSSES = tuple(f"{name}_loss" for name in OBJECTIVES)


def choices_in_words() -> str:
    """The objectives and what they are, for the help."""
    return ". ".join(
        f"From {source}: " + ", ".join(f"{each.name} ({each.about})" for each in objectives)
        for source, objectives in (("text", TEXT), ("images", IMAGES))
    )
