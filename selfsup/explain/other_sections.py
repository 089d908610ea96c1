"""The sections beside those on text: the idea, a picture, transfer, what to expect, what to do."""

from collections.abc import Iterable
from html import escape
from typing import NamedTuple

from torch import nn

from selfsup.corpus.tokenizer.wordpiece import vocabulary_size
from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.config import bert_config
from selfsup.explain.course import Course
from selfsup.explain.guesses import TextModel
from selfsup.explain.writing import CoursePage, commands
from selfsup.pretraining.text.model import TextPretrainingModel
from selfsup.report.formatting import percent, whole
from selfsup.report.markup import figure, show_picture
from selfsup.settings.objectives import TEXT_OBJECTIVES
from selfsup.tasks.models import ScoreLayer

_ENCODER, _CLASSES = "bert-mini", 2  # what a transfer is counted for, without a model


def idea(page: CoursePage) -> str:
    """Self-supervised learning in five sentences."""
    sentences = "".join(f"<li>{page.text(f'idea_{number}')}</li>" for number in range(1, 6))
    return page.section("idea", f"<ol>{sentences}</ol>")


def picture(page: CoursePage) -> str:
    """The picture with hidden patches, and as shuffled tiles."""
    steps = page.course.picture
    facts = steps.facts
    masked = {name: facts[name] for name in ("hidden", "patches", "visible")}
    grid = steps.config.grid
    positions = "".join(f"<li>{place}</li>" for place in steps.shuffled.positions[0].tolist())
    return page.section(
        "picture",
        page.paragraph("picture_about", patches=facts["patches"], patch=steps.config.patch_size),
        "" if page.course.settings.image else page.paragraph("picture_sample"),
        f"<h3>{page.text('inpainting')}</h3>",
        page.paragraph(
            "inpainting_about", ratio=percent(facts["hidden"] / facts["patches"], 0), **masked
        ),
        _pictures(
            page,
            ("original", "visible", "target", "mean_colour", "reconstruction"),
            mean_colour=facts["mean_colour_error"],
            reconstruction=facts.get("pixel_error", 0.0),
        ),
        f"<h3>{page.text('jigsaw')}</h3>",
        page.paragraph("jigsaw_about", tiles=facts["patches"]),
        _pictures(page, ("tiles", "shuffled", "restored")),
        figure(
            page.words["positions"],
            f'<ol class="positions" style="--grid:{grid}">{positions}</ol>',
            page.words["positions_about"],
        ),
        page.paragraph("picture_code", kind="source"),
    )


def _pictures(page: CoursePage, names: Iterable[str], **errors: float) -> str:
    facts = page.course.picture.facts
    items = ""
    for name in names:
        if name in page.course.picture.pictures:
            about = page.plain(
                name,
                model=page.model,
                error=f"{errors.get(name, 0):.4f}",
                right=facts.get("tiles_right"),
                tiles=facts["patches"],
            )
            shown = show_picture(page.course.picture.pictures[name], about)
            items += f"<li>{shown}<small>{escape(about)}</small></li>"
    return f'<ul class="row">{items}</ul>'


def transfer(page: CoursePage) -> str:
    """What is kept of a model, and what is replaced."""
    encoder, layers, counts = count_parameters(page.course)
    rows = [
        (
            page.plain(f"part_{part}", layers=layers),
            whole(count),
            page.words[f"fate_{fate}"],
        )
        for part, count, fate in counts
    ]
    unit = page.plain("transfer_unit", encoder=encoder)
    return page.section(
        "transfer",
        page.paragraph("transfer_about"),
        figure(
            page.words["transfer_table"],
            page.table(("part", "parameters", "fate"), rows),
            unit,
        ),
        page.paragraph("transfer_freeze"),
    )


def count_parameters(course: Course) -> tuple[str, int, list[tuple[str, int, str]]]:
    """The encoder's name and layers; for each part its key, its size, and its fate.

    Args:
        course: its model of text is counted, or else a new bert-mini with its vocabulary.
    """
    if isinstance(course.model, TextModel):
        name, model = str(course.settings.model), course.model.model
    else:
        name, config = _ENCODER, bert_config(_ENCODER, vocabulary_size(course.tokenizer))
        model = TextPretrainingModel(BertEncoder(config), TEXT_OBJECTIVES)
    encoder = model.encoder
    parts = [
        ("embeddings", _size(encoder.embeddings), "kept"),
        ("layers", _size(encoder.layers), "kept"),
        ("pooler", _size(encoder.pooler), "kept"),
    ]
    shared = encoder.embeddings.word.weight.numel()  # the scores' matrix is the embedding itself
    for objective, head in model.heads.items():
        size = _size(head) - (shared if objective == "mlm" else 0)
        parts.append((objective, size, "dropped"))
    parts.append(("new", _size(ScoreLayer(encoder.config.hidden_size, _CLASSES)), "new"))
    return name, len(encoder.layers), parts


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


# What pre-training reached in a given time. Every figure is from docs/results.md.
class Measured(NamedTuple):
    """One pre-training of bert-mini, measured on held-out text.

    Attributes:
        minutes: as it is written.
        text: the language of the sample of Wikipedia.
        tokens: how many were read.
        loss: nats a masked token.
        by_frequency: the loss of guessing by frequency, where the table names it.
        masked: per cent of masked tokens right.
        following: per cent of next sentences right.
        how: the key, in the words of the page, of what was special.
    """

    minutes: str
    text: str
    tokens: str
    loss: str
    by_frequency: str
    masked: str
    following: str
    how: str


REACHED_ON_TEXT = (
    Measured("1:40", "en", "0.46 M", "5.96", "7.01", "13.9", "76.8", "how_early"),
    Measured("3", "en", "1.59 M", "5.27", "7.18", "22.4", "86.7", "how_quiet"),
    Measured("5", "en", "1.64 M", "5.03", "7.01", "21.0", "82.5", "how_one_core"),
    Measured("10", "en", "5.88 M", "4.53", "7.19", "29.4", "88.9", "how_quiet"),
    Measured("30", "en", "16.2 M", "4.04", "7.19", "34.7", "90.7", "how_quiet"),
    Measured("10", "ko", "6.39 M", "4.64", "8.20", "26.6", "90.7", "how_quiet"),
    Measured("35", "ko", "10.9 M", "4.26", "8.20", "31.7", "92.3", "how_one_core_16k"),
)
# Fine-tuned after ten minutes, and from random weights.
TRANSFER = {
    "snli": "61.5", "snli_random": "54.2", "korsts": "61.3", "korsts_random": "16.6",
    "sst": "79.5", "sst_random": "78.8",
}  # fmt: skip
REACHED_ON_IMAGES = {"error": "62.8", "tiles": "28.7", "chance": "2.8"}


def expect(page: CoursePage) -> str:
    """What pre-training reached in some minutes."""
    rows = [
        (
            page.plain("minutes", minutes=each.minutes),
            page.words[f"text_{each.text}"],
            each.tokens,
            each.loss,
            each.by_frequency,
            f"{each.masked}\u00a0%",
            f"{each.following}\u00a0%",
            page.words[each.how],
        )
        for each in REACHED_ON_TEXT
    ]
    columns = (
        "minutes",
        "text",
        "read",
        "nats",
        "frequency",
        "masked_right",
        "next_right",
        "how",
    )
    quiet = [each for each in REACHED_ON_TEXT if (each.text, each.how) == ("en", "how_quiet")]
    losses = {each.minutes: each.loss for each in quiet}
    return page.section(
        "expect",
        page.paragraph("expect_about"),
        page.table(columns, rows),
        page.paragraph("expect_3"),
        page.paragraph("expect_10", **TRANSFER),
        page.paragraph("expect_30", nats_10=losses["10"], nats_30=losses["30"]),
        page.paragraph("expect_images", **REACHED_ON_IMAGES),
    )


def next_steps(page: CoursePage) -> str:
    """Commands to type."""
    korean = page.course.language == "ko"
    masked = "환자에게 [MASK] 약을 주었습니다." if korean else "The patient was given [MASK]."
    return page.section(
        "next",
        page.paragraph("next_about"),
        commands(
            "selfsup pretrain my-texts/ --encoder bert-mini --out runs/mine --budget 10m",
            f'selfsup fill-mask runs/mine "{masked}"',
            "selfsup finetune sequence-classification --encoder runs/mine --train train.tsv "
            "--validation dev.tsv --out runs/task",
            "selfsup report runs/mine",
        ),
        page.paragraph("next_again"),
        commands('selfsup explain "…" --model runs/mine'),
        page.paragraph("next_demo"),
        commands("selfsup demo"),
    )
