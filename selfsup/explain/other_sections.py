"""The sections beside those on text: the idea, a picture, transfer, what to expect, what to do."""

from collections.abc import Iterable
from html import escape

from selfsup.explain import expectations
from selfsup.explain.transfer import count_parameters
from selfsup.explain.writing import CoursePage, commands
from selfsup.report.formatting import percent, whole
from selfsup.report.markup import figure, show_picture


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
        for each in expectations.TEXT
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
    quiet = [each for each in expectations.TEXT if each.how == "how_quiet"]
    return page.section(
        "expect",
        page.paragraph("expect_about"),
        page.table(columns, rows),
        page.paragraph("expect_3"),
        page.paragraph("expect_10", **expectations.TRANSFER),
        page.paragraph("expect_30", nats_10=quiet[0].loss, nats_30=quiet[1].loss),
        page.paragraph("expect_images", **expectations.IMAGES),
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
