"""Everything that the course page shows, computed from the settings of the command."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tokenizers import Tokenizer

from selfsup.corpus.text import clean_paragraphs, guess_language
from selfsup.errors import UserError
from selfsup.explain import text_steps
from selfsup.explain.guesses import TextModel, load_model
from selfsup.explain.image_steps import ImageSteps, take_picture_apart
from selfsup.explain.text_steps import Hidden, Hider, Pair, Pairs, Sentences
from selfsup.explain.texts import TEXTS, WORDS
from selfsup.pretraining.images.model import ImagePretrainingModel
from selfsup.pretraining.text.sequences import Sequences
from selfsup.settings.explain import ExplainSettings
from selfsup.terminal import say

_OTHER_SEEDS = 4


class NamedPair(NamedTuple):
    """A pair, where its segments come from, and a model's probability that B follows A."""

    pair: Pair
    origin: str
    follows: float | None


class Course(NamedTuple):
    """All that the page shows.

    Attributes:
        settings: of the command.
        text: the reader's, cleaned.
        language: of the page.
        tokenizer: of the text.
        model: of --model; None where there is none.
        tokens_in_all: of the text, before it was cut.
        sequence: of the text.
        special_tokens: for each of its tokens "special", or "" if it may be hidden.
        hidden: with the seed that the page explains.
        others: with the seeds after it.
        shares: over many seeds.
        guesses: of the model, for each chosen token.
        pair_length: the most tokens of a pair.
        pairs: one where B follows, one where it is random.
        random_share: of the pairs over many seeds.
        picture: the steps of the picture.
    """

    settings: ExplainSettings
    text: str
    language: str
    tokenizer: Tokenizer
    model: TextModel | ImagePretrainingModel | None
    tokens_in_all: int
    sequence: Sequences
    special_tokens: list[str]
    hidden: Hidden
    others: list[Hidden]
    shares: dict[str, float]
    guesses: list[dict[str, Any]]
    pair_length: int
    pairs: list[NamedPair]
    random_share: float
    picture: ImageSteps

    @property
    def can_hide(self) -> int:
        """How many of the tokens may be hidden."""
        return self.special_tokens.count("")

    def tokens(self, ids: np.ndarray) -> list[str]:
        """The tokens of some ids."""
        return [self.tokenizer.id_to_token(int(number)) or "" for number in ids]


def take_course(settings: ExplainSettings) -> Course:
    """Take the text and the picture through all steps.

    Raises:
        UserError: the text holds nothing to hide, or the model or the picture cannot be used.
    """
    model = load_model(settings.model) if settings.model else None
    of_text = model if isinstance(model, TextModel) else None
    of_images = model if isinstance(model, ImagePretrainingModel) else None
    written_in = guess_language(settings.text)
    nearest = "ko" if written_in == "ko" else "en"  # of the languages of the course
    tokenizer = of_text.tokenizer if of_text else _learn_tokenizer(settings, nearest)
    _note_a_file(settings.text)

    own = _read("TEXT", settings.text, written_in, tokenizer)
    hider = Hider(tokenizer)
    longest = min(text_steps.LONGEST, of_text.longest) if of_text else text_steps.LONGEST
    sequence = text_steps.as_sequence(own, hider.special, longest)
    special_tokens = hider.special_tokens(sequence)
    if "" not in special_tokens:
        raise UserError("TEXT is [UNK] to the tokenizer of --model: give another text")
    hidden = hider.first_that_hides(sequence, settings.seed)
    others = [hider.hide(sequence, hidden.seed + more) for more in range(1, 1 + _OTHER_SEEDS)]
    guesses = []
    if of_text and "mlm" in of_text.learned:
        guesses = of_text.at(hidden.seen, hidden.rows, hidden.answers)
    pair_length = min(text_steps.PAIR_LENGTH, longest)
    pairs, random_share = _pairs(settings, own, nearest, hider, pair_length, tokenizer, of_text)
    return Course(
        settings=settings,
        text=" ".join(clean_paragraphs(settings.text)),
        language=nearest if settings.language == "auto" else settings.language,
        tokenizer=tokenizer,
        model=model,
        tokens_in_all=sum(map(len, own)),
        sequence=sequence,
        special_tokens=special_tokens,
        hidden=hidden,
        others=others,
        shares=hider.shares(sequence, settings.seed),
        guesses=guesses,
        pair_length=pair_length,
        pairs=pairs,
        random_share=random_share,
        picture=take_picture_apart(settings.image, settings.seed, of_images),
    )


def _learn_tokenizer(settings: ExplainSettings, language: str) -> Tokenizer:
    """From what the course has in this language, and the reader's texts."""
    texts = TEXTS[language]
    documents = map(" ".join, texts["documents"])
    course = [*documents, *WORDS[language].values(), texts["common_words"]]
    own = [settings.text, *([settings.text_pair] if settings.text_pair else [])]
    return text_steps.learn_tokenizer(course, own)


def _note_a_file(text: str) -> None:
    try:
        is_file = Path(text).is_file()
    except (OSError, ValueError):  # too long for a path, or it holds a null character
        return
    if is_file:
        say(
            f"{text} is a file, but TEXT is taken as the text itself: to explain what the file "
            f'holds, give "$(cat {text})"'
        )


def _read(name: str, text: str, language: str, tokenizer: Tokenizer) -> Sentences:
    sentences = text_steps.sentences_of(text, language, tokenizer)
    if not sentences:
        raise UserError(f"{name} holds no words: give a sentence in quotes")
    return sentences


def _pairs(
    settings: ExplainSettings,
    own: Sentences,
    language: str,
    hider: Hider,
    longest: int,
    tokenizer: Tokenizer,
    model: TextModel | None,
) -> tuple[list[NamedPair], float]:
    """A pair where B follows A, one where it is random, and the share of random ones."""
    origin = "pair_own"
    if settings.text_pair is not None:
        second = _read("--text-pair", settings.text_pair, language, tokenizer)
        own, origin = [np.concatenate(own), np.concatenate(second)], "pair_given"
    of_course = [
        text_steps.sentences_of(" ".join(document), language, tokenizer)
        for document in TEXTS[language]["documents"]
    ]
    pairs = Pairs([own, *of_course], hider.special, longest)
    # A document of one sentence has no continuation: there, an example of the course is shown.
    following, origin = (0, origin) if len(own) > 1 else (1, "pair_course")
    named = []
    for label, document, from_where in ((0, following, origin), (1, 0, "pair_own_random")):
        found = pairs.first_with(label, document, settings.seed)
        if found is not None:
            follows = None
            if model and "nsp" in model.learned:
                follows = model.follows(found.input_ids, found.segments)
            named.append(NamedPair(found, from_where, follows))
    return named, pairs.random_share(following, settings.seed)
