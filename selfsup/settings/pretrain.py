"""Settings of pre-training."""

import dataclasses
import re
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Self

from selfsup.errors import UserError
from selfsup.settings import corpus, fields
from selfsup.settings.fields import (
    argument,
    check_values,
    data_flag,
    flag,
    objective_flag,
    optimisation_flag,
    run_flag,
)
from selfsup.settings.objectives import OBJECTIVES, choices_in_words
from selfsup.settings.reading import ReadingFlags

DEFAULT_BUDGET = "20m"

# Flags that apply to one kind of data only. They are refused for the other kind.
FLAGS_FOR_TEXT = (
    "tokenizer", "vocab_size", "extend_vocabulary", "lowercase", "encoding", "delimiter",
    "header", "columns", "text_field", "text_documents", "language", "max_length",
    "short_length", "short_share", "mask_probability", "masking",
)  # fmt: skip
FLAGS_FOR_IMAGES = ("image_size", "patch_size", "mask_ratio", "mirror")

_image_flag = partial(flag, group="Images")


@dataclass(frozen=True, kw_only=True)
class PretrainSettings(ReadingFlags):
    """Pre-train an encoder on text or on images without labels.

    DATA may be raw text: a tokenizer is then trained and the text is turned into shards first, in
    the run folder. It may be images: they are decoded once, into the run folder. Without --steps,
    --budget and --wall-clock the budget is 20m. Ctrl-C saves a checkpoint.

    Example:
      selfsup pretrain my-texts/ --encoder bert-mini --out runs/mine --budget 20m
      selfsup pretrain my-photos/ --objectives inpainting --encoder vit-tiny --out runs/seen
    """

    data: tuple[str, ...] = argument(
        "a folder of shards that `selfsup prepare` wrote, or "
        + corpus.SOURCES
        + "; or folders of images (JPEG, PNG, WebP and others, known by their content)",
        metavar="DATA",
    )
    out: str = run_flag("run folder to write to", metavar="RUN", required=True)

    tokenizer: str | None = data_flag(
        "folder of a tokenizer for raw text; by default one is trained on that text", metavar="DIR"
    )
    vocab_size: int | None = data_flag(
        "vocabulary size of a new tokenizer; by default 8192, or less if the text has no more",
        metavar="N",
        at_least=64,
        at_most=1_000_000,
    )
    extend_vocabulary: int | None = data_flag(
        "tokens to add to the vocabulary of --init: those that shorten this raw text most",
        metavar="N",
        at_least=1,
        at_most=100_000,
    )
    lowercase: bool = data_flag("make all text lower case (new tokenizers only)", default=True)
    text_field: str = corpus.text_field()
    text_documents: str = corpus.text_documents()
    language: str = corpus.language()
    max_bad_fraction: float = corpus.max_bad_fraction()
    held_out_fraction: float = data_flag(
        "share of the documents or images (at most 1,000 images) held out for evaluation",
        default=0.01,
        above=0,
        below=1,
    )

    encoder: str | None = objective_flag(
        "size of the encoder. For text: bert-tiny, bert-mini (default), bert-small, bert-medium, "
        "bert-base, bert-large. For images: vit-mini, vit-tiny (default), vit-small, vit-base",
        metavar="NAME",
    )
    init: str | None = objective_flag(
        "model folder to start from instead of random weights", metavar="MODEL"
    )
    start: str = objective_flag(
        "initial weights: structured takes word vectors from co-occurrence counts and makes "
        "attention heads see positions, random is as in BERT; auto chooses by the encoder's size",
        default="auto",
        choices=("auto", "structured", "random"),
    )
    objectives: tuple[str, ...] | None = objective_flag(
        f"training objectives. {choices_in_words()}. By default both, but nsp is left out where "
        "documents have no next sentence",
        choices=OBJECTIVES,
    )
    max_length: int = objective_flag(
        "longest sequence", default=128, metavar="TOKENS", at_least=16, at_most=512
    )
    short_length: int | None = objective_flag(
        "longest sequence in the first part of the run (BERT: 128 for 90 % of it, then 512)",
        metavar="TOKENS",
        at_least=16,
        at_most=512,
    )
    short_share: float = objective_flag(
        "share of the run that this first part takes", default=0.9, above=0, below=1
    )
    mask_probability: float = objective_flag(
        "share of the tokens to mask and predict", default=0.15, above=0, below=1
    )
    masking: str = objective_flag(
        "unit that is masked as a whole", default="token", choices=("token", "whole-word", "span")
    )
    dropout: float | None = objective_flag(
        "dropout in the encoder; the default depends on its size", at_least=0, below=1
    )

    image_size: int | None = _image_flag(
        "side of the encoder's square input images; by default from the size of the images, at "
        "most 224",
        metavar="PIXELS",
        at_least=8,
        at_most=1024,
    )
    patch_size: int | None = _image_flag(
        "side of a patch, a divisor of --image-size; by default 16, or less for small images",
        metavar="PIXELS",
        at_least=1,
        at_most=256,
    )
    mask_ratio: float | None = _image_flag(
        "share of the patches that inpainting masks; by default 0.75", above=0, below=1
    )
    mirror: bool = fields.mirror(group="Images")

    steps: int | None = optimisation_flag("number of training steps", metavar="N", at_least=1)
    budget: str | None = optimisation_flag(
        "time of the training steps alone, such as 90s, 20m or 1h30m: preparing the data, "
        "measuring and saving come on top; the learning-rate schedule adapts to it",
        metavar="TIME",
    )
    wall_clock: str | None = optimisation_flag(
        "time of the whole run instead, from the command's start to its end; with `selfsup "
        "resume`, that of both commands",
        metavar="TIME",
    )
    batch_size: int | None = optimisation_flag(
        "sequences or images in a batch; the default depends on the encoder's size",
        metavar="N",
        at_least=1,
    )
    accumulate: int = optimisation_flag(
        "batches whose gradients are accumulated for one step", default=1, metavar="N", at_least=1
    )
    optimizer: str = optimisation_flag(
        "adamw, or muon for the weight matrices of the layers; auto chooses by the encoder's size",
        default="auto",
        choices=("auto", "adamw", "muon"),
    )
    learning_rate: float | None = optimisation_flag(
        "peak learning rate; the default depends on the encoder's size", metavar="X", above=0
    )
    schedule: str = optimisation_flag(
        "learning-rate schedule: linear is warmup, then decay to 0; wsd is warmup, constant, "
        "then decay in the last quarter",
        default="linear",
        choices=("linear", "wsd"),
    )
    warmup: float = fields.warmup(default=0.05)
    weight_decay: float = optimisation_flag(
        "weight decay; not applied to biases and layer norms", default=0.01, metavar="X", at_least=0
    )
    gradient_clip: float = fields.gradient_clip()

    evaluate_every: int | None = run_flag(
        "steps between evaluations on held-out data; by default ten evaluations in the run",
        metavar="STEPS",
        at_least=1,
    )
    checkpoint_every: int | None = run_flag(
        "steps between checkpoints; by default one every few minutes", metavar="STEPS", at_least=1
    )
    seed: int = fields.seed()
    device: str = fields.device()
    precision: str = fields.precision()
    threads: int | None = fields.threads()
    workers: int | None = fields.workers()

    def __post_init__(self) -> None:
        super().__post_init__()
        corpus.check_language(self.language)
        if self.objectives is not None and not self.objectives:
            raise UserError("--objectives needs at least one of " + ", ".join(OBJECTIVES))
        ends = {"--steps": self.steps, "--budget": self.budget, "--wall-clock": self.wall_clock}
        given = [flag for flag, value in ends.items() if value is not None]
        if len(given) > 1:
            first, second = given[:2]
            raise UserError(
                f"{first} and {second} both say when to stop: give only one of them (what --config "
                f"says is taken back by {second} null, or {first} null)"
            )
        for flag_of_time in ("--budget", "--wall-clock"):
            if (duration := ends[flag_of_time]) is not None:
                seconds_in(str(duration), flag_of_time)
        if self.extend_vocabulary is not None and self.init is None:
            raise UserError("--extend-vocabulary adds to a model's tokenizer: name it with --init")

    @property
    def default_budget(self) -> str | None:
        """The budget where none is given; None if something else says when to stop."""
        return DEFAULT_BUDGET if self.steps is None and self.wall_clock is None else None


@dataclass(frozen=True, kw_only=True)
class ResumeSettings:
    """Continue a pre-training or fine-tuning run from its last checkpoint.

    The settings are those of the run's run.yaml.

    Example:
      selfsup resume runs/mine
    """

    run: str = argument("run folder of a run that stopped", metavar="RUN")

    def __post_init__(self) -> None:
        check_values(self)


@dataclass(frozen=True, kw_only=True)
class ResolvedPretrainSettings(PretrainSettings):
    """The settings of a run, in which nothing is left to be chosen; ``run.yaml`` holds these.

    One of ``steps``, ``budget`` and ``wall_clock`` is given, and either ``encoder`` or ``init``.
    """

    CHOSEN: ClassVar[tuple[str, ...]] = (
        "objectives", "dropout", "batch_size", "learning_rate", "start", "optimizer",
    )  # fmt: skip

    objectives: tuple[str, ...] = dataclasses.field()
    dropout: float = dataclasses.field()
    batch_size: int = dataclasses.field()
    learning_rate: float = dataclasses.field()

    @classmethod
    def complete(cls, settings: PretrainSettings, **chosen: Any) -> Self:
        """The settings with what was chosen for the fields that are open (None, or "auto")."""
        values = {f.name: getattr(settings, f.name) for f in dataclasses.fields(settings)}
        values |= {name: value for name, value in chosen.items() if values[name] in (None, "auto")}
        return cls(**values)

    @classmethod
    def open_field(cls, settings: PretrainSettings) -> str | None:
        """The first field that has no value, though it has one in every run; None if there is none.

        Without an end it is ``budget``; without ``encoder`` and ``init``,
        ``encoder``.
        """
        needed = set(cls.CHOSEN)
        if settings.init is None:
            needed.add("encoder")
        if settings.default_budget is not None:
            needed.add("budget")
        names = (field.name for field in dataclasses.fields(settings) if field.name in needed)
        return next((name for name in names if getattr(settings, name) in (None, "auto")), None)


@dataclass(frozen=True, kw_only=True)
class ResolvedImageSettings(ResolvedPretrainSettings):
    """The settings of a run that learns from images."""

    CHOSEN: ClassVar[tuple[str, ...]] = (
        *ResolvedPretrainSettings.CHOSEN, "image_size", "patch_size", "mask_ratio",
    )  # fmt: skip

    image_size: int = dataclasses.field()
    patch_size: int = dataclasses.field()
    mask_ratio: float = dataclasses.field()


_AMOUNT = r"(\d+(?:\.\d+)?)"
_DURATION = re.compile(f"(?:{_AMOUNT}h)?(?:{_AMOUNT}m)?(?:{_AMOUNT}s)?")


def seconds_in(duration: str, flag: str = "--budget") -> float:
    """The seconds in a duration such as `90s`, `20m`, `1h30m` or `1.5h`.

    Raises:
        UserError: names the flag; the text is no such duration, or it is 0.
    """
    match = _DURATION.fullmatch(duration.strip().lower())
    hours, minutes, seconds = map(float, match.groups("0")) if match else (0, 0, 0)
    total = 3600 * hours + 60 * minutes + seconds
    if total <= 0:
        raise UserError(f"{flag} takes a time such as 90s, 20m or 1h30m, not {duration!r}")
    return total
