"""What a fine-tuning run does where the flags say nothing: values that work on few labels."""

import math

from selfsup.encoder.config import EncoderConfig, VitConfig
from selfsup.encoder.pooling import Pooling, pooled_parts
from selfsup.errors import UserError
from selfsup.finetuning.data import TaskData
from selfsup.finetuning.linear_probe import choose_pooling, with_chosen_pooling
from selfsup.finetuning.starting_point import StartingPoint
from selfsup.settings.finetune import FinetuneSettings, ResolvedFinetuneSettings
from selfsup.tasks.base import Task
from selfsup.training.compute import Compute

# Small data sets need many steps: a run that trains until its loss is near 0 fails less often than
# a short one (Mosbach et al. 2021, "On the Stability of Fine-tuning BERT", §6).
_MIN_STEPS = 600
_MIN_EPOCHS, _MAX_EPOCHS = 3, 20
# For a head over a frozen encoder: it starts from random weights, and a high rate cannot damage
# pre-trained ones (docs/log.md).
_HEAD_ONLY_RATE = 2e-3


def default_epochs(examples: int, batch_size: int, *, frozen: bool) -> int:
    """Number of epochs that gives some hundreds of steps.

    Over a ``frozen`` encoder epochs are cheap: its output for each example is computed only once.
    """
    if frozen:
        return _MAX_EPOCHS
    steps_per_epoch = max(1, math.ceil(examples / batch_size))
    return min(_MAX_EPOCHS, max(_MIN_EPOCHS, math.ceil(_MIN_STEPS / steps_per_epoch)))


def default_learning_rate(config: EncoderConfig | VitConfig, *, frozen: bool) -> float:
    """The highest learning rate for an encoder's width: small encoders need a higher one.

    3e-5 at BERT-base's width of 768 (its paper, appendix A.3), and inversely proportional to the
    square of the width below that. A head over a frozen encoder has another rate.
    """
    if frozen:
        return _HEAD_ONLY_RATE
    return min(5e-4, 3e-5 * (768 / config.hidden_size) ** 2)


def with_defaults(
    settings: FinetuneSettings,
    task: Task,
    start: StartingPoint,
    data: TaskData,
    compute: Compute,
) -> tuple[ResolvedFinetuneSettings, StartingPoint]:
    """The settings with a value for all that depends on the data and the encoder.

    Returns:
        the settings, and the encoder with the pooling that they name.

    Raises:
        UserError: the task or the encoder has no such head or pooling.
    """
    frozen, units = settings.freeze == "encoder", len(data.train.encoded.units)
    rate = settings.learning_rate or default_learning_rate(start.config, frozen=frozen)
    head = settings.head or default_head(settings, task, start)
    if head == "fitted" and not _can_fit_head(task, start):
        what = start.name if task.fits_head else task.name
        raise UserError(f"--head fitted: {what} has no head that can be fitted: leave it out")
    pooling = settings.pooling or default_pooling(head, task, start, data, compute)
    if pooling != "pooler":
        if not _has_pooler(task, start) or not start.is_pretrained:
            what = f"{start.name}, which starts at random,"
            if not _has_pooler(task, start):
                what = f"{start.name}, which has no pooler," if task.pooled else task.name
            raise UserError(f"--pooling {pooling}: {what} has no pooling to choose: leave it out")
        layers = start.config.num_hidden_layers
        start = with_chosen_pooling(start, Pooling.parse(pooling, layers))
    if settings.contrast and (
        task.name != "sequence-classification" or data.labels.kind != "class"
    ):
        raise UserError(
            f"--contrast {settings.contrast:g} is for single texts of one label each: leave it out"
        )
    epochs = settings.epochs
    if epochs is None:
        only_head = frozen and head == "fitted"
        epochs = 0 if only_head else default_epochs(units, settings.batch_size, frozen=frozen)
    if epochs == 0 and head != "fitted":
        raise UserError("--epochs 0 is for a head that is fitted: add --head fitted")
    chosen = {
        "dropout": start.config.hidden_dropout_prob,
        "epochs": epochs,
        "learning_rate": rate,
        "head_learning_rate": settings.head_learning_rate or rate,
        "head": head,
        "pooling": pooling,
        "contrast": settings.contrast or 0.0,
    }
    fixed = start.preparation.settings()
    return ResolvedFinetuneSettings(**vars(settings) | fixed | chosen), start


def _can_fit_head(task: Task, start: StartingPoint) -> bool:
    """Whether a head is one linear layer: where there are more, the others have to be trained."""
    names = task.parameter_names(start.config)
    return task.fits_head and not any(name.startswith("transform.") for name in names)


def _has_pooler(task: Task, start: StartingPoint) -> bool:
    return task.pooled and "encoder.pooler" in task.parameter_names(start.config)


def default_head(settings: FinetuneSettings, task: Task, start: StartingPoint) -> str:
    """How the head begins: fitted over a frozen encoder, unless a flag says how to train it."""
    how = settings.epochs, settings.learning_rate, settings.head_learning_rate
    balance = settings.class_weights, settings.sampling  # only what is trained can have these
    is_left_open = settings.freeze == "encoder" and {*how, *balance} == {None}
    return "fitted" if is_left_open and _can_fit_head(task, start) else "trained"


def default_pooling(
    head: str, task: Task, start: StartingPoint, data: TaskData, compute: Compute
) -> str:
    """The encoder's own pooler, or what a fitted head makes the most of."""
    if head != "fitted" or not _has_pooler(task, start) or not start.is_pretrained:
        return "pooler"
    model = start.build_model(task, data.labels, 0).to(compute.device)
    return "pooler" if pooled_parts(model.encoder) else str(choose_pooling(model, data, compute))


def describe(settings: ResolvedFinetuneSettings, start: StartingPoint, data: TaskData) -> str:
    """One line about the run, shown before it starts."""
    how = "pre-trained" if start.is_pretrained else "from random weights"
    labels = "" if data.labels.kind in ("number", "none") else f" of {len(data.labels)} labels"
    steps = (
        f"epochs {settings.epochs}, learning rate {settings.learning_rate:.2g}, of the head "
        f"{settings.head_learning_rate:.2g}"
    )
    if settings.head == "fitted":
        head = "head fitted" + ("" if settings.pooling == "pooler" else f" on {settings.pooling}")
        steps = f"{head}; {steps}" if settings.epochs else head
    return (
        f"{start.name}, {how}: {len(data.train):,} examples{labels}, "
        f"{len(data.validation):,} to validate; {steps}"
    )
