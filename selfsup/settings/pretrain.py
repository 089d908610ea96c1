"""Settings of pre-training."""

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from selfsup.errors import UserError
from selfsup.settings import corpus
from selfsup.settings import fields as machine
from selfsup.settings.fields import argument, check_values, flag, seconds_in
from selfsup.settings.objectives import OBJECTIVES, choices_in_words

DEFAULT_BUDGET = "20m"

# What says something of one kind of data only; the flags of the other kind are then refused.
FLAGS_FOR_TEXT = (
    "tokenizer", "vocab_size", "extend_vocabulary", "lowercase", "text_field", "text_documents",
    "language", "max_length", "short_length", "short_share", "mask_probability", "masking",
)  # fmt: skip
FLAGS_FOR_IMAGES = ("image_size", "patch_size", "mask_ratio", "mirror")


@dataclass(frozen=True, kw_only=True)
class PretrainSettings:
    """Pre-train an encoder on text or on images without labels.

    DATA may be raw text: the tokenizer is then trained and the shards are prepared first, inside
    the run folder. It may be images: these are decoded once, into the run folder. Without --steps
    and --budget the budget is 20m. Ctrl-C saves a checkpoint.

    Example:
      selfsup pretrain my-texts/ --encoder bert-mini --out runs/mine --budget 20m
      selfsup pretrain my-photos/ --objectives inpainting --encoder vit-tiny --out runs/seen
    """

    data: tuple[str, ...] = argument(
        "a folder of shards that `selfsup prepare` wrote, or "
        + corpus.SOURCES
        + "; or images: folders of .jpg, .png, .webp, .bmp, .gif and .tif files",
        metavar="DATA",
    )
    out: str = flag("run folder to write to", group="Run", metavar="RUN")

    tokenizer: str | None = flag(
        "folder of a tokenizer for raw text; trained on that text if not given",
        default=None,
        group="Data",
        metavar="DIR",
    )
    vocab_size: int | None = flag(
        "entries in the vocabulary of a new tokenizer; 8192 if not given, or fewer if the text "
        "has no more",
        default=None,
        group="Data",
        metavar="N",
        at_least=64,
        at_most=1_000_000,
    )
    extend_vocabulary: int | None = flag(
        "first give the model of --init so many more tokens, those that shorten this raw text most",
        default=None,
        group="Data",
        metavar="N",
        at_least=1,
        at_most=100_000,
    )
    lowercase: bool = flag(
        "make all text lower case (for a new tokenizer)", default=True, group="Data"
    )
    text_field: str = corpus.text_field()
    text_documents: str = corpus.text_documents()
    language: str = corpus.language()
    max_bad_fraction: float = corpus.max_bad_fraction()
    held_out_fraction: float = flag(
        "share of the documents or images (of these 1,000 at most) that is never trained on, to "
        "measure with",
        default=0.01,
        group="Data",
        above=0,
        below=1,
    )

    encoder: str | None = flag(
        "size of the encoder: bert-tiny, bert-mini, bert-small, bert-medium, bert-base, bert-large "
        "(bert-mini if not given) for text; vit-mini, vit-tiny, vit-small, vit-base (vit-tiny if "
        "not given) for images",
        default=None,
        group="Objective",
        metavar="NAME",
    )
    init: str | None = flag(
        "model folder to start from instead of random weights",
        default=None,
        group="Objective",
        metavar="MODEL",
    )
    start: str = flag(
        "first weights: structured gives small encoders word vectors from co-occurrence and heads "
        "that can tell positions apart, random is BERT's own; by the encoder's size if auto",
        default="auto",
        group="Objective",
        choices=("auto", "structured", "random"),
    )
    objectives: tuple[str, ...] | None = flag(
        f"what to learn. {choices_in_words()}. Both of them if not given",
        default=None,
        group="Objective",
        choices=OBJECTIVES,
    )
    max_length: int = flag(
        "longest sequence", default=128, group="Objective", metavar="TOKENS", at_least=16,
        at_most=512,
    )  # fmt: skip
    short_length: int | None = flag(
        "longest sequence in the first part of the run (BERT: 128 for nine tenths of it, then 512)",
        default=None,
        group="Objective",
        metavar="TOKENS",
        at_least=16,
        at_most=512,
    )
    short_share: float = flag(
        "how large that first part is",
        default=0.9,
        group="Objective",
        above=0,
        below=1,
    )
    mask_probability: float = flag(
        "share of the tokens to predict", default=0.15, group="Objective", above=0, below=1
    )
    masking: str = flag(
        "what is chosen together", default="token", group="Objective",
        choices=("token", "whole-word", "span"),
    )  # fmt: skip
    dropout: float | None = flag(
        "dropout in the encoder; by its size if not given",
        default=None,
        group="Objective",
        at_least=0,
        below=1,
    )

    image_size: int | None = flag(
        "side of the square image that the encoder sees; by the images' own size if not given, "
        "224 at most",
        default=None,
        group="Images",
        metavar="PIXELS",
        at_least=8,
        at_most=1024,
    )
    patch_size: int | None = flag(
        "side of a patch, which must divide --image-size; 16 if not given, smaller for small "
        "images",
        default=None,
        group="Images",
        metavar="PIXELS",
        at_least=1,
        at_most=256,
    )
    mask_ratio: float | None = flag(
        "share of the patches that inpainting removes; 0.75 if not given",
        default=None,
        group="Images",
        above=0,
        below=1,
    )
    mirror: bool = flag(
        "whether half of the images to learn from are mirrored; not for digits, or images of text",
        default=True,
        group="Images",
    )

    steps: int | None = flag(
        "train for so many steps", default=None, group="Optimisation", metavar="N", at_least=1
    )
    budget: str | None = flag(
        "train for so much time, such as 90s, 20m or 1h30m; the schedule fits itself to it",
        default=None,
        group="Optimisation",
        metavar="TIME",
    )
    batch_size: int | None = flag(
        "sequences or images in a step; by the encoder's size if not given",
        default=None,
        group="Optimisation",
        metavar="N",
        at_least=1,
    )
    accumulate: int = flag(
        "batches for each step, which is that of one large batch",
        default=1,
        group="Optimisation",
        metavar="N",
        at_least=1,
    )
    optimizer: str = flag(
        "adamw, or muon for the layers' matrices; by the encoder's size if auto",
        default="auto",
        group="Optimisation",
        choices=("auto", "adamw", "muon"),
    )
    learning_rate: float | None = flag(
        "highest learning rate; by the encoder's size if not given",
        default=None,
        group="Optimisation",
        metavar="X",
        above=0,
    )
    schedule: str = flag(
        "linear: warm up, then fall to 0; wsd: warm up, stay, fall in the last quarter",
        default="linear",
        group="Optimisation",
        choices=("linear", "wsd"),
    )
    warmup: float = flag(
        "share of the run in which the learning rate rises",
        default=0.05,
        group="Optimisation",
        at_least=0,
        below=1,
    )
    weight_decay: float = flag(
        "the optimizer's weight decay; none on biases and norms",
        default=0.01,
        group="Optimisation",
        metavar="X",
        at_least=0,
    )
    gradient_clip: float = flag(
        "longest gradient that a step may take (its 2-norm)",
        default=1.0,
        group="Optimisation",
        metavar="X",
        above=0,
    )

    evaluate_every: int | None = flag(
        "measure on what is held out every so many steps; ten times a run if not given",
        default=None,
        group="Run",
        metavar="STEPS",
        at_least=1,
    )
    checkpoint_every: int | None = flag(
        "save every so many steps; every few minutes if not given",
        default=None,
        group="Run",
        metavar="STEPS",
        at_least=1,
    )
    seed: int = machine.seed()
    device: str = machine.device()
    precision: str = machine.precision()
    threads: int | None = machine.threads()
    workers: int | None = corpus.workers()

    def __post_init__(self) -> None:
        check_values(self)
        corpus.check_language(self.language)
        if self.objectives is not None and not self.objectives:
            raise UserError("--objectives needs at least one of " + ", ".join(OBJECTIVES))
        if self.steps is not None and self.budget is not None:
            raise UserError(
                "--steps and --budget both say when to stop: give only one of them (what --config "
                "says is taken back by --budget null, or --steps null)"
            )
        if self.budget is not None:
            seconds_in(self.budget)
        if self.extend_vocabulary is not None and self.init is None:
            raise UserError("--extend-vocabulary adds to a model's tokenizer: name it with --init")


@dataclass(frozen=True, kw_only=True)
class ResumeSettings:
    """Continue a pre-training run from its last checkpoint.

    The settings are those in the run's run.yaml.

    Example:
      selfsup resume runs/mine
    """

    run: str = argument("run folder of a `selfsup pretrain` that stopped", metavar="RUN")


@dataclass(frozen=True, kw_only=True)
class ResolvedPretrainSettings(PretrainSettings):
    """The settings of a run, in which nothing is left to be chosen; ``run.yaml`` holds these.

    Either ``steps`` or ``budget`` is given, and either ``encoder`` or ``init``.
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

        ``budget`` stands for it and ``steps``, ``encoder`` for it and ``init``.
        """
        needed = set(cls.CHOSEN)
        if settings.init is None:
            needed.add("encoder")
        if settings.steps is None:
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
