"""The course page: one HTML file that needs no network and no other file."""

import math
import re
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from typing import Any

import numpy as np

from selfsup import __version__
from selfsup.corpus.tokenizer.fast_wordpiece import vocabulary_size
from selfsup.explain import expectations, text_steps
from selfsup.explain.course import Course, NamedPair
from selfsup.explain.guesses import TextModel
from selfsup.explain.text_steps import Hidden
from selfsup.explain.transfer import count_parameters
from selfsup.explain.words import WORDS
from selfsup.report.formatting import percent, whole
from selfsup.report.markup import abbreviated, caption, charts, figure, section, show_picture, table

# Identifies a course page: no other page begins with exactly this.
BEGIN = "<!doctype html>\n<!-- a course page, written by selfsup explain -->\n"
_TOKENS_SIDE_BY_SIDE = 40


def course_page(course: Course) -> str:
    """The page's HTML."""
    return _Page(course).html()


class _Page:
    """One method for each section."""

    def __init__(self, course: Course) -> None:
        self.course, self.words = course, WORDS[course.language]
        self.vocab = whole(vocabulary_size(course.tokenizer))
        self.model = course.settings.model or ""

    def html(self) -> str:
        style = "".join(
            resources.files(package).joinpath(name).read_text(encoding="utf-8")
            for package, name in (("selfsup.report", "page.css"), ("selfsup.explain", "course.css"))
        )
        title = self.text("title")
        sections = (
            self.idea, self.tokens, self.masking, self.pair, self.picture, self.transfer,
            self.expect, self.next,
        )  # fmt: skip
        return (
            f'{BEGIN}<html lang="{self.course.language}"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            '<meta name="color-scheme" content="light dark">'
            f"<title>{title} · selfsup</title><style>{style}</style></head>"
            f'<body class="course"><main><header><p class="what">{self.text("what")}</p>'
            f"<h1>{title}</h1>"
            f"<blockquote>{escape(abbreviated(self.course.text))}</blockquote>"
            f"{self.paragraph('subtitle', seed=self.course.settings.seed)}</header>"
            f"{''.join(write() for write in sections)}"
            f"<footer>selfsup {__version__}</footer></main></body></html>\n"
        )

    def idea(self) -> str:
        sentences = "".join(f"<li>{self.text(f'idea_{number}')}</li>" for number in range(1, 6))
        return self.section("idea", f"<ol>{sentences}</ol>")

    def tokens(self) -> str:
        course = self.course
        ids = course.sequence.input_ids
        tokens, special = course.tokens(ids), course.special_tokens
        parts = [self.paragraph("tokens_about"), _strip(tokens, [str(n) for n in ids], special)]
        if isinstance(course.model, TextModel):
            parts.append(self.paragraph("tokens_model", model=self.model, vocab=self.vocab))
        else:
            parts.append(self.paragraph("tokens_own", vocab=self.vocab))
            if course.text != course.text.lower():
                parts.append(self.paragraph("tokens_lowercase"))
        if (total := course.tokens_in_all) > (shown := len(ids) - 2):
            parts.append(
                self.paragraph("tokens_cut", total=whole(total), longest=shown + 2, shown=shown)
            )
        if "[UNK]" in tokens:
            parts.append(self.paragraph("tokens_unknown"))
        return self.section("tokens", *parts)

    def masking(self) -> str:
        course, hidden = self.course, self.course.hidden
        count, probability = course.can_hide, text_steps.PROBABILITY
        parts = []
        if hidden.seed != course.settings.seed:
            given = course.settings.seed
            parts.append(self.paragraph("masking_none", given=given, seed=hidden.seed))
        parts += [
            self.paragraph(
                "masking_about",
                probability=percent(probability, 0),
                seed=hidden.seed,
                chosen=len(hidden.rows),
                count=count,
                expected=f"{probability * count:.1f}",
            ),
            self.paragraph(
                "masking_rule", **{name: percent(s, 0) for name, s in text_steps.SHARES.items()}
            ),
            self.hidden_strip(hidden),
            self.legend(),
            self.answers(),
            self.paragraph("masking_why"),
            self.paragraph(
                "loss_about",
                vocab=self.vocab,
                uniform=f"{math.log(vocabulary_size(course.tokenizer)):.2f}",
            ),
            self.guesses(),
            charts(self.seeds(), self.shares()),
            self.paragraph("masking_code", kind="source"),
        ]
        return self.section("masking", *parts)

    def hidden_strip(self, hidden: Hidden, longest: int | None = None) -> str:
        """What the model reads; under each chosen token stands the right answer."""
        course = self.course
        under, kinds = [""] * len(hidden.seen), list(course.special_tokens)
        for row, answer, action in zip(
            hidden.rows, course.tokens(hidden.answers), hidden.actions, strict=True
        ):
            under[row], kinds[row] = answer, action
        return _strip(course.tokens(hidden.seen)[:longest], under, kinds)

    def legend(self) -> str:
        items = "".join(
            f'<li class="{action}"><b>{self.text(f"action_{action}")}</b></li>'
            for action in text_steps.SHARES
        )
        return f'<ul class="tokens legend">{items}</ul>'

    def answers(self) -> str:
        hidden, course = self.course.hidden, self.course
        rows = [
            (str(row), token, str(number), self.words[f"action_{action}"], seen)
            for row, token, number, action, seen in zip(
                hidden.rows,
                course.tokens(hidden.answers),
                hidden.answers,
                hidden.actions,
                course.tokens(hidden.seen[hidden.rows]),
                strict=True,
            )
        ]
        heading = caption(self.words["masking_answers"], self.words["masking_answers_about"])
        return figure(heading, self.table(("position", "token", "id", "action", "seen"), rows))

    def guesses(self) -> str:
        course = self.course
        if not course.guesses:
            is_of_text = isinstance(course.model, TextModel)
            return "" if is_of_text else self.paragraph("guesses_try")
        losses = [-math.log(max(each["probability"], 1e-30)) for each in course.guesses]
        rows = [
            (
                str(row),
                token,
                percent(guess["probability"]),
                f"{loss:.2f}",
                ", ".join(f"{name} {percent(share)}" for name, share in guess["guesses"]),
            )
            for row, token, guess, loss in zip(
                course.hidden.rows,
                course.tokens(course.hidden.answers),
                course.guesses,
                losses,
                strict=True,
            )
        ]
        about = self.plain("guesses_about", loss=f"{np.mean(losses):.2f}")
        return figure(
            caption(self.plain("guesses", model=self.model), about),
            self.table(("position", "token", "probability", "loss", "guesses"), rows),
        )

    def seeds(self) -> str:
        strips = ""
        for hidden in (self.course.hidden, *self.course.others):
            name = self.text("seed", seed=hidden.seed)
            if not len(hidden.rows):
                name += f": {self.text('nothing_chosen')}"
            strips += f"<p>{name}</p>{self.hidden_strip(hidden, _TOKENS_SIDE_BY_SIDE)}"
        about = self.words["seeds_about"]
        if len(self.course.sequence.input_ids) > _TOKENS_SIDE_BY_SIDE:
            about += " " + self.plain("seeds_cut", shown=_TOKENS_SIDE_BY_SIDE)
        return figure(caption(self.words["seeds"], about), strips, "small")

    def shares(self) -> str:
        rules = {"chosen": text_steps.PROBABILITY, **text_steps.SHARES}
        rows = [
            (self.words[f"share_{name}"], percent(rule, 0), percent(self.course.shares[name]))
            for name, rule in rules.items()
        ]
        about = self.plain(
            "shares_about", count=self.course.can_hide, seeds=whole(text_steps.SEEDS_COUNTED)
        )
        heading = caption(self.words["shares"], about)
        return figure(heading, self.table(("share", "rule", "counted"), rows))

    def pair(self) -> str:
        return self.section(
            "pair",
            self.paragraph("pair_about"),
            self.paragraph("pair_about_places", longest=text_steps.PAIR_LENGTH),
            *map(self.one_pair, self.course.pairs),
            self.paragraph("pair_head", next=0, random=1, guessing=f"{math.log(2):.2f}"),
            self.paragraph(
                "pair_shares",
                seeds=text_steps.PAIR_SEEDS_COUNTED,
                share=percent(self.course.random_share),
            ),
            self.paragraph("pair_code", kind="source"),
        )

    def one_pair(self, named: NamedPair) -> str:
        pair = named.pair
        label = self.plain("pair_label", label=pair.label)
        heading = caption(
            self.words["pair_random" if pair.label else "pair_next"],
            f"{label} · {self.words[named.origin]}",
        )
        kinds = [f"segment-{segment}" for segment in pair.segments]
        body = _strip(self.course.tokens(pair.input_ids), pair.segments, kinds)
        if named.follows is not None:
            share = percent(named.follows)
            body += self.paragraph("pair_model", model=self.model, probability=share)
        return figure(heading, body)

    def picture(self) -> str:
        steps = self.course.picture
        facts = steps.facts
        masked = {name: facts[name] for name in ("hidden", "patches", "visible")}
        grid = steps.config.grid
        positions = "".join(f"<li>{place}</li>" for place in steps.shuffled.positions[0].tolist())
        return self.section(
            "picture",
            self.paragraph(
                "picture_about", patches=facts["patches"], patch=steps.config.patch_size
            ),
            "" if self.course.settings.image else self.paragraph("picture_sample"),
            f"<h3>{self.text('inpainting')}</h3>",
            self.paragraph(
                "inpainting_about", ratio=percent(facts["hidden"] / facts["patches"], 0), **masked
            ),
            self.pictures(
                ("original", "visible", "target", "mean_colour", "reconstruction"),
                mean_colour=facts["mean_colour_error"],
                reconstruction=facts.get("pixel_error", 0.0),
            ),
            f"<h3>{self.text('jigsaw')}</h3>",
            self.paragraph("jigsaw_about", tiles=facts["patches"]),
            self.pictures(("tiles", "shuffled", "restored")),
            figure(
                f"<figcaption>{self.text('positions')}</figcaption>",
                f'<ol class="positions" style="--grid:{grid}">{positions}</ol>',
            ),
            self.paragraph("picture_code", kind="source"),
        )

    def pictures(self, names: Iterable[str], **errors: float) -> str:
        facts = self.course.picture.facts
        items = ""
        for name in names:
            if name in self.course.picture.pictures:
                about = self.plain(
                    name,
                    model=self.model,
                    error=f"{errors.get(name, 0):.4f}",
                    right=facts.get("tiles_right"),
                    tiles=facts["patches"],
                )
                shown = show_picture(self.course.picture.pictures[name], about)
                items += f"<li>{shown}<small>{escape(about)}</small></li>"
        return f'<ul class="row">{items}</ul>'

    def transfer(self) -> str:
        encoder, layers, counts = count_parameters(self.course)
        rows = [
            (
                self.plain(f"part_{part}", layers=layers),
                whole(count),
                self.words[f"fate_{fate}"],
            )
            for part, count, fate in counts
        ]
        unit = self.plain("transfer_unit", encoder=encoder)
        return self.section(
            "transfer",
            self.paragraph("transfer_about"),
            figure(
                caption(self.words["transfer_table"], unit),
                self.table(("part", "parameters", "fate"), rows),
            ),
            self.paragraph("transfer_freeze"),
        )

    def expect(self) -> str:
        rows = [
            (
                self.plain("minutes", minutes=each.minutes),
                self.words[f"text_{each.text}"],
                each.tokens,
                each.loss,
                each.by_frequency,
                f"{each.masked}\u00a0%",
                f"{each.following}\u00a0%",
                self.words[each.how],
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
        return self.section(
            "expect",
            self.paragraph("expect_about"),
            self.table(columns, rows),
            self.paragraph("expect_3"),
            self.paragraph("expect_10", **expectations.TRANSFER),
            self.paragraph("expect_30", nats_10=quiet[0].loss, nats_30=quiet[1].loss),
            self.paragraph("expect_images", **expectations.IMAGES),
        )

    def next(self) -> str:
        korean = self.course.language == "ko"
        masked = "환자에게 [MASK] 약을 주었습니다." if korean else "The patient was given [MASK]."
        return self.section(
            "next",
            self.paragraph("next_about"),
            _commands(
                "selfsup pretrain my-texts/ --encoder bert-mini --out runs/mine --budget 10m",
                f'selfsup fill-mask runs/mine "{masked}"',
                "selfsup finetune sequence-classification --encoder runs/mine --train train.tsv "
                "--validation dev.tsv --out runs/task",
                "selfsup report runs/mine",
            ),
            self.paragraph("next_again"),
            _commands('selfsup explain "…" --model runs/mine'),
            self.paragraph("next_demo"),
            _commands("selfsup demo"),
        )

    def plain(self, key: str, **values: Any) -> str:
        """The words of a key, filled in."""
        return self.words[key].format(**values)

    def text(self, key: str, **values: Any) -> str:
        """The same as HTML."""
        return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(self.plain(key, **values)))

    def paragraph(self, key: str, kind: str = "", **values: Any) -> str:
        mark = f' class="{kind}"' if kind else ""
        return f"<p{mark}>{self.text(key, **values)}</p>"

    def section(self, key: str, *parts: str) -> str:
        return section(self.words[key], *parts)

    def table(self, columns: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
        return table([self.words[f"head_{name}"] for name in columns], rows)


def _strip(tokens: Sequence[str], under: Iterable[object], kinds: Iterable[str]) -> str:
    """Tokens in a row, with a note under each; ``kinds`` are their classes in the style sheet."""
    items = ""
    for token, note, kind in zip(tokens, under, kinds, strict=False):
        small = f"<small>{escape(str(note))}</small>"
        items += f'<li class="{kind}"><b>{escape(token)}</b>{small}</li>'
    return f'<ol class="tokens">{items}</ol>'


def _commands(*lines: str) -> str:
    return f'<pre class="wide">{escape(chr(10).join(lines))}</pre>'
