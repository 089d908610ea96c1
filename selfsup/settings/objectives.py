"""What pre-training can learn, as plain data that needs no torch.

Each objective's own module in ``selfsup.pretraining`` says how it is computed. What stands here is
read by the command line, by reports and by model cards.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Measurement:
    """A number measured on held-out data, and how it is shown.

    Attributes:
        key: its name in ``summary.json``; ``metrics.jsonl`` has it as ``held_out_`` and the key.
        title: its row in a model card; empty if it has none.
        form: how it is written, a format string.
        progress: its label in the line of progress; empty if it is not shown there.
        progress_form: how it is written there.
        name: the title of its tile and its charts in a report.
        row: its row in a report's comparison of runs, if not its name.
        about: what the tile says beside the number; empty if it has no tile.
        relative: the tile shows by how much it differs from its baseline, in per cent.
        main: the objective's main result, which a comparison also draws against time.
        unit: of the vertical axis of its charts; empty if it has none.
        chart: their title on the page of one run, if not its name. Those with the same title are
            drawn in one chart.
        baseline: the value to compare it with, or that one's key.
        compared: what the tile adds where the baseline is known, with the fields ``{value}`` and
            ``{baseline}``.
        level: the baseline's name in charts.
        height: where it is drawn there.
    """

    key: str
    title: str = ""
    form: str = "{:.3f}"
    progress: str = ""
    progress_form: str = "{:.3f}"
    name: str = ""
    row: str = ""
    about: str = ""
    relative: bool = False
    main: bool = False
    unit: str = ""
    chart: str = ""
    baseline: str | float = ""
    compared: str = ""
    level: str = ""
    height: Callable[[float], float] = float

    @property
    def is_loss(self) -> bool:
        return self.key.endswith("loss")


@dataclass(frozen=True)
class ObjectiveInfo:
    """An objective's name, what it is in a few words, and what is measured of it."""

    name: str
    about: str
    measurements: tuple[Measurement, ...]


_MASKED_TOKENS, _PIXELS = "nats per masked token", "squared error of normalised pixels"

TEXT = (
    ObjectiveInfo(
        "mlm",
        "masked language modelling",
        (
            Measurement(
                "mlm_loss",
                "masked-LM loss (nats a masked token)",
                progress="held out",
                name="Held-out loss",
                about=_MASKED_TOKENS,
                main=True,
                unit=_MASKED_TOKENS,
                chart="Loss",
                baseline="unigram_loss",
                compared="; {baseline:.2f} by word frequency alone",
                level="word frequencies alone",
            ),
            Measurement(
                "mlm_accuracy",
                "masked-LM accuracy",
                "{:.1%}",
                name="Masked tokens",
                about="guessed right, held out",
                unit="share guessed right",
                chart="Held-out accuracy",
            ),
        ),
    ),
    ObjectiveInfo(
        "nsp",
        "next-sentence prediction",
        (
            Measurement(
                "nsp_accuracy",
                "next-sentence accuracy",
                "{:.1%}",
                name="Next sentence",
                about="right",
                unit="share guessed right",
                chart="Held-out accuracy",
                baseline=0.5,
                compared="; chance is {baseline:.0%}",
                level="chance",
            ),
        ),
    ),
)
IMAGES = (
    ObjectiveInfo(
        "inpainting",
        "missing patches",
        (
            Measurement(
                "inpainting_loss",
                "inpainting loss (of normalised pixels)",
                progress="held out",
                name="Inpainting loss",
                about=f"{_PIXELS}, held out",
                unit=_PIXELS,
            ),
            Measurement(
                "inpainting_pixel_error",
                "squared error of the reconstructed pixels",
                "{:.5f}",
                name="Reconstruction",
                row="Squared error of missing pixels",
                about="squared error compared with the mean colour's",
                relative=True,
                main=True,
                unit="mean squared error of missing pixels",
                baseline="mean_colour_error",
                compared=": {value:.4f} against {baseline:.4f}",
                level="mean colour",
            ),
            Measurement(
                "mean_colour_error",
                "the same, filling in the mean colour",
                "{:.5f}",
                row="The same, with the mean colour",
            ),
        ),
    ),
    ObjectiveInfo(
        "jigsaw",
        "where shuffled tiles belong",
        (
            Measurement(
                "jigsaw_loss",
                name="Jigsaw loss",
                unit="nats a tile",
                baseline="jigsaw_chance",
                level="guessing",
                height=lambda chance: -math.log(chance),
            ),
            Measurement(
                "jigsaw_accuracy",
                "jigsaw: tiles put right",
                "{:.1%}",
                progress="tiles right",
                progress_form="{:.0%}",
                name="Jigsaw",
                row="Tiles put right",
                about="of the tiles put right",
                main=True,
                unit="share of tiles put right",
                baseline="jigsaw_chance",
                compared="; chance is {baseline:.1%}",
                level="chance",
            ),
            Measurement("jigsaw_chance", "the same by chance", "{:.1%}", row="The same by chance"),
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
