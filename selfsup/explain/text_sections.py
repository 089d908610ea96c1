"""The sections on text: tokens, hidden tokens, pairs of segments."""

import math

import numpy as np

from selfsup.corpus.tokenizer.wordpiece import vocabulary_size
from selfsup.explain import text_steps
from selfsup.explain.course import NamedPair
from selfsup.explain.guesses import TextModel
from selfsup.explain.text_steps import Hidden
from selfsup.explain.writing import CoursePage, strip
from selfsup.report.formatting import percent, whole
from selfsup.report.markup import charts, figure

_TOKENS_SIDE_BY_SIDE = 40


def tokens(page: CoursePage) -> str:
    """The text as tokens, with their ids."""
    course = page.course
    ids = course.sequence.input_ids
    tokens, special = course.tokens(ids), course.special_tokens
    parts = [page.paragraph("tokens_about"), strip(tokens, [str(n) for n in ids], special)]
    if isinstance(course.model, TextModel):
        parts.append(page.paragraph("tokens_model", model=page.model, vocab=page.vocab))
    else:
        parts.append(page.paragraph("tokens_own", vocab=page.vocab))
        if course.text != course.text.lower():
            parts.append(page.paragraph("tokens_lowercase"))
    if (total := course.tokens_in_all) > (shown := len(ids) - 2):
        parts.append(
            page.paragraph("tokens_cut", total=whole(total), longest=shown + 2, shown=shown)
        )
    if "[UNK]" in tokens:
        parts.append(page.paragraph("tokens_unknown"))
    return page.section("tokens", *parts)


def masking(page: CoursePage) -> str:
    """Which tokens are hidden, how, and what the loss compares."""
    course, hidden = page.course, page.course.hidden
    count, probability = course.can_hide, text_steps.PROBABILITY
    parts = []
    if hidden.seed != course.settings.seed:
        given = course.settings.seed
        parts.append(page.paragraph("masking_none", given=given, seed=hidden.seed))
    parts += [
        page.paragraph(
            "masking_about",
            probability=percent(probability, 0),
            seed=hidden.seed,
            chosen=len(hidden.rows),
            count=count,
            expected=f"{probability * count:.1f}",
        ),
        page.paragraph(
            "masking_rule", **{name: percent(s, 0) for name, s in text_steps.SHARES.items()}
        ),
        _hidden_strip(page, hidden),
        _legend(page),
        _answers(page),
        page.paragraph("masking_why"),
        page.paragraph(
            "loss_about",
            vocab=page.vocab,
            uniform=f"{math.log(vocabulary_size(course.tokenizer)):.2f}",
        ),
        _guesses(page),
        charts(_seeds(page), _shares(page)),
        page.paragraph("masking_code", kind="source"),
    ]
    return page.section("masking", *parts)


def _hidden_strip(page: CoursePage, hidden: Hidden, longest: int | None = None) -> str:
    """What the model reads; under each chosen token stands the right answer."""
    course = page.course
    under, kinds = [""] * len(hidden.seen), list(course.special_tokens)
    for row, answer, action in zip(
        hidden.rows, course.tokens(hidden.answers), hidden.actions, strict=True
    ):
        under[row], kinds[row] = answer, action
    return strip(course.tokens(hidden.seen)[:longest], under, kinds)


def _legend(page: CoursePage) -> str:
    items = "".join(
        f'<li class="{action}"><b>{page.text(f"action_{action}")}</b></li>'
        for action in text_steps.SHARES
    )
    return f'<ul class="tokens legend">{items}</ul>'


def _answers(page: CoursePage) -> str:
    hidden, course = page.course.hidden, page.course
    rows = [
        (str(row), token, str(number), page.words[f"action_{action}"], seen)
        for row, token, number, action, seen in zip(
            hidden.rows,
            course.tokens(hidden.answers),
            hidden.answers,
            hidden.actions,
            course.tokens(hidden.seen[hidden.rows]),
            strict=True,
        )
    ]
    return figure(
        page.words["masking_answers"],
        page.table(("position", "token", "id", "action", "seen"), rows),
        page.words["masking_answers_about"],
    )


def _guesses(page: CoursePage) -> str:
    course = page.course
    if not course.guesses:
        is_of_text = isinstance(course.model, TextModel)
        return "" if is_of_text else page.paragraph("guesses_try")
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
    return figure(
        page.plain("guesses", model=page.model),
        page.table(("position", "token", "probability", "loss", "guesses"), rows),
        page.plain("guesses_about", loss=f"{np.mean(losses):.2f}"),
    )


def _seeds(page: CoursePage) -> str:
    strips = ""
    for hidden in (page.course.hidden, *page.course.others):
        name = page.text("seed", seed=hidden.seed)
        if not len(hidden.rows):
            name += f": {page.text('nothing_chosen')}"
        strips += f"<p>{name}</p>{_hidden_strip(page, hidden, _TOKENS_SIDE_BY_SIDE)}"
    about = page.words["seeds_about"]
    if len(page.course.sequence.input_ids) > _TOKENS_SIDE_BY_SIDE:
        about += " " + page.plain("seeds_cut", shown=_TOKENS_SIDE_BY_SIDE)
    return figure(page.words["seeds"], strips, about, "small")


def _shares(page: CoursePage) -> str:
    rules = {"chosen": text_steps.PROBABILITY, **text_steps.SHARES}
    rows = [
        (page.words[f"share_{name}"], percent(rule, 0), percent(page.course.shares[name]))
        for name, rule in rules.items()
    ]
    about = page.plain(
        "shares_about", count=page.course.can_hide, seeds=whole(text_steps.SEEDS_COUNTED)
    )
    return figure(page.words["shares"], page.table(("share", "rule", "counted"), rows), about)


def pair(page: CoursePage) -> str:
    """A pair where B follows A, and one where it is random."""
    return page.section(
        "pair",
        page.paragraph("pair_about"),
        page.paragraph("pair_about_places", longest=page.course.pair_length),
        *(_one_pair(page, pair) for pair in page.course.pairs),
        page.paragraph("pair_head", next=0, random=1, guessing=f"{math.log(2):.2f}"),
        page.paragraph(
            "pair_shares",
            seeds=text_steps.PAIR_SEEDS_COUNTED,
            share=percent(page.course.random_share),
        ),
        page.paragraph("pair_code", kind="source"),
    )


def _one_pair(page: CoursePage, named: NamedPair) -> str:
    pair = named.pair
    kinds = [f"segment-{segment}" for segment in pair.segments]
    body = strip(page.course.tokens(pair.input_ids), pair.segments, kinds)
    if named.follows is not None:
        share = percent(named.follows)
        body += page.paragraph("pair_model", model=page.model, probability=share)
    label = page.plain("pair_label", label=pair.label)
    return figure(
        page.words["pair_random" if pair.label else "pair_next"],
        body,
        f"{label} · {page.words[named.origin]}",
    )
